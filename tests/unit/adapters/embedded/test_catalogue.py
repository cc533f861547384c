"""Each process remembers the numbers of code systems, and several hand them out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from fhir_facade.adapters.embedded.catalogue import Catalogue, insert_systems
from fhir_facade.adapters.embedded.schema import migrate


@pytest.fixture
def file() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        yield connection


def started(file: sqlite3.Connection) -> Catalogue:
    catalogue = Catalogue()
    catalogue.load(file)
    return catalogue


def test_numbers_that_another_process_handed_out_are_found_also_after_own_ones(file: sqlite3.Connection) -> None:
    own, other = started(file), started(file)

    other.adopt_systems(insert_systems(file, ["urn:theirs"]))
    own.adopt_systems(insert_systems(file, ["urn:mine"]))
    own.refresh(file)

    assert own.system("urn:theirs") == other.system("urn:theirs")


def test_a_number_of_ones_own_is_known_at_once(file: sqlite3.Connection) -> None:
    catalogue = started(file)

    catalogue.adopt_systems(insert_systems(file, ["urn:mine"]))

    assert catalogue.missing_systems(["urn:mine", "urn:other"]) == ("urn:other",)
