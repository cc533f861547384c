"""Amounts apart by their units: a rare unit is found beside millions of numbers in others.

The index has the unit before the number. So a number without a unit, or with the text of one, is looked for under each
unit that the parameter has. The index itself tells them: what stands behind the last number of one is of the next.
https://hl7.org/fhir/R4/search.html#quantity
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fhir_facade.adapters.embedded.catalogue import RANGE, UNKNOWN, Catalogue
from fhir_facade.adapters.embedded.compare import point
from fhir_facade.adapters.embedded.source import Sql
from fhir_facade.fhir.extract.canonical import canonical_quantity
from fhir_facade.values import QuantityValue

MOST_LOOKED_UP: Final = 100
"""Values of which each has a SELECT of its own; SQLite joins at most 500 of them."""

ENDS: Final = ("", RANGE)
"""The tails of amounts."""

_ROW: Final = "param, code, system, unit, low, high, pk"
_BEFORE_ALL: Final = f"(?, '', {UNKNOWN - 1}, '')"
_NEXT_OF_ALL: Final = "param = u.param AND (code, system, unit, low) > (u.code, u.system, u.unit, 9e999)"
_FIRST_OF_CODE: Final = "(?, ?, ?, '')"
_NEXT_OF_CODE: Final = "param = u.param AND code = u.code AND system = u.system AND unit > u.unit"


def amount(catalogue: Catalogue, value: QuantityValue) -> Sql:
    """A condition on a row, whichever way it is found."""
    asked = canonical_quantity(value) or value
    (number, number_args), (unit, unit_args) = point(asked), _unit(catalogue, asked)
    return f"({number}) AND {unit}", (*number_args, *unit_args)


def amounts(catalogue: Catalogue, params: Mapping[str, Sequence[int]], values: Sequence[QuantityValue]) -> list[Sql]:
    """SELECTs of the pks of what has one of the values. `params` are numbers of parameters by their tail."""
    if len(values) > MOST_LOOKED_UP:
        return [_among_all(catalogue, numbers, values, tail) for tail, numbers in params.items()]
    return [_looked_up(catalogue, numbers, value, tail) for tail, numbers in params.items() for value in values]


def by_ends(sql: str, tail: str) -> str:
    """Amounts whose two ends are the same are found by the lower one, with which the index has them in order."""
    return sql if tail == RANGE else sql.replace("high", "low")


def _among_all(catalogue: Catalogue, params: Sequence[int], values: Sequence[QuantityValue], tail: str) -> Sql:
    found = [amount(catalogue, value) for value in values]
    tests = " OR ".join([f"({by_ends(sql, tail)})" for sql, _ in found])
    args = tuple([arg for _, own in found for arg in own])
    return f"SELECT pk FROM idx_quantity WHERE param IN ({', '.join('?' * len(params))}) AND ({tests})", (
        *params,
        *args,
    )


def _looked_up(catalogue: Catalogue, params: Sequence[int], value: QuantityValue, tail: str) -> Sql:
    asked = canonical_quantity(value) or value
    (number, number_args), (unit, unit_args) = point(asked), _unit(catalogue, asked)
    units, args = _units(catalogue, params, asked)
    return (
        f"""SELECT q.pk FROM ({units} WHERE {unit}) u CROSS JOIN idx_quantity q ON q.param = u.param AND q.code = u.code
        AND q.system = u.system AND q.unit = u.unit WHERE {by_ends(number, tail)}""",
        (*args, *unit_args, *number_args),
    )


def _unit(catalogue: Catalogue, asked: QuantityValue) -> Sql:
    system = () if asked.system is None else (catalogue.system(asked.system),)
    if asked.code is None:
        return ("system = ?", system) if system else ("1", ())
    if system:
        return "system = ? AND code = ?", (*system, asked.code)
    return "(code = ? OR unit = ?)", (asked.code, asked.code)


def _units(catalogue: Catalogue, params: Sequence[int], asked: QuantityValue) -> Sql:
    """A SELECT of (param, code, system, unit): what stands beside a code of a system, or all there is."""
    first, following, own = _BEFORE_ALL, _NEXT_OF_ALL, tuple[Any, ...]()
    if asked.code is not None and asked.system is not None:
        first, following, own = _FIRST_OF_CODE, _NEXT_OF_CODE, (asked.code, catalogue.system(asked.system))
    return (
        f"""WITH RECURSIVE u (param, code, system, unit) AS (VALUES {", ".join([first] * len(params))} UNION ALL
        SELECT n.param, n.code, n.system, n.unit FROM u CROSS JOIN idx_quantity n ON (n.{_ROW.replace(", ", ", n.")})
        = (SELECT {_ROW} FROM idx_quantity WHERE {following} ORDER BY {_ROW} LIMIT 1)) SELECT * FROM u""",
        tuple([arg for param in params for arg in (param, *own)]),
    )
