"""From one FHIR value to index rows, a function per kind of parameter and type (https://hl7.org/fhir/R4/search.html#table).

An emitter takes (value, rows) and appends; what has the wrong shape is passed over, the gate refuses it elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any, Final

from fhir_facade.fhir.extract.dates import MAX_US, MIN_US, interval
from fhir_facade.fhir.extract.rows import (
    DateRow,
    IndexRows,
    NumberRow,
    QuantityRow,
    ReferenceRow,
    StringRow,
    TokenRow,
    UriRow,
)
from fhir_facade.fhir.extract.text import normalise
from fhir_facade.fhir.references import parse_reference

Emit = Callable[[Any, IndexRows], None]
Names = tuple[str, ...]
UCUM: Final = "http://unitsofmeasure.org"
CURRENCY: Final = "urn:iso:std:iso:4217"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


# --- token ----------------------------------------------------------------------------------------------------


def _coding(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if not isinstance(value, dict):
            return
        system, code = value.get("system"), value.get("code")
        if system is not None or code is not None:
            rows.tokens.extend([TokenRow(name, system, code) for name in names])

    return emit


def _concept(names: Names) -> Emit:
    coding = _coding(names)

    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict):
            for item in _listed(value.get("coding")):
                coding(item, rows)

    return emit


def _identified(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if not isinstance(value, dict):
            return
        system, code = value.get("system"), value.get("value")
        if system is not None or code is not None:
            rows.tokens.extend([TokenRow(name, system, code) for name in names])

    return emit


def _identifier(names: Names) -> Emit:
    identified = _identified(names)

    def emit(value: Any, rows: IndexRows) -> None:
        identified(value, rows)
        if not isinstance(value, dict) or "value" not in value:
            return
        for kind in _codings(value.get("type")):
            typed = f"{kind.get('code', '')}|{value['value']}"
            rows.tokens.extend([TokenRow(f"{name}:of-type", kind.get("system"), typed) for name in names])

    return emit


def _codings(concept: Any) -> Iterable[dict[str, Any]]:
    if not isinstance(concept, dict):
        return []
    return [item for item in _listed(concept.get("coding")) if isinstance(item, dict)]


def _contact(names: Names) -> Emit:
    """The contact's own system (phone, email) stands as the token's system, as HAPI has it."""

    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict) and "value" in value:
            rows.tokens.extend([TokenRow(name, value.get("system"), value["value"]) for name in names])

    return emit


def _code(names: Names, system: str) -> Emit:
    implied = system or None

    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, str):
            rows.tokens.extend([TokenRow(name, implied, value) for name in names])

    return emit


def _boolean(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, bool):
            rows.tokens.extend([TokenRow(name, None, "true" if value else "false") for name in names])

    return emit


# --- :text of tokens ------------------------------------------------------------------------------------------


def _text_rows(names: Names, text: Any, rows: IndexRows) -> None:
    if isinstance(text, str) and text:
        folded = normalise(text)
        rows.texts.extend([StringRow(name, folded, text) for name in names])


def _coding_text(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict):
            _text_rows(names, value.get("display"), rows)

    return emit


def _concept_text(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict):
            _text_rows(names, value.get("text"), rows)
            for item in _codings(value):
                _text_rows(names, item.get("display"), rows)

    return emit


def _identifier_text(names: Names) -> Emit:
    concept = _concept_text(names)

    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict):
            concept(value.get("type"), rows)

    return emit


# --- string, uri ----------------------------------------------------------------------------------------------


def _string(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, str) and value:
            folded = normalise(value)
            rows.strings.extend([StringRow(name, folded, value) for name in names])

    return emit


def _parts(fields: tuple[str, ...]) -> Callable[[Names], Emit]:
    """Every part of a HumanName or Address is a value of its own."""

    def build(names: Names) -> Emit:
        string = _string(names)

        def emit(value: Any, rows: IndexRows) -> None:
            if not isinstance(value, dict):
                return
            for field in fields:
                part = value.get(field)
                for text in part if isinstance(part, list) else (part,):
                    string(text, rows)

        return emit

    return build


def _uri(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, str):
            rows.uris.extend([UriRow(name, value) for name in names])

    return emit


def _canonical(names: Names) -> Emit:
    """A canonical is found with and without its version."""

    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, str):
            url, bar, _ = value.partition("|")
            forms = (value, url) if bar else (value,)
            rows.uris.extend([UriRow(name, form) for form in forms for name in names])

    return emit


# --- date -----------------------------------------------------------------------------------------------------


def _date(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        span = interval(value) if isinstance(value, str) else None
        if span is not None:
            rows.dates.extend([DateRow(name, *span) for name in names])

    return emit


def _period_span(value: Any) -> tuple[int, int] | None:
    if not isinstance(value, dict):
        return None
    start, end = (interval(text) if isinstance(text := value.get(key), str) else None for key in ("start", "end"))
    if start is None and end is None:
        return None
    return start[0] if start else MIN_US, end[1] if end else MAX_US


def _timing_span(value: Any) -> tuple[int, int] | None:
    if not isinstance(value, dict):
        return None
    repeat = value.get("repeat")
    bounds = _period_span(repeat.get("boundsPeriod")) if isinstance(repeat, dict) else None
    events = [interval(event) for event in _listed(value.get("event")) if isinstance(event, str)]
    spans = [span for span in (bounds, *events) if span is not None]
    return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None


def _span(span_of: Callable[[Any], tuple[int, int] | None]) -> Callable[[Names], Emit]:
    def build(names: Names) -> Emit:
        def emit(value: Any, rows: IndexRows) -> None:
            span = span_of(value)
            if span is not None:
                rows.dates.extend([DateRow(name, *span) for name in names])

        return emit

    return build


# --- number, quantity -----------------------------------------------------------------------------------------


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _numbers(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        number = _number(value)
        if number is not None:
            rows.numbers.extend([NumberRow(name, number, number) for name in names])

    return emit


def _range_ends(value: Any) -> tuple[float, float, dict[str, Any]] | None:
    """low, high and the quantity that says the unit."""
    if not isinstance(value, dict):
        return None
    ends = [end if isinstance(end := value.get(key), dict) else {} for key in ("low", "high")]
    low, high = (_number(end.get("value")) for end in ends)
    if low is None and high is None:
        return None
    return (
        -math.inf if low is None else low,
        math.inf if high is None else high,
        ends[0] if low is not None else ends[1],
    )


def _number_range(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        found = _range_ends(value)
        if found is not None:
            rows.numbers.extend([NumberRow(name, found[0], found[1]) for name in names])

    return emit


def _quantity_rows(names: Names, low: float, high: float, unit: dict[str, Any], rows: IndexRows) -> None:
    system, code, printed = unit.get("system"), unit.get("code"), unit.get("unit")
    canonical = _in_canonical_units(low, high, system, code, rows)
    rows.quantities.extend([QuantityRow(name, low, high, system, code, printed, *canonical) for name in names])


_NO_CANONICAL: Final = (None, None, None)


def _in_canonical_units(
    low: float, high: float, system: Any, code: Any, rows: IndexRows
) -> tuple[float | None, float | None, str | None]:
    if rows.canonical is None or system != UCUM or not isinstance(code, str):
        return _NO_CANONICAL
    finite = [end for end in (low, high) if math.isfinite(end)]
    found = [rows.canonical(end, code) for end in dict.fromkeys(finite)]
    known = [item for item in found if item is not None]
    if not known:
        return _NO_CANONICAL
    return (
        known[0][0] if math.isfinite(low) else low,
        known[-1][0] if math.isfinite(high) else high,
        known[0][1],
    )


_COMPARED: Final[dict[str, Callable[[float], tuple[float, float]]]] = {
    "<": lambda value: (-math.inf, math.nextafter(value, -math.inf)),
    "<=": lambda value: (-math.inf, value),
    ">=": lambda value: (value, math.inf),
    ">": lambda value: (math.nextafter(value, math.inf), math.inf),
}


def _quantity(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        number = _number(value.get("value")) if isinstance(value, dict) else None
        if number is None:
            return
        compared = _COMPARED.get(value.get("comparator", ""))
        low, high = compared(number) if compared else (number, number)
        _quantity_rows(names, low, high, value, rows)

    return emit


def _quantity_range(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        found = _range_ends(value)
        if found is not None:
            _quantity_rows(names, *found, rows)

    return emit


def _money(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        number = _number(value.get("value")) if isinstance(value, dict) else None
        if number is not None:
            currency = value.get("currency")
            unit = {"system": CURRENCY, "code": currency} if currency else {}
            _quantity_rows(names, number, number, unit, rows)

    return emit


def _sampled(names: Names) -> Emit:
    """The bounds of the samples, as R4 wants it; `L` and `U` reach to the limits of detection, `E` says nothing."""

    def emit(value: Any, rows: IndexRows) -> None:
        if not isinstance(value, dict) or not isinstance(value.get("origin"), dict):
            return
        origin = _number(value["origin"].get("value"))
        ends = _sample_ends(value, origin) if origin is not None else []
        if ends:
            _quantity_rows(names, min(ends), max(ends), value["origin"], rows)

    return emit


def _sample_ends(value: dict[str, Any], origin: float) -> list[float]:
    factor = _number(value.get("factor", 1)) or 1.0
    words = str(value.get("data", "")).split()
    limits = {"L": _number(value.get("lowerLimit")), "U": _number(value.get("upperLimit"))}
    found = [limits[word] if word in limits else _number(word) for word in words]
    return [origin + number * factor for number in found if number is not None]


# --- reference ------------------------------------------------------------------------------------------------


_parsed = lru_cache(maxsize=4096)(parse_reference)


def refers_to(value: Any, fhir_type: str) -> bool:
    """Does the Reference say that its target is of this type? By its literal, else by its `type`."""
    if not isinstance(value, dict):
        return False
    text = value.get("reference")
    said = _parsed(text).type if isinstance(text, str) else None
    return (said or value.get("type")) == fhir_type


def _literal(names: Names, text: str, rows: IndexRows) -> None:
    found = _parsed(text)
    if found.kind in ("contained", "conditional", "unknown"):
        return
    local = found.id if found.kind == "relative" else None
    rows.references.extend([ReferenceRow(name, found.type, local, found.version, found.url) for name in names])


def _reference(names: Names) -> Emit:
    identified = _identified(tuple(f"{name}:identifier" for name in names))

    def emit(value: Any, rows: IndexRows) -> None:
        if not isinstance(value, dict):
            return
        text = value.get("reference")
        if isinstance(text, str):
            _literal(names, text, rows)
        if "identifier" in value:
            identified(value["identifier"], rows)

    return emit


def _canonical_reference(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, str):
            _literal(names, value, rows)

    return emit


def _inline(names: Names) -> Emit:
    """The resource of a Bundle entry stands for a reference to itself."""

    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            _literal(names, f"{value.get('resourceType')}/{value['id']}", rows)

    return emit


# --- the table ------------------------------------------------------------------------------------------------

_NAME_PARTS: Final = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS: Final = ("text", "line", "city", "district", "state", "postalCode", "country")

_EMITTERS: Final[dict[tuple[str, str], Callable[[Names], Emit]]] = {
    ("token", "Coding"): _coding,
    ("token", "CodeableConcept"): _concept,
    ("token", "Identifier"): _identifier,
    ("token", "ContactPoint"): _contact,
    ("token", "boolean"): _boolean,
    ("text", "Coding"): _coding_text,
    ("text", "CodeableConcept"): _concept_text,
    ("text", "Identifier"): _identifier_text,
    ("string", "string"): _string,
    ("string", "markdown"): _string,
    ("string", "HumanName"): _parts(_NAME_PARTS),
    ("string", "Address"): _parts(_ADDRESS_PARTS),
    ("uri", "uri"): _uri,
    ("uri", "url"): _uri,
    ("uri", "canonical"): _canonical,
    ("date", "date"): _date,
    ("date", "dateTime"): _date,
    ("date", "instant"): _date,
    ("date", "Period"): _span(_period_span),
    ("date", "Timing"): _span(_timing_span),
    ("number", "decimal"): _numbers,
    ("number", "integer"): _numbers,
    ("number", "Range"): _number_range,
    ("quantity", "Quantity"): _quantity,
    ("quantity", "Age"): _quantity,
    ("quantity", "Duration"): _quantity,
    ("quantity", "Money"): _money,
    ("quantity", "Range"): _quantity_range,
    ("quantity", "SampledData"): _sampled,
    ("reference", "Reference"): _reference,
    ("reference", "canonical"): _canonical_reference,
    ("reference", "uri"): _canonical_reference,
    ("reference", "Resource"): _inline,
}
_CODES: Final = frozenset({"code", "id", "string", "uri"})


@cache
def emitter(kind: str, fhir_type: str, names: Names, system: str = "") -> Emit | None:
    """The function that indexes values of `fhir_type` for the parameters `names`; None where R4 pairs no such two."""
    if kind == "token" and fhir_type in _CODES:
        return _code(names, system)
    build = _EMITTERS.get((kind, fhir_type))
    return build(names) if build is not None else None
