"""What the index holds after many kinds of changes at once: exactly what indexing anew would give."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_facade.adapters.embedded import EmbeddedStore
from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.adapters.embedded.reindex import reindex
from fhir_facade.adapters.embedded.schema import INDEX_TABLES
from fhir_facade.adapters.embedded.write import Integrity
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.fhir.definitions import resource_types
from fhir_facade.fhir.definitions.tables import search_parameters
from fhir_facade.values import Ref, Write
from tests.unit.fhir.samples import BLOOD_PRESSURE, HEART_RATE, PATIENT
from tests.unit.fhir.sampling import samples


def about(patient: str, of: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    """An Observation that refers to this patient only."""
    kept = {name: value for name, value in of.items() if name not in ("performer", "device")}
    return {**kept, "subject": {"reference": f"Patient/{patient}"}, **members}


PERSON = {name: value for name, value in PATIENT.items() if name != "generalPractitioner"}
OTHER_UNIT = {"value": 71, "unit": "beats", "system": "urn:x", "code": "b"}
VARIANTS: Mapping[str, list[dict[str, Any]]] = {
    "Observation": [
        about("one", HEART_RATE),
        about("one", HEART_RATE, status="amended", note=[{"text": "changed outside of the index"}]),
        about("one", HEART_RATE, valueQuantity=OTHER_UNIT),
        about("one", HEART_RATE, effectiveDateTime="2024-05-05"),
        about("one", HEART_RATE, effectiveDateTime="2024-05-05T00:00:00Z"),
        about("two", HEART_RATE),
        about("one", BLOOD_PRESSURE),
        about("one", BLOOD_PRESSURE, component=BLOOD_PRESSURE["component"][:1]),
    ],
    "Patient": [PERSON, {**PERSON, "name": [{"family": "Else"}]}, {"resourceType": "Patient", "active": True}],
}


@pytest.fixture
async def file(tmp_path: Path) -> Any:
    file = SqliteFile(tmp_path / "facade.sqlite")
    file.open()
    yield file
    file.close()


def rows(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """All index rows, without a table's own hidden numbers."""
    return [
        row
        for table in INDEX_TABLES
        for row in sorted(connection.execute(f"SELECT '{table}', * FROM {table}").fetchall(), key=repr)
    ]


def put(type_: str, id_: str, variant: Mapping[str, Any]) -> Write:
    body = {**variant, "id": id_}
    return Write("put", Ref(type_, id_), msgspec.json.encode(body), body)


def one_of(chance: random.Random, type_: str, id_: str) -> Write:
    if chance.random() < 0.15:
        return Write("delete", Ref(type_, id_))
    return put(type_, id_, chance.choice(VARIANTS[type_]))


async def opened(file: SqliteFile) -> EmbeddedStore:
    store = EmbeddedStore(file, SystemClock())
    store.start()
    await store.write([put("Patient", "one", PERSON), put("Patient", "two", PERSON)])
    return store


@pytest.mark.parametrize("at_once", [1, 7, 150], ids="{} at once".format)
async def test_changes_leave_the_rows_that_indexing_anew_would_make(file: SqliteFile, at_once: int) -> None:
    store, chance = await opened(file), random.Random(at_once)
    places = [("Observation", f"o{i}") for i in range(at_once)] + [
        ("Patient", f"p{i}") for i in range(at_once // 3 + 1)
    ]

    for _ in range(12 if at_once < 100 else 3):
        await store.write([one_of(chance, *place) for place in places])

    after = rows(file.writer)
    reindex(file.writer, Catalogue(), lambda done, of: None)
    assert after
    assert after == rows(file.writer)


PLACE = {"resourceType": "Location", "status": "active", "position": {"latitude": 1.5, "longitude": 2}}
BESIDE = [  # what the index has beside the search parameters
    PLACE,
    {**PLACE, "position": {"latitude": 1.5, "longitude": 3}},
    {**PLACE, "contained": [{"resourceType": "Organization", "name": "Inside"}]},
]


def sampled() -> list[tuple[str, list[dict[str, Any]]]]:
    """For each type what reaches each of its search parameters in turn."""
    found = [
        (type_, [doc for each in search_parameters(type_).values() if each.expression for doc, _ in samples(each)])
        for type_ in resource_types()
    ]
    return [*found, ("Location", BESIDE)]


async def test_whatever_changes_into_whatever_has_the_rows_that_indexing_anew_would_make(file: SqliteFile) -> None:
    store = EmbeddedStore(file, SystemClock(), integrity=Integrity(on_write=False, on_delete=False))
    store.start()
    changing = [
        (
            put(type_, f"n{at}-{number}", before),
            put(type_, f"n{at}-{number}", {**documents[number - 1], "language": "x"}),
        )
        for at, (type_, documents) in enumerate(sampled())
        for number, before in enumerate(documents)
    ]
    await store.write([before for before, _ in changing])

    await store.write([after for _, after in changing])

    updated = rows(file.writer)
    reindex(file.writer, Catalogue(), lambda done, of: None)
    assert len(updated) > len(changing)
    assert updated == rows(file.writer)


def places(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT rowid, param, code0 FROM idx_composite ORDER BY 1").fetchall()


async def test_a_composite_whose_value_alone_changes_stays_where_it_is(file: SqliteFile) -> None:
    store = await opened(file)
    await store.write([put("Observation", "o", about("one", HEART_RATE))])
    before = places(file.writer)
    other = {**HEART_RATE["valueQuantity"], "value": 73}

    await store.write([put("Observation", "o", about("one", HEART_RATE, valueQuantity=other))])

    assert places(file.writer) == before
    assert {row[0] for row in file.writer.execute("SELECT low1, high1 FROM idx_composite")} == {73}


async def test_a_new_version_replaces_the_resource_and_keeps_the_old_one(file: SqliteFile) -> None:
    store = await opened(file)
    await store.write([put("Patient", "p", PERSON)])

    (stored,) = await store.write([put("Patient", "p", VARIANTS["Patient"][1])])

    assert (await store.read(Ref("Patient", "p"))).body == stored.body
    assert b"Else" not in (await store.read(Ref("Patient", "p", "1"))).body
    assert file.writer.execute("SELECT count(*) FROM fhir_resource").fetchone() == (3,)
