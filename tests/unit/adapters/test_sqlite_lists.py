"""However many values are looked for, few statements are prepared."""

import sqlite3
from contextlib import closing

import pytest

from fhir_facade.adapters.embedded.bounds import rows_of
from fhir_facade.adapters.sqlite_lists import LONG, few_lengths, one_of
from fhir_facade.adapters.state import sqlite_texts
from fhir_facade.adapters.state.tables import facade_tables
from fhir_facade.rows.accounts import Account

MANY = 500
POWERS_UNTIL_THEN = 10


class Noting(sqlite3.Connection):
    """Notes what it is asked to execute."""

    texts: set[str]

    def execute(self, text, *values):
        self.texts.add(text)
        return super().execute(text, *values)


@pytest.fixture
def connection():
    with closing(sqlite3.connect(":memory:", factory=Noting)) as opened:
        opened.executescript("CREATE TABLE fhir_resource (pk INTEGER PRIMARY KEY, id, version, updated, body)")
        opened.executemany("INSERT INTO fhir_resource VALUES (?, ?, 1, 0, '{}')", [(n, f"r{n}") for n in range(MANY)])
        opened.texts = set()
        yield opened


def test_pages_of_every_length_are_read_with_few_statements(connection):
    for length in range(1, MANY + 1):
        wanted = list(range(length))[::-1]

        assert [row[0] for row in rows_of(connection, wanted, most=1 << 20)] == wanted

    assert len(connection.texts) <= POWERS_UNTIL_THEN


def test_rows_with_one_of_any_number_of_values_are_looked_for_with_few_statements():
    table = facade_tables().of(Account)
    asked = [sqlite_texts.select(table, [("id", "in", ["a"] * length)], (), None) for length in range(1, MANY + 1)]

    assert len({text for text, _ in asked}) <= POWERS_UNTIL_THEN
    assert all(text.count("?") == len(values) for text, values in asked)


def test_a_value_that_is_repeated_is_found_once():
    with closing(sqlite3.connect(":memory:")) as connection:
        among, wanted = one_of([3, 1, 2])

        assert connection.execute(
            f"WITH t (n) AS (VALUES (1), (2), (4)) SELECT n FROM t WHERE n {among}", wanted
        ).fetchall() == [(1,), (2,)]
        assert connection.execute(
            f"WITH t (n) AS (VALUES (1), (2), (4)) SELECT n FROM t WHERE n NOT {among}", wanted
        ).fetchall() == [(4,)]


@pytest.mark.parametrize(
    ("given", "becomes"),
    [(0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (LONG, LONG), (LONG + 1, 2 * LONG), (2 * LONG, 2 * LONG)],
)
def test_a_list_grows_by_its_last_value_only(given, becomes):
    values = list(range(given))

    grown = few_lengths(values)

    assert len(grown) == becomes
    assert grown[:given] == values
    assert set(grown) == set(values)
