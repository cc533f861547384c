"""Quantities are found under each unit that is there, and by their lower end, whatever was asked for."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.adapters.embedded.amounts import MOST_LOOKED_UP
from fhir_facade.adapters.embedded.catalogue import RANGE, Catalogue, insert_systems
from fhir_facade.adapters.embedded.criteria import condition
from fhir_facade.adapters.embedded.schema import migrate
from fhir_facade.adapters.embedded.source import Condition
from fhir_facade.values import Match, QuantityValue

SYSTEMS = ("", "urn:a", "urn:b")
CODES = ("", "x", "y")
UNITS = ("", "x", "z")
PARAMS = ("value-quantity", "component-value-quantity")

Row = tuple[str, float, float, str, str, str]
Stored = tuple[sqlite3.Connection, Catalogue]

amounts = st.integers(-3, 3).map(float)
ends = st.tuples(amounts, st.sampled_from([0.0, 1.0, math.inf])).map(lambda own: (own[0], own[0] + own[1]))
rows = st.lists(
    st.tuples(st.sampled_from(PARAMS), ends, st.sampled_from(CODES), st.sampled_from(SYSTEMS), st.sampled_from(UNITS)),
    max_size=12,
)
asked = st.builds(
    lambda prefix, number, system, code: QuantityValue(
        prefix, Decimal(number), Decimal(number) - Decimal("0.5"), Decimal(number) + Decimal("0.5"), system, code, ""
    ),
    st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap"]),
    st.integers(-3, 3),
    st.sampled_from([None, *SYSTEMS[1:], "urn:never stored"]),
    st.sampled_from([None, "x", "y", "z"]),
)


@pytest.fixture(scope="module")
def stored() -> Iterator[Stored]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    insert_systems(connection, SYSTEMS)
    catalogue = Catalogue()
    catalogue.load(connection)
    yield connection, catalogue
    connection.close()


def fill(stored: Stored, some: list[tuple[str, tuple[float, float], str, str, str]]) -> None:
    connection, catalogue = stored
    connection.execute("DELETE FROM idx_quantity")
    for pk, (param, (low, high), code, system, unit) in enumerate(some):
        number = catalogue.param("Observation", param if low == high else f"{param}{RANGE}")
        connection.execute(
            "INSERT INTO idx_quantity (param, low, high, code, system, unit, pk) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, low, high, code, catalogue.system(system), unit, pk),
        )


def compiled(catalogue: Catalogue, *values: QuantityValue) -> Condition:
    found = condition(catalogue, "Observation", Match("combo-value-quantity", "quantity", values))
    assert isinstance(found, Condition)
    return found


def members(connection: sqlite3.Connection, found: Condition) -> set[int]:
    sql, args = found.members()
    return {pk for (pk,) in connection.execute(sql, args)}


def checked(connection: sqlite3.Connection, found: Condition, pk: int) -> bool:
    sql, args = found.holds_for(str(pk))
    return bool(connection.execute(f"SELECT {sql}", args).fetchone()[0])


def holds(value: QuantityValue, low: float, high: float, code: str, system: str, unit: str) -> bool:
    """The prefixes and units as R4 words them. `low` and `high` of the value are what its digits imply."""
    if value.system is not None and value.system != system:
        return False
    if value.code is not None and value.code != code and (value.system is not None or value.code != unit):
        return False
    number, begin, end = float(value.number), float(value.low), float(value.high)
    within = begin <= low < end and high < end
    return {
        "eq": within,
        "ne": not within,
        "gt": high > number,
        "ge": high >= number,
        "lt": low < number,
        "le": low <= number,
        "sa": low > number,
        "eb": high < number,
        "ap": low <= end and high >= begin,
    }[value.prefix]


@settings(max_examples=200, deadline=None)
@given(rows, st.lists(asked, min_size=1, max_size=3), st.booleans())
def test_the_way_they_are_found_leaves_out_nothing_and_lets_nothing_in(stored, some, values, many):
    fill(stored, some)
    connection, catalogue = stored
    found = compiled(catalogue, *values, *(values[-1:] * MOST_LOOKED_UP if many else []))

    expected = {
        pk
        for pk, (_, (low, high), code, system, unit) in enumerate(some)
        if any(holds(value, low, high, code, system, unit) for value in values)
    }

    assert members(connection, found) == expected
    assert {pk for pk in range(len(some)) if checked(connection, found, pk)} == expected


@pytest.mark.parametrize("system", [None, "urn:a"])
def test_the_rows_of_a_unit_are_found_by_their_number(stored: Stored, system: str | None) -> None:
    connection, catalogue = stored
    value = QuantityValue("gt", Decimal(5), Decimal(5), Decimal(5), system, "x", "")
    sql, args = compiled(catalogue, value).members()

    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", args)]

    assert "SEARCH q USING PRIMARY KEY (param=? AND code=? AND system=? AND unit=? AND low>?)" in plan
    assert not [step for step in plan if "idx_quantity" in step and "AND" not in step], "nothing by the parameter alone"
