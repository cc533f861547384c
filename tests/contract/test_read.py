"""Reading: https://hl7.org/fhir/R4/http.html#read."""

from __future__ import annotations

import json

import pytest

from fhir_facade.errors import Gone, NotFound
from fhir_facade.values import Ref
from tests.contract.case import Case


async def test_what_was_never_there_is_not_found(case: Case) -> None:
    with pytest.raises(NotFound):
        await case.store.read(case.ref("Patient", "nobody"))


@pytest.mark.parametrize("version", ["99", "01", "0", "-1", "1.0", "x", "9223372036854775808"])
async def test_an_unknown_version_is_not_found(case: Case, version: str) -> None:
    """HAPI reads 01 as 1, and breaks on what no 64 bits hold."""
    patient = await case.put("Patient", "p")

    with pytest.raises(NotFound):
        await case.store.read(Ref("Patient", patient.id, version))


async def test_an_id_of_another_type_is_not_found(case: Case) -> None:
    patient = await case.put("Patient", "p")

    with pytest.raises(NotFound):
        await case.store.read(Ref("Practitioner", patient.id))


async def test_what_was_deleted_is_gone(case: Case) -> None:
    patient = await case.put("Patient", "p")
    await case.delete(patient.ref)

    with pytest.raises(Gone):
        await case.store.read(patient.ref)


async def test_the_version_of_a_deletion_is_gone_also_after_the_resource_came_back(case: Case) -> None:
    patient = await case.put("Patient", "p")
    deletion = await case.delete(patient.ref)
    await case.put("Patient", "p", active=True)

    with pytest.raises(Gone):
        await case.store.read(Ref("Patient", patient.id, deletion.version))


async def test_a_resource_carries_the_id_version_and_time_that_its_body_says(case: Case) -> None:
    written = await case.put("Patient", "p", gender="female")

    read = await case.store.read(written.ref)

    document = json.loads(read.body)
    assert (document["id"], document["meta"]["versionId"]) == (read.id, read.version)
    assert read.last_updated.tzinfo is not None
    assert (read.version, read.last_updated, read.body) == (written.version, written.last_updated, written.body)
    assert document["gender"] == "female"


async def test_nothing_is_added_to_meta_but_version_and_time(case: Case) -> None:
    written = await case.put("Patient", "p")

    read = await case.store.read(written.ref)

    assert set(json.loads(read.body)["meta"]) == {"versionId", "lastUpdated"}
    assert set(json.loads(written.body)["meta"]) == {"versionId", "lastUpdated"}


async def test_the_source_that_a_client_gave_stays_as_it_was(case: Case) -> None:
    written = await case.put("Patient", "p", meta={"source": "https://example.org/feed"})

    read = await case.store.read(written.ref)

    assert json.loads(read.body)["meta"]["source"] == "https://example.org/feed"


async def test_an_earlier_version_stays_readable(case: Case) -> None:
    first = await case.put("Patient", "p", gender="female")
    await case.put("Patient", "p", gender="other")

    old = await case.store.read(Ref("Patient", first.id, first.version))

    assert old.body == first.body


async def test_digits_may_be_an_id(case: Case) -> None:
    digits = str(int(case.name, 16))
    await case.put_resource({"resourceType": "Patient", "id": digits})

    assert (await case.store.read(Ref("Patient", digits))).id == digits


async def test_a_store_that_runs_answers_a_ping(case: Case) -> None:
    await case.store.ping()
