"""What one pair of eyes found that spent its effort on breaking in: each hole is a test that was red before its repair.

docs/security.md, "What was tried".
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.exceptions import HTTPException

from fhir_facade.api.bounded import BoundedBodies
from fhir_facade.api.wire import Receive, Scope, Send
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.ports import StateTransaction
from fhir_facade.rows.oauth import AccessToken, Grant
from tests.attacks.hospital import JSON_PATCH, PASSWORD, STORES, Hospital, bundle, entry, hospital_on
from tests.facade import embedded_facade

pytestmark = pytest.mark.asyncio(loop_scope="module")
REASON = {"reason": "found unconscious, allergies unknown"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES)
async def hospital(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hospital]:
    async with hospital_on(request.param, request, tmp_path_factory.mktemp("hospital")) as opened:
        yield opened


# --- an emergency that never ends -------------------------------------------------------------------------------


async def admitted(hospital: Hospital, name: str) -> str:
    """A patient who is in nobody's care."""
    await hospital.put({"resourceType": "Patient", "id": hospital.id(name), "gender": "other"})
    return hospital.id(name)


def by_patch(doctor: dict[str, str], patient: str) -> tuple[str, str, Any, dict[str, str]]:
    operations = [{"op": "add", "path": "/generalPractitioner", "value": [doctor]}]
    return "PATCH", f"Patient/{patient}", operations, JSON_PATCH


def by_put(doctor: dict[str, str], patient: str) -> tuple[str, str, Any, dict[str, str]]:
    changed = {"resourceType": "Patient", "id": patient, "gender": "other", "generalPractitioner": [doctor]}
    return "PUT", f"Patient/{patient}", changed, {}


def by_team(doctor: dict[str, str], patient: str) -> tuple[str, str, Any, dict[str, str]]:
    return "POST", "CareTeam", team(doctor, patient), {}


def by_transaction(doctor: dict[str, str], patient: str) -> tuple[str, str, Any, dict[str, str]]:
    return "POST", "", bundle("transaction", entry("POST", "CareTeam", team(doctor, patient))), {}


def by_proxy(doctor: dict[str, str], patient: str) -> tuple[str, str, Any, dict[str, str]]:
    person = {"resourceType": "RelatedPerson", "active": True, "patient": {"reference": f"Patient/{patient}"}}
    return "POST", "RelatedPerson", person, {}


def team(doctor: dict[str, str], patient: str) -> dict[str, Any]:
    subject = {"reference": f"Patient/{patient}"}
    return {"resourceType": "CareTeam", "status": "active", "subject": subject, "participant": [{"member": doctor}]}


@pytest.mark.parametrize("way", [by_patch, by_put, by_team, by_transaction, by_proxy])
async def test_emergency_access_that_makes_itself_permanent(hospital: Hospital, way: Any) -> None:
    """Whoever opened a record for four hours wrote themselves into its care, and stayed."""
    patient = await admitted(hospital, f"dora-{way.__name__.replace('_', '-')}")
    opened = await hospital.doctor.post(f"/api/v1/patients/{patient}/emergency-access", json=REASON)
    method, address, body, headers = way({"reference": f"Practitioner/{hospital.id('doctor')}"}, patient)

    content = {"content": json.dumps(body), "headers": {"Content-Type": "application/fhir+json"} | headers}
    answer = await hospital.doctor.request(method, f"/fhir/{address}".rstrip("/"), **content)

    assert opened.status_code == 201, opened.text
    assert answer.status_code == 403, answer.text
    assert (await hospital.doctor.get(f"/fhir/Patient/{patient}")).json().get("generalPractitioner") is None


async def test_care_goes_on_in_an_emergency_and_relations_of_lasting_care_are_still_changed(hospital: Hospital) -> None:
    patient, doctor = await admitted(hospital, "emil"), {"reference": f"Practitioner/{hospital.id('doctor')}"}
    for each in (patient, hospital.id("anna")):
        opened = await hospital.doctor.post(f"/api/v1/patients/{each}/emergency-access", json=REASON)
        assert opened.status_code == 201, opened.text
    about = {"subject": {"reference": f"Patient/{patient}"}}

    observed = await hospital.doctor.post("/fhir/Observation", json=hospital.reading("anna") | about)
    married = await hospital.doctor.patch(
        f"/fhir/Patient/{patient}",
        content=json.dumps([{"op": "add", "path": "/maritalStatus", "value": {"text": "unknown"}}]),
        headers=JSON_PATCH,
    )
    lasting = await hospital.doctor.post("/fhir/CareTeam", json=team(doctor, hospital.id("anna")))

    assert (observed.status_code, married.status_code, lasting.status_code) == (201, 200, 201), married.text


FORGERIES = {
    "team": ("CareTeam", lambda doctor, patient: team(doctor, patient)),
    "role": ("PractitionerRole", lambda doctor, patient: {"active": True, "practitioner": doctor}),
    "proxy": (
        "RelatedPerson",
        lambda doctor, patient: {"patient": {"reference": f"Patient/{patient}"}, "active": True},
    ),
    "consent": ("Consent", lambda doctor, patient: consent(patient)),
    "task": ("Task", lambda doctor, patient: work(patient)),
}


def consent(patient: str) -> dict[str, Any]:
    code = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
    category = [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}]
    about = {"patient": {"reference": f"Patient/{patient}"}, "policyRule": {"text": "all"}}
    return {"status": "active", "scope": code, "category": category, "provision": {"type": "permit"}, **about}


def work(patient: str) -> dict[str, Any]:
    return {"status": "requested", "intent": "order", "for": {"reference": f"Patient/{patient}"}}


@pytest.mark.parametrize("attacker", ["anna", "doctor"])
@pytest.mark.parametrize("name", FORGERIES)
async def test_forging_who_cares_for_somebody_else(hospital: Hospital, name: str, attacker: str) -> None:
    """Whoever could write a team, a role, a proxy or a permission of somebody else was in their care from then on."""
    type_name, make = FORGERIES[name]
    doctor = {"reference": f"Practitioner/{hospital.id('doctor')}"}
    forged = {"resourceType": type_name, **make(doctor, hospital.id("bert"))}
    client = getattr(hospital, attacker)

    answers = [
        await client.post(f"/fhir/{type_name}", json=forged),
        await client.post("/fhir", json=bundle("transaction", entry("POST", type_name, forged))),
        await client.put(f"/fhir/{type_name}/{hospital.id('forged')}", json=forged | {"id": hospital.id("forged")}),
    ]

    assert {answer.status_code for answer in answers} <= {403, 404}, [answer.text for answer in answers]
    assert (await hospital.doctor.get(f"/fhir/Patient/{hospital.id('bert')}")).status_code == 404


# --- reading by writing -----------------------------------------------------------------------------------------


def a_test(value: str) -> list[dict[str, str]]:
    return [{"op": "test", "path": "/valueString", "value": value}]


COPY_INTO_AN_ERROR = [{"op": "copy", "from": "/valueString", "path": "/status"}]


async def test_a_patch_as_an_oracle_for_an_app_that_may_only_change(hospital: Hospital) -> None:
    """A `test` that fails says what a value is not; a value copied to where it may not be came back in the error."""
    own, person = hospital.id("own"), hospital.id("anna")
    app = await hospital.facade.client("patient/Observation.u", username=person)

    answers = [
        await app.patch(f"/fhir/Observation/{own}", content=json.dumps(operations), headers=JSON_PATCH)
        for operations in (a_test("hers"), a_test("not hers"), COPY_INTO_AN_ERROR)
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert len({re.sub(r'"id":"[^"]*"', "", answer.text) for answer in answers}) == 1


async def test_a_label_added_so_that_the_own_scope_covers_the_record(hospital: Hospital) -> None:
    """An app that may change everything and read what is labelled labelled what it wanted to read."""
    own, person = hospital.id("own"), hospital.id("anna")
    app = await hospital.facade.client(
        "patient/Observation.u patient/Observation.rs?_tag=https://example.org/tags|app", username=person
    )
    meta = {"tag": [{"system": "https://example.org/tags", "code": "app"}]}
    label = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}
    patch = {"resourceType": "Parameters", "parameter": []}

    answers = [
        await app.post(f"/fhir/Observation/{own}/$meta-add", json=label),
        await app.patch(
            f"/fhir/Observation/{own}",
            content=json.dumps([{"op": "add", "path": "/meta/tag", "value": meta["tag"]}]),
            headers=JSON_PATCH,
        ),
        await app.post("/fhir", json=bundle("transaction", entry("POST", f"Observation/{own}/$meta-add", label))),
        await app.post("/fhir", json=bundle("transaction", entry("PATCH", f"Observation/{own}", patch))),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4, [answer.text for answer in answers]
    assert (await app.get(f"/fhir/Observation/{own}")).status_code == 404


# --- what the own access log tells ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["put", "transaction"])
async def test_the_own_access_log_as_an_oracle_for_what_exists(hospital: Hospital, kind: str) -> None:
    """A refused write to an id that is free stood in the attacker's own log, one to a foreign record in the other's."""
    seen = []
    for name in ("foreign", f"free-{kind}"):
        wanted = hospital.id(name)
        body = hospital.reading("anna", id=wanted)
        if kind == "put":
            refused = await hospital.anna.put(f"/fhir/Observation/{wanted}", json=body)
        else:
            put = bundle("transaction", entry("PUT", f"Observation/{wanted}", body))
            refused = await hospital.anna.post("/fhir", json=put)
        assert refused.status_code == 404, refused.text
        seen.append(await hospital.count(hospital.anna, f"AuditEvent?entity=Observation/{wanted}"))

    assert seen == [0, 0]


# --- signing up -------------------------------------------------------------------------------------------------


async def sign_up(client: httpx.AsyncClient, name: str, reference: str) -> httpx.Response:
    extension = [{"url": "https://example.org/knows", "valueReference": {"reference": reference}}]
    patient = {"contact": [{"name": {"text": "a friend"}, "extension": extension}]}
    body = {"username": name, "password": PASSWORD, "patient": patient}
    return await client.post("/api/v1/accounts/register", json=body)


@pytest.mark.both_stores
async def test_signing_up_as_an_oracle_for_what_exists(tmp_path: Path, deployment: dict[str, Any]) -> None:
    """Somebody without an account referred to a record out of the Patient to be made: only what is there was taken."""
    async with embedded_facade(tmp_path, self_registration=True, **deployment) as facade:
        service = await facade.client()
        await service.put("/fhir/Patient/bert", json={"resourceType": "Patient", "id": "bert"})

        answers = [await sign_up(facade.anonymous, f"name-{id_}", f"Patient/{id_}") for id_ in ("bert", "carl")]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert len({answer.json()["detail"] for answer in answers}) == 1


# --- an app that opens records ----------------------------------------------------------------------------------


async def test_an_app_that_opens_records_in_an_emergency_by_itself(hospital: Hospital) -> None:
    """An app with the narrowest scope of a doctor opened whatever record it had an id of, in the doctor's name."""
    patient, name = await admitted(hospital, "frida"), hospital.id("doctor")
    token = await hospital.facade.token("user/Observation.r", username=name)
    await given_to_an_app(hospital, token)
    app = hospital.facade.anonymous
    app.headers["Authorization"] = f"Bearer {token}"

    answer = await app.post(f"/api/v1/patients/{patient}/emergency-access", json=REASON)

    assert answer.status_code == 403, answer.text
    assert (await hospital.doctor.get(f"/fhir/Patient/{patient}")).status_code == 404


async def given_to_an_app(hospital: Hospital, token: str) -> None:
    """As if the person had consented on the pages."""
    client_id = hospital.id("app")
    ports = hospital.facade.ports
    new = NewClient(client_id, "public", "user/Observation.r", redirect_uris=("https://app.example/callback",))
    await add_client(ports, new)

    def give(tx: StateTransaction) -> None:
        row = tx.get(AccessToken, digest(token))
        assert row is not None
        tx.change(Grant, [("id", "=", row.grant_id)], client_id=client_id)

    await ports.state.write(give)


# --- bodies before their senders --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v1/launches", "/api/v1/accounts/register", "/api/v1/connections"])
async def test_a_body_of_a_stranger_that_fills_the_memory(hospital: Hospital, path: str) -> None:
    """All of a body was taken in before its sender was asked for a token: 300 MB from nobody took 300 MB."""

    async def without_end() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * 64 * 1024

    headers = {"Content-Type": "application/json"}
    answer = await hospital.facade.anonymous.post(path, content=without_end(), headers=headers)

    assert answer.status_code == 413, answer.text


async def test_a_body_of_a_stranger_that_never_ends() -> None:
    """No store takes part: the body is read before anything else."""

    async def slow() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    class Impatient(BoundedBodies):
        within_s = 0.01

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    with pytest.raises(HTTPException) as refused:
        await Impatient(reading)({"type": "http"}, slow, slow)  # type: ignore[arg-type]  # nothing is sent

    assert refused.value.status_code == 408


# --- a defect for the asking ------------------------------------------------------------------------------------


async def test_an_order_of_more_keys_than_a_store_can_join(hospital: Hospital) -> None:
    """A search by two thousand keys was a defect with a trace in the log, for everybody who may search."""
    answer = await hospital.anna.get(f"/fhir/Observation?_sort={','.join(['date'] * 70)}")

    assert answer.status_code == 400, answer.text
