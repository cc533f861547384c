"""Attacks with an app that was given little and takes more. https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from fhir_facade.errors import PreconditionFailed
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import FhirRequest, Interaction, PatientId, Principal, Ref, Scope, StoredResource
from tests.attacks.conftest import Ward, entry, observation, transaction

pytestmark = pytest.mark.both_stores

JSON_PATCH = {"Content-Type": "application/json-patch+json"}


async def test_an_empty_patch_does_not_read_for_an_app_that_may_only_change(ward: Ward) -> None:
    app = await ward.app("patient/Observation.u")
    patch = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="}

    alone = await app.patch("/fhir/Observation/own", content=b"[]", headers=JSON_PATCH)
    together = await app.post(
        "/fhir",
        json=transaction(entry("PATCH", "Observation/own", patch)),
        headers={"Prefer": "return=representation"},
    )

    assert (alone.status_code, together.status_code) == (403, 403), alone.text + together.text
    assert "a value" not in alone.text + together.text


async def test_a_patch_still_answers_with_the_resource_for_those_who_may_read_it(ward: Ward) -> None:
    app = await ward.app("patient/Observation.ru")

    answer = await app.patch("/fhir/Observation/own", content=b"[]", headers=JSON_PATCH)

    assert answer.json()["valueString"] == "a value"


async def test_what_a_conditional_create_finds_is_in_the_audit_as_what_was_read(ward: Ward) -> None:
    created = observation("anna", identifier=[{"system": "urn:example", "value": "1"}])
    condition = "identifier=urn:example|1"
    first = await ward.anna.post("/fhir/Observation", json=created)

    await ward.anna.post("/fhir/Observation", json=created, headers={"If-None-Exist": condition})
    await ward.anna.post("/fhir", json=transaction(entry("POST", "Observation", created, ifNoneExist=condition)))

    lines = await ward.facade.ports.state.read(
        lambda tx: tx.find(AuditLine, ("detail", "=", "found instead of created"))
    )
    assert [(line.entity, line.version, line.patient) for line in lines] == [
        (f"Observation/{first.json()['id']}", "1", "anna")
    ] * 2


async def test_a_read_that_fails_inside_a_transaction_does_not_hide_that_the_rest_was_written(ward: Ward) -> None:
    answer = await ward.anna.post(
        "/fhir",
        json=transaction(
            entry("POST", "Observation", observation("anna", code={"text": "written"})),
            entry("GET", "Observation/foreign"),
            entry("GET", "Observation?nonsense=1"),
        ),
    )

    statuses = [entry["response"]["status"] for entry in answer.json()["entry"]]
    assert statuses == ["201 Created", "404 Not Found", "400 Bad Request"]
    assert (await ward.anna.get("/fhir/Observation?code:text=written&_summary=count")).json()["total"] == 1


@pytest.mark.parametrize("spelt", ["Observation?code=secret", "Observation\\u003fcode=secret"])
async def test_a_conditional_reference_is_never_left_for_the_store_to_resolve(ward: Ward, spelt: str) -> None:
    body = json.dumps(observation("anna", id="own", derivedFrom=[{"reference": "…"}]), ensure_ascii=False)
    changed = body.replace("…", spelt)
    operation = '[{"op":"add","path":"/derivedFrom","value":[{"reference":"…"}]}]'.replace("…", spelt)

    answers = [
        await ward.anna.post("/fhir/Observation", content=changed.encode()),
        await ward.anna.put("/fhir/Observation/own", content=changed.encode()),
        await ward.anna.patch("/fhir/Observation/own", content=operation.encode(), headers=JSON_PATCH),
        await ward.service.post("/fhir/Observation", content=changed.encode()),
    ]

    assert [answer.status_code for answer in answers] == [400] * 4
    assert all("send it in a transaction" in answer.text for answer in answers)


async def test_a_conditional_reference_in_a_transaction_does_not_find_foreign_records(ward: Ward) -> None:
    named = [{"system": "urn:example", "value": "secret"}]
    await ward.put(observation("bert", id="named", identifier=named))
    refers = observation("anna", derivedFrom=[{"reference": "Observation?identifier=urn:example|secret"}])

    answer = await ward.anna.post("/fhir", json=transaction(entry("POST", "Observation", refers)))

    assert answer.status_code == 404
    assert "nothing matches the reference" in answer.text


async def test_reading_all_versions_is_in_the_audit_of_the_patient(ward: Ward) -> None:
    await ward.doctor.get("/fhir/Observation/own/_history")

    lines = await ward.facade.ports.state.read(lambda tx: tx.find(AuditLine, ("action", "=", "history-instance")))
    assert [(line.patient, line.outcome) for line in lines] == [("anna", "success")]


@pytest.mark.parametrize("prefer", ["representation", "OperationOutcome", "minimal"])
async def test_an_update_shows_nothing_of_what_it_replaces_to_an_app_that_may_only_change(
    ward: Ward, prefer: str
) -> None:
    """Whether it was the same it does tell, once: docs/security.md says why. A wrong guess has replaced the record."""
    hidden = {"security": [{"code": "hidden"}], "tag": [{"code": "hidden"}], "profile": ["http://x.example/hidden"]}
    own = observation("anna", id="own", note=[{"text": "hidden"}], meta=hidden)
    guess = observation("anna", id="own", valueString="guessed")
    await ward.put(own)
    app = await ward.app("patient/Observation.u")
    put = {"headers": {"Prefer": f"return={prefer}"}, "json": guess}

    wrong, right = [await app.put("/fhir/Observation/own", **put) for _ in range(2)]
    together = await app.post(
        "/fhir", json=transaction(entry("PUT", "Observation/own", own)), headers={"Prefer": f"return={prefer}"}
    )

    assert [answer.status_code for answer in (wrong, right, together)] == [200] * 3, together.text
    assert "hidden" not in wrong.text + right.text
    assert (wrong.headers["etag"], right.headers["etag"]) == ('W/"3"', 'W/"3"')
    assert len((await ward.anna.get("/fhir/Observation/own/_history")).json()["entry"]) == 4


class Overtaken:
    """The store, in which somebody else writes a version right after the first read."""

    def __init__(self, ward: Ward, following: dict[str, Any]) -> None:
        self._ward = ward
        self._following: dict[str, Any] | None = following

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ward.facade.ports.store, name)

    async def read(self, ref: Ref) -> StoredResource:
        stored = await self._ward.facade.ports.store.read(ref)
        following, self._following = self._following, None
        if following is not None:
            await self._ward.put(following)
        return stored


PATCHED = json.dumps([{"op": "add", "path": "/note", "value": [{"text": "patched"}]}]).encode()


@pytest.mark.parametrize(
    ("interaction", "body"),
    [(Interaction.PATCH, PATCHED), (Interaction.UPDATE, b""), (Interaction.DELETE, b"")],
    ids=["patch", "update", "delete"],
)
async def test_if_match_of_a_version_that_is_still_to_come(ward: Ward, interaction: Interaction, body: bytes) -> None:
    """Access was judged on one version, and the write met the next one, which nobody had looked at."""
    patient = PatientId("anna")
    anna = Principal("patient", patient=patient, scopes=(Scope("patient", "*", frozenset("cruds")),))
    ports = replace(ward.facade.ports, store=Overtaken(ward, observation("anna", id="own", note=[{"text": "next"}])))
    sent = body or json.dumps(observation("anna", id="own", valueString="mine")).encode()
    content_type = "application/json-patch+json" if interaction is Interaction.PATCH else "application/fhir+json"
    request = FhirRequest(interaction, "Observation", "own", body=sent, if_match="2", content_type=content_type)

    with pytest.raises(PreconditionFailed):
        await dispatch(ports, anna, request)

    assert (await ward.anna.get("/fhir/Observation/own")).json()["note"] == [{"text": "next"}]
