"""One value of a search parameter, by kind and modifier (https://hl7.org/fhir/R4/search.html#ptypes)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.definitions.canonicals import is_canonical
from fhir_facade.fhir.definitions.tables import SearchParameter, is_resource_type
from fhir_facade.fhir.query.concepts import NO_CODES, StoredCodes
from fhir_facade.fhir.query.dates import parse_date
from fhir_facade.fhir.query.escape import split, unescape
from fhir_facade.fhir.query.near import parse_near
from fhir_facade.fhir.query.numbers import parse_number, parse_quantity
from fhir_facade.fhir.references import ID, parse_reference
from fhir_facade.fhir.words import TEXTS, parse_words
from fhir_facade.values import (
    CompositeValue,
    MissingValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the meaning of a value depends on besides its text: where we are, and when it is asked."""

    now: datetime
    base_url: str | None = None
    stored: StoredCodes = NO_CODES


LONGEST_TEXT: Final = 768
"""Of a string parameter, in units of UTF-16, as HAPI counts: its index holds no more."""


def parse_value(parameter: SearchParameter, modifier: str | None, raw: str, asked: Asked) -> SearchValue:
    """One value between commas, still escaped. BadRequest says what would be allowed."""
    if not raw.strip():
        raise BadRequest(f"{parameter.code}: an empty value; leave the parameter out or use :missing")
    if "\0" in raw:
        raise BadRequest(f"{parameter.code}: {raw!r} has the character U+0000, which no text of FHIR may have")
    if modifier in _BY_MODIFIER:
        return _BY_MODIFIER[modifier](parameter, raw)
    if modifier is not None and is_resource_type(modifier):
        return _typed_reference(parameter, modifier, raw, asked)
    return _BY_KIND[parameter.kind](parameter, raw, asked)


# --- by kind ----------------------------------------------------------------------------------------------------


def _string(parameter: SearchParameter, raw: str, asked: Asked) -> StringValue:
    text = unescape(raw)
    if len(text.encode("utf-16-le", "surrogatepass")) > 2 * LONGEST_TEXT:
        raise BadRequest(f"{parameter.code}: a text to search for has at most {LONGEST_TEXT} characters")
    return StringValue(text)


def _date(parameter: SearchParameter, raw: str, asked: Asked) -> SearchValue:
    return parse_date(parameter.code, unescape(raw), asked.now)


def _number(parameter: SearchParameter, raw: str, asked: Asked) -> SearchValue:
    return parse_number(parameter.code, unescape(raw))


def _quantity(parameter: SearchParameter, raw: str, asked: Asked) -> SearchValue:
    return parse_quantity(parameter.code, raw)


def _uri(parameter: SearchParameter, raw: str, asked: Asked) -> UriValue:
    return UriValue(unescape(raw))


def _token_of(parameter: SearchParameter, raw: str, asked: Asked) -> TokenValue:
    return _token(parameter, raw)


def _token(parameter: SearchParameter, raw: str) -> TokenValue:
    """`code`, `system|code`, `|code` (no system), `system|` (any code)."""
    first, *others = (unescape(part) for part in split(raw, "|"))
    if not others:
        return TokenValue(None, first)
    if len(others) > 1 or not (first or others[0]):
        raise BadRequest(
            f"{parameter.code}: {raw!r} is not a token; allowed are code, system|code, |code and system|"
            r" (write \| for a bar inside a code)"
        )
    return TokenValue(first, others[0] or None)


def _reference(parameter: SearchParameter, raw: str, asked: Asked) -> ReferenceValue:
    """An id alone takes the only type the parameter can point to; with several it stays open.

    The version of a resource of ours is not looked at: clients ask with the id that an answer gave them, version
    included, for all that refers to the resource.
    """
    text = unescape(raw)
    if ID.fullmatch(text):
        return ReferenceValue(parameter.targets[0] if len(parameter.targets) == 1 else None, text)
    by_url = is_canonical(parameter.type, parameter.code)  # also of our own address
    found = parse_reference(text, base_url=None if by_url else asked.base_url)
    if found.kind == "relative":
        return ReferenceValue(found.type, found.id)
    if found.kind in ("absolute", "canonical", "urn"):
        return ReferenceValue(None, None, text)
    raise BadRequest(f"{parameter.code}: {text!r} is not a reference to search for; allowed are id, Type/id and URL")


def _composite(parameter: SearchParameter, raw: str, asked: Asked) -> CompositeValue:
    parts = split(raw, "$")
    names = "$".join(component.code for component in parameter.components)
    if len(parts) != len(parameter.components):
        raise BadRequest(f"{parameter.code}: {raw!r} has {len(parts)} part(s); allowed is {names}")
    values = []
    for part, component in zip(parts, parameter.components, strict=True):
        like = SearchParameter(parameter.type, component.code, component.kind, component.expression)
        values.append(parse_value(like, None, part, asked))
    return CompositeValue(tuple(values))


def _special(parameter: SearchParameter, raw: str, asked: Asked) -> SearchValue:
    if parameter.code in TEXTS:
        text = unescape(raw)
        parse_words(parameter.code, text)
        return StringValue(text)
    return parse_near(parameter.code, raw)


_BY_KIND: Final[dict[str, Callable[[SearchParameter, str, Asked], SearchValue]]] = {
    "string": _string,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "uri": _uri,
    "token": _token_of,
    "reference": _reference,
    "composite": _composite,
    "special": _special,
}


# --- by modifier ------------------------------------------------------------------------------------------------


def _missing(parameter: SearchParameter, raw: str) -> MissingValue:
    if raw not in ("true", "false"):
        raise BadRequest(f"{parameter.code}:missing: {raw!r}; allowed are true and false")
    return MissingValue(raw == "true")


def _text(parameter: SearchParameter, raw: str) -> StringValue:
    return StringValue(unescape(raw))


def _value_set(parameter: SearchParameter, raw: str) -> UriValue:
    return UriValue(unescape(raw))


def _of_type(parameter: SearchParameter, raw: str) -> TokenValue:
    parts = [unescape(part) for part in split(raw, "|")]
    if len(parts) != 3 or not all(parts):
        raise BadRequest(f"{parameter.code}:of-type: {raw!r}; allowed is system|code|value, all three")
    return TokenValue(parts[0], parts[2], type_code=parts[1])


def _typed_reference(parameter: SearchParameter, fhir_type: str, raw: str, asked: Asked) -> ReferenceValue:
    text = unescape(raw)
    if ID.fullmatch(text):
        return ReferenceValue(fhir_type, text)
    found = parse_reference(text, base_url=asked.base_url)
    if found.kind != "relative" or found.type != fhir_type:
        raise BadRequest(f"{parameter.code}:{fhir_type}: {raw!r} is not an id of a {fhir_type}")
    return ReferenceValue(fhir_type, found.id)


_BY_MODIFIER: Final[dict[str, Callable[[SearchParameter, str], SearchValue]]] = {
    "missing": _missing,
    "text": _text,
    "in": _value_set,
    "not-in": _value_set,
    "of-type": _of_type,
    "identifier": _token,
}
