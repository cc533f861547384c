"""A FHIR document as the bytes it came in: parsed to be looked at, cut and joined to be stored, never through a float.

https://hl7.org/fhir/R4/json.html, https://hl7.org/fhir/R4/datatypes.html#decimal (digits are part of the value).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.definitions import resource_types
from fhir_facade.fhir.relink import with_references

__all__ = [
    "MAX_DEPTH",
    "Lexeme",
    "changed_members",
    "decimal_dumps",
    "decimal_loads",
    "equal_values",
    "instant",
    "known_types",
    "members_of",
    "parse",
    "parse_json",
    "parse_stored",
    "splice",
    "with_references",
]

MAX_DEPTH = 64

_CONTAINERS = (dict, list)
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_LONG_EXPONENT = re.compile(r"[eE][+-]?0*[1-9][0-9]{3}")
_LONG_EXPONENTS = tuple((start, re.compile(start + rb"\+?[0-9]{4}")) for start in (b"e-", b"E-", b"0e", b"0E"))
"""Small numbers, and zeros; a large one is no float. How each begins is looked for quickly."""
_STRIDE = 100
_LARGEST_DIGITS = 308
_MAYBE_LARGE = re.compile(rb"[0-9]{3}")
_LARGE = re.compile(rb"[0-9]{%d}" % (_LARGEST_DIGITS + 1))
"""Longer integers may be more than a double holds. Every hundredth byte says quickly that there is none."""
_MINUS_ZERO = re.compile(rb"-0(?![0-9.eE])")
_BYTE_OFFSET = re.compile(r" \(byte (\d+)\)$")


class Lexeme(Decimal):
    """A decimal that remembers how it was written, so that `1e2` and `0.0000001` leave as they came."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Lexeme:
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Lexeme:
        return self


def _lexeme_bytes(value: object) -> msgspec.Raw:
    if isinstance(value, Lexeme):
        return msgspec.Raw(value.text.encode())
    raise NotImplementedError(f"{type(value).__name__} is no JSON value")


def _refuse_long_exponent(text: str) -> None:
    """A number that no decimal holds would be stored, and break each page that shortens it from then on."""
    if _LONG_EXPONENT.search(text):
        raise BadRequest(f"The number {text[:40]} is out of range; its exponent has at most three digits.")


def _refuse_large(text: str) -> None:
    """As a decimal of that size is refused: the indexes of a store hold doubles."""
    if math.isinf(float(text)):
        raise BadRequest(f"The number {text[:40]}… is out of range; write at most {_LARGEST_DIGITS} digits.")


_DECODER = msgspec.json.Decoder()
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_DECIMAL_DECODER = msgspec.json.Decoder(float_hook=Lexeme)
_BOUNDED_DECODER = msgspec.json.Decoder(float_hook=_refuse_long_exponent)
_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=_lexeme_bytes)


@cache
def known_types() -> frozenset[str]:
    """The 146 resource types of R4, to ask whether a name is one."""
    return frozenset(resource_types())


def parse(body: bytes) -> dict[str, Any]:
    """The document as a dictionary for checks and indexes; its decimals are floats, so it is never stored.

    BadRequest: not JSON (with line and column), not UTF-8, a member named twice at any depth, a NUL character, more
    than 64 levels, a number that no double holds or with an exponent of four digits, not an object, `resourceType`
    missing or not of R4.
    """
    document = parse_json(body)
    if not isinstance(document, dict):
        raise BadRequest("The body is not a JSON object; send one FHIR resource.")
    name = document.get("resourceType")
    if name is None:
        raise BadRequest("The resource has no resourceType; name its FHIR R4 type.", expression="resourceType")
    if not isinstance(name, str) or name not in known_types():
        raise BadRequest(f"{_shown(name)} is not a FHIR R4 resource type.", expression="resourceType")
    return document


def parse_stored(body: bytes) -> dict[str, Any]:
    """What a store gave back, as `parse` gives it: it was checked when it came in, so it is not checked again."""
    document: dict[str, Any] = _DECODER.decode(body)
    return document


def parse_json(body: bytes) -> Any:
    """Any JSON value under the same rules as `parse`, without asking for a resource."""
    try:
        document = _DECODER.decode(body)
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not valid UTF-8; send JSON encoded as UTF-8.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.DecodeError, ValueError) as error:
        raise BadRequest(_syntax_message(body, str(error))) from error
    _refuse_depth(body, document)
    if any(start in body and long.search(body) for start, long in _LONG_EXPONENTS):
        _BOUNDED_DECODER.decode(body)
    if _MAYBE_LARGE.search(body[::_STRIDE]) and _LARGE.search(body):
        json.loads(body, parse_int=_refuse_large)
    if b"\\u0000" in body and _NUL.search(body):
        raise BadRequest("A string contains the character NUL (\\u0000), which FHIR does not allow.")
    _refuse_duplicates(body, document)
    return document


def _shown(value: object) -> str:
    text = str(msgspec.json.encode(value), "utf-8")
    return text if len(text) <= 60 else text[:57] + "..."


def _syntax_message(body: bytes, text: str) -> str:
    found = _BYTE_OFFSET.search(text)
    if found is None:
        return f"The body is not valid JSON: {text}."
    offset = int(found.group(1))
    line = body.count(b"\n", 0, offset) + 1
    column = offset - body.rfind(b"\n", 0, offset)
    return f"The body is not valid JSON: {text[: found.start()]} at line {line}, column {column}."


def _too_deep() -> BadRequest:
    return BadRequest(f"The JSON is nested deeper than {MAX_DEPTH} levels.")


def _refuse_depth(body: bytes, document: Any) -> None:
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) in _CONTAINERS
        ]
        if not level:
            return
    raise _too_deep()


def _refuse_duplicates(body: bytes, document: Any) -> None:
    # A member named twice is lost in the dictionary, so writing it again gives fewer quotes. Two spellings of a quote
    # inside a string would hide that; such rare bodies take the exact way.
    if b"\\u0022" not in body and body.count(b'"') == msgspec.json.encode(document).count(b'"'):
        return
    json.loads(body, object_pairs_hook=_unique_members)


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadRequest(f"The member {_shown(twice)} appears twice in one object; name it once.")
    return members


def members_of(body: bytes) -> dict[str, msgspec.Raw]:
    """The top-level members of a JSON object, each as the bytes it was written in. BadRequest if it is none."""
    try:
        return _MEMBERS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(_syntax_message(body, str(error))) from error


def splice(
    body: bytes,
    *,
    id: str,
    version: str,
    last_updated: datetime,
    meta_changes: Mapping[str, Any] | None = None,
) -> bytes:
    """`body` with `id`, `meta.versionId` and `meta.lastUpdated` set; all other members byte for byte as they came.

    Order: resourceType, id, meta, the rest. `last_updated` is aware and written in UTC with milliseconds (cut, not
    rounded). `meta_changes` sets further members of meta; None removes one.
    """
    members = members_of(body)
    kind = members.pop("resourceType", None)
    if kind is None:
        raise BadRequest("The resource has no resourceType; name its FHIR R4 type.", expression="resourceType")
    members.pop("id", None)
    meta: dict[str, Any] = _meta_members(members.pop("meta", None)) | dict(meta_changes or {})
    kept = {name: value for name, value in meta.items() if name not in _STAMPS and value is not None}
    stamped = {"versionId": version, "lastUpdated": instant(last_updated), **kept}
    return _ENCODER.encode({"resourceType": kind, "id": id, "meta": stamped, **members})


_STAMPS = frozenset(("versionId", "lastUpdated", "_versionId", "_lastUpdated"))


def _meta_members(raw: msgspec.Raw | None) -> dict[str, Any]:
    if raw is None:
        return {}
    try:
        return _MEMBERS.decode(raw)
    except msgspec.DecodeError as error:
        raise BadRequest("meta is not a JSON object.", expression="meta") from error


def instant(moment: datetime) -> str:
    """An aware time as FHIR instant in UTC with milliseconds: `2026-11-21T12:00:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def equal_values(a: bytes, b: bytes) -> bool:
    """Whether two resources are the same JSON value apart from `id`, `meta.versionId` and `meta.lastUpdated`.

    The order of members is irrelevant; numbers are compared as they were written: 1.50 is not 1.5.
    """
    return not changed_members(a, b)


def changed_members(a: bytes, b: bytes) -> frozenset[str]:
    """The members at the top of two resources that differ, or stand in one of them only; as `equal_values` compares."""
    ours, theirs = members_of(a), members_of(b)
    ours.pop("id", None)
    theirs.pop("id", None)
    changed = _different(without_stamps(ours.pop("meta", None)), without_stamps(theirs.pop("meta", None)))
    return _different(ours, theirs) | (frozenset({"meta"}) if changed else frozenset())


def without_stamps(meta: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    """The members of `meta` but for those that a server sets. BadRequest when it is no object."""
    return {name: raw for name, raw in _meta_members(meta).items() if name not in _STAMPS}


def _different(a: Mapping[str, msgspec.Raw], b: Mapping[str, msgspec.Raw]) -> frozenset[str]:
    missing = a.keys() ^ b.keys()
    return frozenset([name for name, raw in a.items() if name in missing or not _same(raw, b[name])]).union(missing)


def _same(a: msgspec.Raw, b: msgspec.Raw) -> bool:
    """What differs as plain values does so as written too, which is looked at quickly."""
    return bytes(a) == bytes(b) or (_DECODER.decode(a) == _DECODER.decode(b) and _lexical(a) == _lexical(b))


def _lexical(raw: msgspec.Raw) -> Any:
    # A number becomes a tuple with its text: unequal to every other JSON value, true and false included.
    return json.loads(bytes(raw), parse_float=_number, parse_int=_number)


def _number(text: str) -> tuple[str]:
    return (text,)


def decimal_loads(body: bytes) -> Any:
    """JSON with every decimal as a `Lexeme`, and so the integer -0, whose sign no int keeps; for the rare rewrites."""
    try:
        if _MINUS_ZERO.search(body):
            return json.loads(body, parse_float=Lexeme, parse_int=_signed, parse_constant=_refuse_constant)
        return _DECIMAL_DECODER.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadRequest(_syntax_message(body, str(error))) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _signed(text: str) -> int | Lexeme:
    return Lexeme(text) if text == "-0" else int(text)


def decimal_dumps(value: Any) -> bytes:
    """The compact JSON of what `decimal_loads` gave; decimals leave with the digits they came with."""
    return _ENCODER.encode(value)
