"""From the values of search parameters to rows of the index tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fhir_facade.adapters.embedded.catalogue import CANONICAL, NEAR, RANGE, UNKNOWN, Catalogue
from fhir_facade.adapters.embedded.hot import NO_DATE, SUBJECT_PARAMS
from fhir_facade.adapters.embedded.spans import tail_of
from fhir_facade.fhir.extract import (
    CompositeRow,
    DateRow,
    NumberRow,
    QuantityRow,
    ReferenceRow,
    TokenRow,
    UriRow,
    extract,
)
from fhir_facade.fhir.extract.canonical import UCUM, in_canonical_units
from fhir_facade.fhir.extract.rows import IndexRows
from fhir_facade.fhir.match import CONTAINED
from fhir_facade.fhir.positions import position_of
from fhir_facade.fhir.references import reference_texts
from fhir_facade.values import JsonObject

NO_SYSTEM = ""
_WITH_SYSTEM = (TokenRow, QuantityRow)
MOST_PARTS = 3
PART_COLUMNS = 5
_NO_PART = (None,) * (MOST_PARTS * PART_COLUMNS)
_LOCAL = re.compile(r"([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")


@dataclass(frozen=True, slots=True)
class Indexed:
    """The values of one resource, the code systems among them, and the local resources it refers to."""

    values: IndexRows | None = None
    systems: frozenset[str] = field(default_factory=frozenset)
    targets: frozenset[str] = field(default_factory=frozenset)


def index_values(resource: JsonObject, body: bytes = b"") -> Indexed:
    """Everything that can be computed before the writer is asked. Id and time of writing are columns, not rows."""
    document = dict(resource)
    values = extract(document, canonical=in_canonical_units, texts=False, unions=False)
    values.tokens = [row for row in values.tokens if row.param != "_id"]
    values.dates = [row for row in values.dates if row.param != "_lastUpdated"]
    if values.quantities:
        _add_canonical(values)
    if "position" in resource:
        values.numbers += _place(resource)
    if "contained" in resource:
        values.tokens += [TokenRow(CONTAINED, None, kind) for kind in _contained_types(resource)]
    systems = {token.system or NO_SYSTEM for token in values.tokens}
    systems.update([quantity.system or NO_SYSTEM for quantity in values.quantities])
    for row in values.composites:
        systems.update([part.system or NO_SYSTEM for part in row.parts if isinstance(part, _WITH_SYSTEM)])
    return Indexed(values, frozenset(systems), local_targets(document, body))


def _contained_types(resource: JsonObject) -> list[str]:
    contained = resource["contained"]
    found = (
        [item.get("resourceType") for item in contained if isinstance(item, dict)]
        if isinstance(contained, list)
        else []
    )
    return sorted({kind for kind in found if isinstance(kind, str)})


def _place(resource: JsonObject) -> list[NumberRow]:
    """Latitude and longitude of a Location, for `near`."""
    found = position_of(resource)
    if found is None or resource.get("resourceType") != "Location":
        return []
    return [NumberRow(name, degrees, degrees) for name, degrees in zip(NEAR, found, strict=True)]


def _add_canonical(values: IndexRows) -> None:
    """A second row in canonical units for what is written in others."""
    values.quantities += [replaced for row in values.quantities if (replaced := _in_canonical_units(row)) is not row]
    composites = [(row, tuple(_in_canonical_units(part) for part in row.parts)) for row in values.composites]
    values.composites += [
        CompositeRow(f"{row.param}{CANONICAL}", parts) for row, parts in composites if parts != row.parts
    ]


def _in_canonical_units(row: Any) -> Any:
    if not isinstance(row, QuantityRow) or row.canonical_low is None or row.canonical_code == row.code:
        return row
    assert row.canonical_high is not None
    return QuantityRow(
        f"{row.param}{CANONICAL}",
        row.canonical_low,
        row.canonical_high,
        UCUM,
        row.canonical_code,
        None,
        None,
        None,
        None,
    )


def bind(catalogue: Catalogue, type: str, indexed: Indexed) -> dict[str, list[tuple[Any, ...]]]:
    """Rows per kind, without the pk: parameters and systems as numbers. Systems must be known by now."""
    values = indexed.values
    if values is None:
        return {}
    numbers, system = catalogue.params(type), catalogue.system
    rows: dict[str, list[tuple[Any, ...]]] = {
        "token": [(numbers.get(t.param, UNKNOWN), t.code or "", system(t.system or NO_SYSTEM)) for t in values.tokens],
        "string": [(numbers.get(s.param, UNKNOWN), s.text, s.exact) for s in values.strings],
        "date": [(numbers.get(d.param + tail_of(d.low, d.high), UNKNOWN), d.low, d.high) for d in values.dates],
        "number": [(numbers.get(_amount(n), UNKNOWN), n.low, n.high) for n in values.numbers],
        "quantity": [
            (numbers.get(_amount(q), UNKNOWN), q.low, q.high, q.code or "", system(q.system or NO_SYSTEM), q.unit or "")
            for q in values.quantities
        ],
        "reference": [(target, numbers.get(r.param, UNKNOWN)) for r in values.references for target in _targets(r)],
        "composite": [(numbers.get(c.param, UNKNOWN), *_parts(catalogue, c)) for c in values.composites],
        "uri": [(numbers.get(u.param, UNKNOWN), u.uri) for u in values.uris],
    }
    if type == "Observation":
        rows["subject_code"] = list(_subject_codes(catalogue, values))
    return {kind: found for kind, found in rows.items() if found}


def _amount(row: NumberRow | QuantityRow) -> str:
    return row.param if row.low == row.high else f"{row.param}{RANGE}"


def _target(row: ReferenceRow) -> str:
    return f"{row.type}/{row.id}" if row.id is not None else row.url or ""


def _targets(row: ReferenceRow) -> tuple[str, ...]:
    """A canonical is found with and without its version."""
    target = _target(row)
    return (target,) if row.version is None or row.id is not None else (target, f"{target}|{row.version}")


def _parts(catalogue: Catalogue, row: CompositeRow) -> tuple[Any, ...]:
    """The columns (code, system, low, high, text) of up to three parts."""
    columns = [column for part in row.parts for column in _part(catalogue, part)]
    return (*columns, *_NO_PART[len(columns) :])


def _part(catalogue: Catalogue, part: Any) -> tuple[Any, ...]:
    match part:
        case TokenRow():
            return part.code or "", catalogue.system(part.system or NO_SYSTEM), None, None, None
        case QuantityRow():
            system = catalogue.system(part.system or NO_SYSTEM)
            return part.code or "", system, part.low, part.high, part.unit or ""
        case DateRow() | NumberRow():
            return None, None, part.low, part.high, None
        case ReferenceRow():
            return None, None, None, None, _target(part)
        case _:
            return None, None, None, None, part.uri if isinstance(part, UriRow) else part.text


def _subject_codes(catalogue: Catalogue, values: IndexRows) -> Iterable[tuple[Any, ...]]:
    subjects = {_target(r) for r in values.references if r.param in SUBJECT_PARAMS}
    codes = {(t.code, t.system or NO_SYSTEM) for t in values.tokens if t.param == "code" and t.code}
    low, high = min(((d.low, d.high) for d in values.dates if d.param == "date"), default=(NO_DATE, NO_DATE))
    for subject in subjects:
        for code, system in codes:
            yield subject, code, catalogue.system(system), low, high


def local_targets(resource: JsonObject, body: bytes = b"") -> frozenset[str]:
    """`Type/id` of every literal relative reference at any depth."""
    found = (_LOCAL.fullmatch(text) for text in reference_texts(resource, body))
    return frozenset(match[1] for match in found if match is not None)
