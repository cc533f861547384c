"""What `_sort` orders by: in SQL for what is there, and of a version that is no longer there.

The value that comes first decides where there are several, and what has none comes last in both directions. As HAPI has
it, tokens are sorted by the first of their systems, then by the first of their codes, and a reference by when its
target was first written here: so what points to one resource stands together. Texts are sorted in capital letters,
which come before the underline and the brackets.
https://hl7.org/fhir/R4/search.html#sort
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any, Final

from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.fhir.definitions.unions import parts_of
from fhir_facade.fhir.extract import TokenRow
from fhir_facade.fhir.extract.rows import IndexRows
from fhir_facade.values import SearchQuery, Sort

OF_THE_RESOURCE: Final = {"_id": "r.id", "_lastUpdated": "r.updated"}

_TARGETS: Final = """idx_reference v CROSS JOIN fhir_resource t
  ON t.type = substr(v.target, 1, instr(v.target, '/') - 1) AND t.id = substr(v.target, instr(v.target, '/') + 1)
  AND t.deleted = 0"""

_COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "date": ("idx_date v", "v.low"),
    "string": ("idx_string v", "upper(v.folded)"),
    "number": ("idx_number v", "v.low"),
    "quantity": ("idx_quantity v", "v.low"),
    "uri": ("idx_uri v", "v.uri"),
    "reference": (_TARGETS, "t.pk"),
}
_INTERVALS: Final = ("number", "quantity")
"""Of these it is the greatest number that decides backwards."""

_BEYOND: Final = 1e300
_BOUNDED: Final = f"max(min({{}}, {_BEYOND}), -{_BEYOND})"
"""An open end is a number: a link to the next page, which names the last keys, has no word for infinity."""

_UPPER: Final = {ord(small): ord(small.upper()) for small in ascii_lowercase}
"""As SQLite has `upper`."""

_CODES: Final = "idx_token v CROSS JOIN fhir_system s ON s.id = v.system"
_FIRST_CODE: Final = "min((s.url = '') || s.url) || char(1) || min((v.code = '') || v.code)"
_LAST_CODE: Final = "max((s.url <> '') || s.url) || char(1) || max((v.code <> '') || v.code)"


def sort_keys(catalogue: Catalogue, query: SearchQuery) -> tuple[tuple[str, bool], ...]:
    """(expression, descending) of each key; without a sort the order is that of creation."""
    if not query.sort:
        return (("r.pk", False),)
    keys: list[tuple[str, bool]] = []
    for sort in query.sort:
        own = OF_THE_RESOURCE.get(sort.name)
        expression = own or _expression(catalogue, query.type, sort)
        if own is None:
            keys.append((f"({expression} IS NULL)", False))
        keys.append((expression, sort.descending))
    return (*keys, ("r.id", False))


def _expression(catalogue: Catalogue, type: str, sort: Sort) -> str:
    if sort.kind == "token":
        table, value = _CODES, _LAST_CODE if sort.descending else _FIRST_CODE
    else:
        table, column = _COLUMNS[sort.kind]
        if sort.kind in _INTERVALS:
            column = _BOUNDED.format("v.high" if sort.descending else column)
        value = f"{'max' if sort.descending else 'min'}({column})"
    numbers = ", ".join(map(str, catalogue.searched(type, sort.name)))
    return f"(SELECT {value} FROM {table} WHERE v.pk = r.pk AND v.param IN ({numbers}))"


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a resource with the values of its search parameters, and the rows that they make."""

    id: str
    updated: int
    values: IndexRows
    rows: Mapping[str, Sequence[tuple[Any, ...]]]


def keys_of(connection: sqlite3.Connection, catalogue: Catalogue, query: SearchQuery, version: Version) -> list[Any]:
    """What these keys were of a version, but for the last one, its id."""
    keys: list[Any] = []
    for sort in query.sort:
        if sort.name in OF_THE_RESOURCE:
            keys.append(version.id if sort.name == "_id" else version.updated)
            continue
        values = list(_values(connection, catalogue, query.type, sort, version))
        decisive = max if sort.descending else min
        if sort.kind == "token":
            value = "\x01".join(decisive(parts) for parts in zip(*values, strict=True)) if values else None
        else:
            value = decisive(values, default=None)
        keys += [int(value is None), value]
    return keys


def _values(
    connection: sqlite3.Connection, catalogue: Catalogue, type: str, sort: Sort, version: Version
) -> Iterator[Any]:
    numbers = catalogue.searched(type, sort.name)
    match sort.kind:
        case "token":
            names = parts_of(type, sort.name)
            return (_token(row, there=sort.descending) for row in version.values.tokens if row.param in names)
        case "reference":
            targets = (target for target, param in version.rows.get("reference", ()) if param in numbers)
            return (pk for target in targets for pk in _written(connection, target))
        case "string":
            return (row[1].translate(_UPPER) for row in version.rows.get("string", ()) if row[0] in numbers)
        case kind if kind in _INTERVALS:
            ends = (row[2 if sort.descending else 1] for row in version.rows.get(kind, ()) if row[0] in numbers)
            return (max(min(end, _BEYOND), -_BEYOND) for end in ends)
        case _:
            return (row[1] for row in version.rows.get(sort.kind, ()) if row[0] in numbers)


def _token(row: TokenRow, *, there: bool) -> tuple[str, str]:
    """As in SQL: before each of both stands whether it is there, or whether it is not."""
    system, code = row.system or "", row.code or ""
    return f"{int(bool(system) is there)}{system}", f"{int(bool(code) is there)}{code}"


def _written(connection: sqlite3.Connection, target: str) -> list[int]:
    kind, _, id_ = target.partition("/")
    found = connection.execute("SELECT pk FROM fhir_resource WHERE type = ? AND id = ? AND deleted = 0", (kind, id_))
    return [pk for (pk,) in found.fetchall()]
