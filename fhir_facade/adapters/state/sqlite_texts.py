"""The statements on rows as SQLite text, with a `?` for every value. https://sqlite.org/lang.html

Put together here: SQLAlchemy would take half of the time and a fifth of the memory of a start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from fhir_facade.adapters.sqlite_lists import one_of
from fhir_facade.adapters.state.steps import Verb, names_of
from fhir_facade.adapters.state.tables import RowTable

Condition = tuple[str, str, Any]
Asked = tuple[str, list[Any]]
"""A statement and its values."""

OPERATORS = {"=": "=", "!=": "IS NOT", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def select(table: RowTable[Any], where: Sequence[Condition], order: tuple[str, ...], limit: int | None) -> Asked:
    """Rows with equal `order` fields come by key. Absent values come first, as SQLite has it."""
    condition, values = _where(table, where)
    wanted = (*order, *_tie_breakers(table, order)) if order else ()
    directions = [f"{_quoted(name.removeprefix('-'))}{' DESC' if name.startswith('-') else ''}" for name in wanted]
    by = f" ORDER BY {', '.join(directions)}" if directions else ""
    most, values = ("", values) if limit is None else (" LIMIT ?", [*values, limit])
    return f"{rows_of(table)}{condition}{by}{most}", values


def count(table: RowTable[Any], where: Sequence[Condition]) -> Asked:
    condition, values = _where(table, where)
    return f"SELECT count(*) FROM {_quoted(table.spec.name)}{condition}", values


def update(table: RowTable[Any], where: Sequence[Condition], new: dict[str, Any]) -> Asked:
    """Answers the rows as they are then."""
    condition, values = _where(table, where)
    assigned = ", ".join(f"{_quoted(name)} = ?" for name in new)
    text = f"UPDATE {_quoted(table.spec.name)} SET {assigned}{condition} RETURNING {_list(table.fields)}"
    return text, [*(table.encode_field(name, value) for name, value in new.items()), *values]


@cache
def rows_of(table: RowTable[Any]) -> str:
    return f"SELECT {_list(table.fields)} FROM {_quoted(table.spec.name)}"


@cache
def row_by_key(table: RowTable[Any]) -> str:
    return f"{rows_of(table)}{_key_is(table)}"


@cache
def keys_among(table: RowTable[Any], amount: int) -> str:
    """Those of so many keys that are there: their index knows without a look at the rows."""
    return f"SELECT {_list(table.spec.key)} FROM {_quoted(table.spec.name)}{_among(table, amount)}"


@cache
def take_among(table: RowTable[Any], amount: int) -> str:
    """Removes those with one of so many keys and answers the keys that were there."""
    return f"DELETE FROM {_quoted(table.spec.name)}{_among(table, amount)} RETURNING {_list(table.spec.key)}"


@cache
def change_text(table: RowTable[Any], verb: Verb) -> str:
    """Of a step; an insert fails on an existing key, a put replaces its row."""
    name, names = _quoted(table.spec.name), names_of(table, verb)
    if verb == "remove":
        return f"DELETE FROM {name}{_key_is(table)}"
    insert = f"INSERT INTO {name} ({_list(names)}) VALUES ({', '.join('?' * len(names))})"
    if verb != "put":
        return insert
    others = [other for other in map(_quoted, names) if other not in map(_quoted, table.spec.key)]
    replace = f"UPDATE SET {', '.join(f'{other} = excluded.{other}' for other in others)}" if others else "NOTHING"
    return f"{insert} ON CONFLICT ({_list(table.spec.key)}) DO {replace}"


def _where(table: RowTable[Any], where: Sequence[Condition]) -> Asked:
    texts, values = [], []
    for name, operator, value in where:
        text, some = _condition(table, name, operator, value)
        texts.append(text)
        values += some
    return (f" WHERE {' AND '.join(texts)}" if texts else ""), values


def _condition(table: RowTable[Any], name: str, operator: str, value: Any) -> Asked:
    if operator == "in":
        among, wanted = one_of([table.encode_field(name, each) for each in value])
        return f"{_quoted(name)} {among}", list(wanted)
    said = "IS" if operator == "=" and value is None else OPERATORS[operator]
    return f"{_quoted(name)} {said} ?", [table.encode_field(name, value)]


def _tie_breakers(table: RowTable[Any], order: tuple[str, ...]) -> tuple[str, ...]:
    """The key fields that `order` lacks, in the direction of its last field."""
    named = {name.removeprefix("-") for name in order}
    sign = "-" if order[-1].startswith("-") else ""
    return tuple(f"{sign}{name}" for name in table.spec.key if name not in named)


def _key_is(table: RowTable[Any]) -> str:
    return f" WHERE {' AND '.join(f'{_quoted(name)} = ?' for name in table.spec.key)}"


def _among(table: RowTable[Any], amount: int) -> str:
    (key,) = table.spec.key
    return f" WHERE {_quoted(key)} IN ({', '.join('?' * amount)})"


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return f'"{name}"'
