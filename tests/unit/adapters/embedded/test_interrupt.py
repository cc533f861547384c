"""A statement that never ends is ended, and nothing of it stays with the connection."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fhir_facade.adapters.embedded.interrupt import STEPS, Interrupted, until, within

ENDLESS = "WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up) SELECT count(*) FROM up"
LONG = f"WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up LIMIT {STEPS}) SELECT count(*) FROM up"


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


def rows(statement: str, connection: sqlite3.Connection) -> list[tuple[int]]:
    return connection.execute(statement).fetchall()


def test_what_never_ends_is_interrupted_and_the_connection_is_as_good_as_before(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")

    with pytest.raises(Interrupted):
        until(connection, time.monotonic() + 0.01, lambda own: rows(ENDLESS, own))

    assert connection.in_transaction
    assert rows(LONG, connection) == [(STEPS,)]  # nobody looks at the clock any more


def test_nothing_is_begun_when_the_time_is_over(connection: sqlite3.Connection) -> None:
    begun: list[bool] = []

    with pytest.raises(Interrupted):
        until(connection, time.monotonic(), lambda own: begun.append(True))

    assert begun == []


def test_what_ends_in_time_is_answered_however_often_the_clock_is_looked_at(connection: sqlite3.Connection) -> None:
    assert until(connection, time.monotonic() + 60, lambda own: rows(LONG, own)) == [(STEPS,)]


def test_another_mistake_stays_what_it_is(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        until(connection, time.monotonic() + 60, lambda own: rows("SELECT * FROM absent", own))


def test_each_connection_has_a_time_of_its_own(connection: sqlite3.Connection) -> None:
    other = sqlite3.connect(":memory:", check_same_thread=False)
    with ThreadPoolExecutor(2) as threads:
        ended = threads.submit(until, connection, time.monotonic() + 0.01, lambda own: rows(ENDLESS, own))
        going_on = threads.submit(until, other, time.monotonic() + 60, lambda own: rows(LONG, own))

        with pytest.raises(Interrupted):
            ended.result()
        assert going_on.result() == [(STEPS,)]
    other.close()


def test_what_takes_more_than_the_steps_it_may_take_is_given_up(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")

    assert within(connection, 1000, lambda: rows(ENDLESS, connection)) is None

    assert connection.in_transaction
    assert rows(LONG, connection) == [(STEPS,)]


def test_what_takes_fewer_steps_is_answered(connection: sqlite3.Connection) -> None:
    assert within(connection, 1000, lambda: rows("SELECT 1", connection)) == [(1,)]


def test_a_mistake_is_no_lack_of_steps(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        within(connection, 1000, lambda: rows("SELECT * FROM absent", connection))


def test_after_steps_were_counted_the_clock_is_looked_at_again(connection: sqlite3.Connection) -> None:
    given_up: list[bool] = []

    def work(own: sqlite3.Connection) -> list[tuple[int]]:
        given_up.append(within(own, 1000, lambda: rows(ENDLESS, own)) is None)
        return rows(ENDLESS, own)

    with pytest.raises(Interrupted):
        until(connection, time.monotonic() + 0.05, work)
    assert given_up == [True]


def test_many_steps_are_given_up_too(connection: sqlite3.Connection) -> None:
    assert within(connection, 3 * STEPS, lambda: rows(ENDLESS, connection)) is None
    assert within(connection, 100 * STEPS, lambda: rows(LONG, connection)) == [(STEPS,)]


def test_many_steps_end_with_the_time_of_what_they_are_for(connection: sqlite3.Connection) -> None:
    given_up: list[bool] = []

    def work(own: sqlite3.Connection) -> None:
        given_up.append(within(own, 10**12, lambda: rows(ENDLESS, own)) is None)

    with pytest.raises(Interrupted):
        until(connection, time.monotonic() + 0.05, work)
    assert given_up == []
