"""A data file that an older release indexed, and one that a newer release did."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from fhir_facade.adapters.embedded import EmbeddedStore, Integrity
from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.adapters.embedded.index import index_values
from fhir_facade.adapters.embedded.reindex import log_progress, reindex
from fhir_facade.adapters.embedded.schema import INDEX_TABLES, meta, set_meta
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.errors import Conflict
from fhir_facade.fhir.definitions import resource_types, search_parameters
from fhir_facade.fhir.extract import VERSION
from fhir_facade.values import Ref, Write
from terminology import ucum
from tests.unit.adapters.embedded.corner import empty_corner
from tests.unit.adapters.embedded.test_search_means_what_match_means import WITHOUT_VALUES
from tests.unit.fhir.samples import BLOOD_PRESSURE, HEART_RATE, PATIENT
from tests.unit.fhir.sampling import samples


@pytest.fixture
async def file(tmp_path: Path) -> SqliteFile:
    """A data file with three live resources and a deleted one."""
    file = SqliteFile(tmp_path / "facade.sqlite")
    file.open()
    store = EmbeddedStore(file, SystemClock(), integrity=Integrity(on_write=False, on_delete=False))
    store.start()
    for id_, resource in (("h", HEART_RATE), ("b", BLOOD_PRESSURE), ("p", PATIENT), ("gone", PATIENT)):
        body = {**resource, "id": id_}
        await store.write([Write("put", Ref(body["resourceType"], id_), msgspec.json.encode(body), body)])
    await store.write([Write("delete", Ref("Patient", "gone"))])
    file.close()
    return file


def rows(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    """All index rows, without a table's own hidden numbers."""
    return [
        row
        for table in INDEX_TABLES
        for row in sorted(connection.execute(f"SELECT '{table}', * FROM {table}").fetchall(), key=repr)
    ]


def age(file: SqliteFile, extractor: str | None) -> list[tuple[object, ...]]:
    """Pretend that another release made the index; returns the rows as they were."""
    connection = sqlite3.connect(file.path, isolation_level=None)
    before = rows(connection)
    connection.execute("DELETE FROM fhir_meta WHERE key = 'extractor'")
    if extractor is not None:
        set_meta(connection, "extractor", extractor)
        connection.execute("UPDATE idx_token SET code = code || ' of old'")
        connection.execute("DELETE FROM idx_date")
    connection.close()
    return before


def start(file: SqliteFile, said: list[tuple[int, int]] | None = None, *, guest: bool = False) -> EmbeddedStore:
    again = SqliteFile(file.path)
    again.open()
    try:
        store = EmbeddedStore(again, SystemClock())
        store.start(guest=guest, progress=None if said is None else lambda done, of: said.append((done, of)))
    finally:
        again.close()
    return store


def stored(file: SqliteFile) -> tuple[list[tuple[object, ...]], str | None]:
    connection = sqlite3.connect(file.path)
    try:
        return rows(connection), meta(connection, "extractor")
    finally:
        connection.close()


def test_a_file_of_a_newer_release_is_refused_and_stays_as_it_was(file: SqliteFile) -> None:
    age(file, str(VERSION + 1))
    before = stored(file)

    with pytest.raises(Conflict, match="start the newer release again"):
        start(file)

    assert stored(file) == before


def test_a_command_newer_than_the_running_server_is_refused(file: SqliteFile) -> None:
    age(file, "1")

    with pytest.raises(Conflict, match="restart the server first"):
        start(file, guest=True)


def test_a_file_of_this_release_is_taken_as_it_is(file: SqliteFile) -> None:
    said: list[tuple[int, int]] = []

    start(file, said)

    assert said == []


@pytest.mark.parametrize("extractor", ["1", None], ids=["an older version", "no version at all"])
def test_an_older_index_is_made_anew_and_tells_how_far_it_is(file: SqliteFile, extractor: str | None) -> None:
    before = age(file, extractor)
    said: list[tuple[int, int]] = []

    start(file, said)

    assert stored(file) == (before, str(VERSION))
    assert said == [(0, 3), (3, 3)]


def test_a_re_index_that_is_interrupted_changes_nothing(file: SqliteFile) -> None:
    age(file, "1")
    before = stored(file)
    connection = sqlite3.connect(file.path, isolation_level=None)

    def interrupt(done: int, of: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reindex(connection, Catalogue(), interrupt)
    connection.close()

    assert stored(file) == before


def test_the_log_tells_of_it_now_and_then_and_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    ticks: Iterator[float] = iter([0.0, 0.0, 0.0, 1.0, 2.5, 2.5, 3.0, 3.0])
    say = log_progress(lambda: next(ticks))

    with caplog.at_level(logging.WARNING):
        for done in (0, 500, 1000, 1200):
            say(done, 1200)

    assert [record.done for record in caplog.records] == [0, 1000, 1200]  # type: ignore[attr-defined]


PINNED = (10, "ff0e0ebf6f544069")
"""The extractors' version and the fingerprint of what they say of one sample per search parameter of R4, and of
quantities that are intervals."""
MG: Final = {"system": "http://unitsofmeasure.org", "code": "mg"}
INTERVALS: Final = [
    *({"valueQuantity": {"value": 5, "comparator": comparator} | MG} for comparator in ("<", "<=", ">=", ">")),
    {"valueSampledData": {"origin": {"value": 1} | MG, "factor": 2, "data": "E 1.5 2"}},
]


def test_extractors_that_say_something_else_have_another_version() -> None:
    """When this fails, stored index rows are outdated: raise `extract.VERSION` by one and pin the new fingerprint."""
    corner = empty_corner()
    digest = hashlib.sha256(repr(sorted(ucum.table().items())).encode())
    digest.update(
        repr(corner.connection.execute("SELECT type, name FROM fhir_param ORDER BY 1, 2").fetchall()).encode()
    )
    corner.connection.close()
    for fhir_type in resource_types():
        for code, parameter in search_parameters(fhir_type).items():
            for resource, _ in samples(parameter) if code not in WITHOUT_VALUES else ():
                values = index_values(resource).values
                digest.update(repr((fhir_type, code, sorted(map(repr, values or ())))).encode())

    for reading in INTERVALS:
        digest.update(repr(index_values({"resourceType": "Observation", **reading}).values.quantities).encode())

    assert (VERSION, digest.hexdigest()[:16]) == PINNED
