"""Dates are found by their lower end, whichever end was asked for."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.adapters.embedded.catalogue import DATE_TAILS, Catalogue
from fhir_facade.adapters.embedded.schema import migrate
from fhir_facade.adapters.embedded.source import Condition
from fhir_facade.adapters.embedded.spans import date_condition, tail_of
from fhir_facade.fhir.extract.dates import DAY_US, MINUTE_US, SECOND_US, to_us
from fhir_facade.values import DateValue

START = datetime(2026, 1, 1, tzinfo=UTC)
LENGTHS = [1, SECOND_US, MINUTE_US, DAY_US, 2 * DAY_US, 31 * DAY_US, 100 * DAY_US, 366 * DAY_US, 4000 * DAY_US]

moments = st.integers(0, 400 * 24).map(lambda hours: START + timedelta(hours=hours))
stored = st.lists(st.tuples(moments.map(to_us), st.sampled_from(LENGTHS)), min_size=1, max_size=8)
asked = st.builds(
    lambda prefix, low, length: DateValue(prefix, low, low + timedelta(microseconds=length), ""),
    st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap"]),
    moments,
    st.sampled_from(LENGTHS[1:6]),
)


@pytest.fixture(scope="module")
def file():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    catalogue = Catalogue()
    catalogue.load(connection)
    return connection, catalogue


@pytest.mark.parametrize(
    ("length", "tail"),
    [
        (1, ""),
        (SECOND_US, ""),
        (SECOND_US + 1, ":minute"),
        (DAY_US, ":day"),
        (31 * DAY_US, ":month"),
        (366 * DAY_US, ":year"),
        (366 * DAY_US + 1, ":longer"),
    ],
)
def test_dates_stand_apart_by_how_long_they_last(length, tail):
    assert tail_of(0, length) == tail


@settings(max_examples=150, deadline=None)
@given(stored, st.lists(st.lists(asked, min_size=1, max_size=2), min_size=1, max_size=2))
def test_the_bounds_leave_out_nothing_and_let_nothing_in(file, stored, groups):
    connection, catalogue = file
    spans = [(low, low + length) for low, length in stored]
    connection.execute("DELETE FROM idx_date")
    for pk, (low, high) in enumerate(spans):
        number = catalogue.param("Observation", f"date{tail_of(low, high)}")
        connection.execute("INSERT INTO idx_date (param, low, high, pk) VALUES (?, ?, ?, ?)", (number, low, high, pk))

    condition = date_condition(catalogue, "Observation", "date", groups)

    expected = {pk for pk, span in enumerate(spans) if any(all(holds(each, *span) for each in some) for some in groups)}
    assert members(connection, condition) == expected
    assert {pk for pk in range(len(spans)) if checked(connection, condition, pk)} == expected


def test_a_day_among_many_is_found_by_both_its_ends(file):
    connection, catalogue = file
    following = START + timedelta(days=1)
    day = [DateValue("ge", START, following, ""), DateValue("lt", following, following + timedelta(days=1), "")]
    sql, args = date_condition(catalogue, "Observation", "date", [day]).members()

    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", args)]

    bounded = [step for step in plan if "(param=? AND low>? AND low<?)" in step]
    assert len(bounded) == len(DATE_TAILS) - 1, plan


def members(connection: sqlite3.Connection, condition: Condition) -> set[int]:
    sql, args = condition.members()
    return {pk for (pk,) in connection.execute(sql, args)}


def checked(connection: sqlite3.Connection, condition: Condition, pk: int) -> bool:
    sql, args = condition.holds_for(str(pk))
    return bool(connection.execute(f"SELECT {sql}", args).fetchone()[0])


def holds(value: DateValue, low: int, high: int) -> bool:
    """The prefixes as R4 words them, on half-open ranges."""
    begin, end = to_us(value.low), to_us(value.high)
    equal = begin <= low and high <= end
    return {
        "eq": equal,
        "ne": not equal,
        "gt": high > end,
        "lt": low < begin,
        "ge": high > end or equal,
        "le": low < begin or equal,
        "sa": low >= end,
        "eb": high <= begin,
        "ap": low < end and high > begin,
    }[value.prefix]
