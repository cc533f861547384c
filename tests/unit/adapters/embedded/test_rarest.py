"""What a search begins with, and that the choice takes no more work than what is chosen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from fhir_facade.adapters.embedded.rarest import BEARABLE, FEW, SHARE, rarest
from fhir_facade.adapters.embedded.source import Condition, Either
from tests.unit.adapters.embedded.steps import Counting

MANY = 20 * BEARABLE


@pytest.fixture(scope="module")
def connection() -> Iterator[Counting]:
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Counting)
    for table in ("idx_token", "idx_reference", "fhir_resource"):
        connection.execute(f"CREATE TABLE {table} (pk INTEGER PRIMARY KEY)")
        connection.execute(
            f"""WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up LIMIT {MANY})
            INSERT INTO {table} SELECT n FROM up"""
        )
    yield connection
    connection.close()


def having(members: int, table: str = "idx_token") -> Condition:
    return Condition(table, "pk <= ?", (members,))


def sought(members: int) -> Condition:
    """Found by looking at all rows of its table."""
    return Condition("idx_token", "abs(pk) <= ?", (members,))


def behind(members: int) -> Condition:
    """Something else has to be found first."""
    return Condition("fhir_resource", "pk IN (SELECT pk FROM idx_token WHERE pk <= ?)", (members,), hop="pk = -1")


def late(members: int) -> Condition:
    """None of the first rows."""
    return Condition("idx_token", "pk > ?", (MANY - members,))


BILLIONS = Condition("idx_token", "pk < 0", (), found=("SELECT a.pk FROM idx_token a CROSS JOIN idx_token b", ()))


@pytest.mark.parametrize(
    ("members", "chosen"),
    [
        pytest.param([having(3)], 0, id="the only one"),
        pytest.param([having(3), having(2)], 1, id="the rarer one"),
        pytest.param([having(2), having(2)], 0, id="the first of two alike"),
        pytest.param([having(3), having(0)], 1, id="what nothing satisfies"),
        pytest.param([behind(3), having(5)], 0, id="the rarer one behind a hop"),
        pytest.param([having(MANY), having(FEW + 1)], 1, id="the rarer of many by far"),
        pytest.param([having(BEARABLE - 1), having(FEW + 1)], 1, id="the one with far fewer"),
        pytest.param([having(2 * FEW), having(FEW + 1)], 0, id="the first of two that have many"),
        pytest.param([having(BEARABLE), having(BEARABLE - 1)], 1, id="the one that has not too many"),
        pytest.param([having(MANY), having(MANY // SHARE)], 1, id="the one with far fewer, though the first have both"),
        pytest.param([having(MANY), having(MANY // 2)], 0, id="the first of two that the same satisfy"),
        pytest.param([having(MANY - BEARABLE), late(2 * BEARABLE)], 1, id="the one with far fewer, if few have both"),
        pytest.param([having(MANY - BEARABLE), late(MANY // 2)], 1, id="the one with fewer, if few have both"),
        pytest.param([having(MANY), having(MANY, "idx_reference")], 1, id="of many, what refers to somebody"),
        pytest.param([having(MANY), sought(MANY)], 0, id="the first, for neither has few"),
        pytest.param([having(MANY), sought(3)], 1, id="what takes long to find, if nothing else has few"),
        pytest.param([sought(3), having(BEARABLE - 1, "idx_reference")], 1, id="what is found at once"),
        pytest.param([having(MANY), Either(((having(3),), (having(2),)))], 1, id="either of some"),
        pytest.param([Condition("idx_token", "0", (), negated=True), having(9)], 1, id="nothing that is denied"),
        pytest.param([Condition("idx_token", "0", (), slow=True), having(9)], 1, id="nothing without an index"),
    ],
)
def test_a_search_begins_with(connection: Counting, members: list[Condition | Either], chosen: int) -> None:
    assert rarest(connection, members).driver is members[chosen]


def test_only_what_is_denied_is_nothing_to_begin_with(connection: Counting) -> None:
    assert rarest(connection, [Condition("idx_token", "0", (), negated=True)]) == (None, [], False)


def test_what_takes_longer_than_the_best_is_worth_is_given_up(connection: Counting) -> None:
    best, long, short, hop = having(2), sought(1), having(MANY), behind(MANY)
    connection.steps = 0

    driver, quick, _ = rarest(connection, [long, short, hop, best])

    assert driver is best
    assert list(quick) == [short, best]
    assert connection.steps < 100 * FEW, "of the many thousand rows of each table"


@pytest.mark.parametrize("order", [1, -1], ids=["the larger one first", "the smaller one first"])
@pytest.mark.parametrize("smaller", [2 * BEARABLE, MANY - BEARABLE])
def test_of_two_that_have_many_the_choice_costs_what_the_smaller_one_has(
    connection: Counting, smaller: int, order: int
) -> None:
    connection.steps = 0

    driver, _, sparse = rarest(connection, [BILLIONS, late(smaller)][::order])

    assert driver == late(smaller)
    assert sparse
    assert connection.steps < 150 * smaller


def test_members_that_mostly_satisfy_the_others_are_not_counted_to_the_end(connection: Counting) -> None:
    first = having(MANY)
    connection.steps = 0

    assert rarest(connection, [first, having(MANY // 2)]) == (first, [first, having(MANY // 2)], False)
    assert connection.steps < 50 * BEARABLE


def test_the_one_to_begin_with_may_have_nothing_but_matches(connection: Counting) -> None:
    driver, _, sparse = rarest(connection, [having(MANY), late(2 * BEARABLE)])

    assert driver == late(2 * BEARABLE)
    assert not sparse


def test_what_takes_long_to_ask_of_the_first_members_is_no_reason_to_begin_there(connection: Counting) -> None:
    asked = Condition("fhir_resource", "0 = (SELECT count(*) FROM idx_token WHERE pk < 0 OR abs(pk) < 0)", ())

    assert rarest(connection, [having(MANY), asked]).sparse
