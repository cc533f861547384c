"""From the values of search parameters to rows of the index tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from fhir_facade.adapters.embedded.catalogue import CANONICAL, NEAR, RANGE, UNKNOWN, Catalogue
from fhir_facade.adapters.embedded.hot import NO_DATE, SUBJECT_PARAMS
from fhir_facade.adapters.embedded.spans import tail_of
from fhir_facade.fhir.definitions.unions import unions
from fhir_facade.fhir.extract import (
    CompositeRow,
    DateRow,
    NumberRow,
    QuantityRow,
    ReferenceRow,
    StringRow,
    TokenRow,
    UriRow,
    extract,
)
from fhir_facade.fhir.extract.canonical import in_canonical_units
from fhir_facade.fhir.extract.local import local_targets
from fhir_facade.fhir.extract.rows import IndexRows
from fhir_facade.fhir.match import CONTAINED
from fhir_facade.fhir.positions import position_of
from fhir_facade.values import JsonObject
from terminology.canonical import UCUM

NO_SYSTEM = ""
_WITH_SYSTEM = (TokenRow, QuantityRow)
MOST_PARTS = 3
PART_COLUMNS = 5
_NO_PART = (None,) * (MOST_PARTS * PART_COLUMNS)

Row = tuple[Any, ...]
Numbers = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Indexed:
    """The values of one resource, the code systems among them, and the local resources that have to be there."""

    values: IndexRows | None = None
    systems: frozenset[str] = field(default_factory=frozenset)
    targets: frozenset[str] = field(default_factory=frozenset)


@cache
def _elsewhere(type: str) -> frozenset[str]:
    """Parameters without rows of their own: others together have them, or the resource's row has columns for them."""
    return unions(type) | {"_id", "_lastUpdated"}


def index_values(resource: JsonObject) -> Indexed:
    """Everything that can be computed before the writer is asked. Id and time of writing are columns, not rows."""
    document = dict(resource)
    without = _elsewhere(document["resourceType"])
    values = extract(document, canonical=in_canonical_units, texts=False, without=without)
    if converted := [_in_canonical_units(row) for row in values.quantities if _is_converted(row)]:
        _add_canonical(values, converted)
    if "position" in resource:
        values.numbers += _place(resource)
    if "contained" in resource:
        values.tokens += [TokenRow(CONTAINED, None, kind) for kind in _contained_types(resource)]
    return Indexed(values, _systems(values), local_targets(values, document["resourceType"]))


def _systems(values: IndexRows) -> frozenset[str]:
    """The code systems of all tokens and quantities, those within composites too."""
    found = {system for _, system, _ in values.tokens}
    found.update([row.system for row in values.quantities])
    for _, parts in values.composites:
        found.update([part.system for part in parts if isinstance(part, _WITH_SYSTEM)])
    return frozenset([system or NO_SYSTEM for system in found])


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


def _is_converted(row: QuantityRow) -> bool:
    return row.canonical_code is not None and row.canonical_code != row.code


def _add_canonical(values: IndexRows, converted: list[QuantityRow]) -> None:
    """A second row in canonical units for what is written in others; what composites hold stands alone as well."""
    values.quantities += converted
    composites = [(row, tuple([_in_canonical_units(part) for part in row.parts])) for row in values.composites]
    values.composites += [
        CompositeRow(f"{row.param}{CANONICAL}", parts) for row, parts in composites if parts != row.parts
    ]


def _in_canonical_units(row: Any) -> Any:
    if not isinstance(row, QuantityRow) or not _is_converted(row):
        return row
    assert row.canonical_low is not None
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


def bind(catalogue: Catalogue, type: str, indexed: Indexed) -> dict[str, list[Row]]:
    """Rows per kind, without the pk: parameters and systems as numbers. Systems must be known by now."""
    values = indexed.values
    if values is None:
        return {}
    lists = {
        "token": values.tokens,
        "string": values.strings,
        "date": values.dates,
        "number": values.numbers,
        "quantity": values.quantities,
        "reference": values.references,
        "composite": values.composites,
        "uri": values.uris,
    }
    params, systems = catalogue.params(type), catalogue.systems()
    rows = {kind: _BINDERS[kind](found, params, systems) for kind, found in lists.items() if found}
    if type == "Observation" and (subjects := _subject_codes(values, systems)):
        rows["subject_code"] = subjects
    return rows


def _tokens(rows: Iterable[TokenRow], params: Numbers, systems: Numbers) -> list[Row]:
    return [
        (params.get(param, UNKNOWN), code or "", systems.get(system or NO_SYSTEM, UNKNOWN))
        for param, system, code in rows
    ]


def _strings(rows: Iterable[StringRow], params: Numbers, systems: Numbers) -> list[Row]:
    return [(params.get(param, UNKNOWN), text, exact) for param, text, exact in rows]


def _dates(rows: Iterable[DateRow], params: Numbers, systems: Numbers) -> list[Row]:
    return [(params.get(param + tail_of(low, high), UNKNOWN), low, high) for param, low, high in rows]


def _numbers(rows: Iterable[NumberRow], params: Numbers, systems: Numbers) -> list[Row]:
    return [(params.get(_amount(param, low, high), UNKNOWN), low, high) for param, low, high in rows]


def _quantities(rows: Iterable[QuantityRow], params: Numbers, systems: Numbers) -> list[Row]:
    return [
        (
            params.get(_amount(param, low, high), UNKNOWN),
            low,
            high,
            code or "",
            systems.get(system or NO_SYSTEM, UNKNOWN),
            unit or "",
        )
        for param, low, high, system, code, unit, *_ in rows
    ]


def _references(rows: Iterable[ReferenceRow], params: Numbers, systems: Numbers) -> list[Row]:
    return [(target, params.get(row.param, UNKNOWN)) for row in rows for target in _targets(row)]


def _composites(rows: Iterable[CompositeRow], params: Numbers, systems: Numbers) -> list[Row]:
    """The columns (code, system, low, high, text) of up to three parts."""
    found = []
    for param, parts in rows:
        columns = [column for part in parts for column in _part(part, systems)]
        found.append((params.get(param, UNKNOWN), *columns, *_NO_PART[len(columns) :]))
    return found


def _uris(rows: Iterable[UriRow], params: Numbers, systems: Numbers) -> list[Row]:
    return [(params.get(param, UNKNOWN), uri) for param, uri in rows]


_BINDERS: Final[dict[str, Callable[[Any, Numbers, Numbers], list[Row]]]] = {
    "token": _tokens,
    "string": _strings,
    "date": _dates,
    "number": _numbers,
    "quantity": _quantities,
    "reference": _references,
    "composite": _composites,
    "uri": _uris,
}


def _amount(param: str, low: float, high: float) -> str:
    return param if low == high else f"{param}{RANGE}"


def _target(row: ReferenceRow) -> str:
    return f"{row.type}/{row.id}" if row.id is not None else row.url or ""


def _targets(row: ReferenceRow) -> tuple[str, ...]:
    """A canonical is found with and without its version; one without stands as `url|` too."""
    target = _target(row)
    return (target,) if row.version is None or row.id is not None else (target, f"{target}|{row.version}")


def _part(part: Any, systems: Numbers) -> Row:
    match part:
        case TokenRow():
            return part.code or "", systems.get(part.system or NO_SYSTEM, UNKNOWN), None, None, None
        case QuantityRow():
            system = systems.get(part.system or NO_SYSTEM, UNKNOWN)
            return part.code or "", system, part.low, part.high, part.unit or ""
        case DateRow() | NumberRow():
            return None, None, part.low, part.high, None
        case ReferenceRow():
            return None, None, None, None, _target(part)
        case _:
            return None, None, None, None, part.uri if isinstance(part, UriRow) else part.text


def _subject_codes(values: IndexRows, systems: Numbers) -> list[Row]:
    """Every code of every subject, with the earliest date."""
    subjects = {_target(row) for row in values.references if row.param in SUBJECT_PARAMS}
    codes = {(code, system or NO_SYSTEM) for param, system, code in values.tokens if param == "code" and code}
    low, high = min([(low, high) for param, low, high in values.dates if param == "date"], default=(NO_DATE, NO_DATE))
    return [(subject, code, systems.get(system, UNKNOWN), low, high) for subject in subjects for code, system in codes]
