"""What a search begins with, and that the choice takes no more work than what is chosen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from fhir_facade.adapters.embedded.rarest import BEARABLE, FEW, rarest
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


@pytest.mark.parametrize(
    ("members", "chosen"),
    [
        pytest.param([having(3)], 0, id="the only one"),
        pytest.param([having(3), having(2)], 1, id="the rarer one"),
        pytest.param([having(2), having(2)], 0, id="the first of two alike"),
        pytest.param([having(3), having(0)], 1, id="what nothing satisfies"),
        pytest.param([behind(3), having(5)], 0, id="the rarer one behind a hop"),
        pytest.param([having(MANY), having(FEW + 1)], 1, id="the rarer of many by far"),
        pytest.param([having(MANY), having(BEARABLE - 1)], 0, id="the first of two that have many"),
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
    assert rarest(connection, members)[0] is members[chosen]


def test_only_what_is_denied_is_nothing_to_begin_with(connection: Counting) -> None:
    assert rarest(connection, [Condition("idx_token", "0", (), negated=True)]) == (None, [])


def test_what_takes_longer_than_the_best_is_worth_is_given_up(connection: Counting) -> None:
    best, long, short, hop = having(2), sought(1), having(MANY), behind(MANY)
    connection.steps = 0

    driver, quick = rarest(connection, [long, short, hop, best])

    assert driver is best
    assert list(quick) == [short, best]
    assert connection.steps < 100 * FEW, "of the many thousand rows of each table"
