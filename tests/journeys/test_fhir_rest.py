"""The FHIR API as a client meets it: errors first, then the ordinary way."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_facade.app import open_ports
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import FhirRequest, Interaction
from tests.facade import Facade, embedded_facade
from tests.wearables import IMPORT

FHIR = "application/fhir+json"
PATIENT = {"resourceType": "Patient", "name": [{"family": "Tester"}], "gender": "female", "birthDate": "1980-02-03"}


pytestmark = pytest.mark.both_stores


async def patient(client: httpx.AsyncClient) -> str:
    answer = await client.post("/fhir/Patient", json=PATIENT)
    assert answer.status_code == 201
    return str(answer.json()["id"])


def observation(subject: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "55423-8"}]},
        "subject": {"reference": subject},
        **elements,
    }


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        pytest.param("GET", "/fhir/Patient?_page=abc", {}, 410, id="page link of nobody"),
        pytest.param("GET", "/fhir/Patient/none", {}, 404, id="absent"),
        pytest.param("GET", "/fhir/Nothing", {}, 404, id="unknown type"),
        pytest.param("GET", "/fhir/Patient", {"Accept": "application/fhir+xml"}, 406, id="XML asked for"),
        pytest.param("POST", "/fhir/Patient", {"Content-Type": "application/fhir+xml"}, 415, id="XML sent"),
        pytest.param("DELETE", "/fhir/metadata", {}, 405, id="wrong method"),
        pytest.param("GET", "/fhir/Patient", {"Authorization": "Bearer nonsense"}, 401, id="foreign token"),
    ],
)
async def test_a_wrong_request_gets_an_outcome(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await client.request(method, path, headers=headers, content=b"<x/>" if method == "POST" else b"")

    assert answer.status_code == status
    assert answer.json()["issue"][0]["severity"] == "error"


async def test_without_a_token_only_the_capabilities_are_shown(facade: Facade) -> None:
    async with facade.anonymous as nobody:
        assert (await nobody.get("/fhir/Patient")).status_code == 401
        statement = (await nobody.get("/fhir/metadata")).json()

    assert statement["resourceType"] == "CapabilityStatement"
    assert len(statement["rest"][0]["resource"]) > 140


async def test_a_life_of_a_resource(client: httpx.AsyncClient) -> None:
    own = await patient(client)
    path = f"/fhir/Patient/{own}"

    stale = await client.put(path, json=PATIENT | {"id": own, "gender": "male"}, headers={"If-Match": 'W/"7"'})
    changed = await client.put(path, json=PATIENT | {"id": own, "gender": "male"}, headers={"If-Match": 'W/"1"'})
    same = await client.put(path, json=PATIENT | {"id": own, "gender": "male"})
    patched = await client.patch(
        path,
        json=[{"op": "replace", "path": "/gender", "value": "other"}],
        headers={"Content-Type": "application/json-patch+json"},
    )
    history = (await client.get(f"{path}/_history")).json()
    first = await client.get(f"{path}/_history/1")
    unchanged = await client.get(path, headers={"If-None-Match": patched.headers["ETag"]})
    removed = await client.delete(path)

    assert [stale.status_code, changed.status_code, same.status_code, patched.status_code] == [412, 200, 200, 200]
    assert same.headers["ETag"] == 'W/"2"'
    assert [entry["resource"]["gender"] for entry in history["entry"]] == ["other", "male", "female"]
    assert first.json()["gender"] == "female"
    assert unchanged.status_code == 304
    assert removed.status_code == 200
    assert (await client.get(path)).status_code == 410
    assert (await client.get(f"{path}/_history/1")).status_code == 200


async def test_digits_leave_as_they_came(client: httpx.AsyncClient) -> None:
    own = await patient(client)
    body = (
        b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/'
        + own.encode()
        + b'"},"valueQuantity":{"value":1.500,"unit":"g"}, "effectiveDateTime":"2026-01-01T10:00:00.120+02:00"}'
    )

    answer = await client.post("/fhir/Observation", content=body, headers={"Content-Type": FHIR})

    assert b'"value":1.500' in answer.content
    assert b"10:00:00.120+02:00" in (await client.get(answer.headers["Location"])).content


async def test_pages_follow_each_other_and_belong_to_their_caller(facade: Facade, client: httpx.AsyncClient) -> None:
    subject = f"Patient/{await patient(client)}"
    for day in range(1, 8):
        await client.post("/fhir/Observation", json=observation(subject, effectiveDateTime=f"2026-01-0{day}"))

    found: list[str] = []
    url: str | None = f"/fhir/Observation?subject={subject}&code=55423-8&_sort=-date&_count=3"
    links: list[str] = []
    while url:
        page = (await client.get(url)).json()
        found += [entry["resource"]["effectiveDateTime"] for entry in page["entry"]]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        links += [url] if url else []

    assert found == [f"2026-01-0{day}" for day in range(7, 0, -1)]
    async with await facade.client("patient/*.rs", patient="somebody-else") as other:
        assert (await other.get(links[0])).status_code == 410


async def test_an_include_adds_the_subject(client: httpx.AsyncClient) -> None:
    own = await patient(client)
    await client.post("/fhir/Observation", json=observation(f"Patient/{own}"))

    page = (await client.get("/fhir/Observation?_include=Observation:subject")).json()

    assert [(e["resource"]["resourceType"], e["search"]["mode"]) for e in page["entry"]] == [
        ("Observation", "match"),
        ("Patient", "include"),
    ]


async def test_a_transaction_resolves_its_references_and_happens_whole_or_not_at_all(client: httpx.AsyncClient) -> None:
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    entries = [
        {"fullUrl": urn, "resource": PATIENT, "request": {"method": "POST", "url": "Patient"}},
        {"resource": observation(urn), "request": {"method": "POST", "url": "Observation"}},
    ]
    broken = [
        *entries,
        {"resource": {"resourceType": "Observation"}, "request": {"method": "POST", "url": "Observation"}},
    ]

    refused = await client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": broken})
    nothing = (await client.get("/fhir/Patient?_summary=count")).json()["total"]
    answer = await client.post("/fhir/", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    stored = (await client.get("/fhir/Observation")).json()["entry"][0]["resource"]

    assert refused.status_code == 422
    assert nothing == 0
    assert [entry["response"]["status"] for entry in answer.json()["entry"]] == ["201 Created", "201 Created"]
    assert stored["subject"]["reference"] == answer.json()["entry"][0]["response"]["location"].partition("/_history")[0]


async def test_a_conditional_create_happens_once_also_in_a_race(client: httpx.AsyncClient) -> None:
    body = PATIENT | {"identifier": [{"system": "urn:test", "value": "1"}]}

    async def create() -> int:
        answer = await client.post("/fhir/Patient", json=body, headers={"If-None-Exist": "identifier=urn:test|1"})
        return answer.status_code

    statuses = await asyncio.gather(*(create() for _ in range(6)))

    assert sorted(statuses) == [200] * 5 + [201]


async def test_a_command_beside_the_server_and_the_server_create_once_between_them(tmp_path: Path) -> None:
    marked = PATIENT | {"identifier": [{"system": "urn:test", "value": "1"}]}
    asked = FhirRequest(
        Interaction.CREATE, "Patient", body=json.dumps(marked).encode(), if_none_exist="identifier=urn:test|1"
    )

    async with embedded_facade(tmp_path) as server, open_ports(server.settings, guest=True) as command:
        both = (server.ports, command) * 4
        answers = await asyncio.gather(*(dispatch(ports, IMPORT, asked) for ports in both))

    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]


async def test_a_batch_answers_each_entry(client: httpx.AsyncClient) -> None:
    entries = [
        {"resource": PATIENT, "request": {"method": "POST", "url": "Patient"}},
        {"request": {"method": "GET", "url": "Patient/none"}},
        {"resource": {"resourceType": "Patient", "foo": 1}, "request": {"method": "POST", "url": "Patient"}},
    ]

    answer = (await client.post("/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": entries})).json()

    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["201", "404", "422"]


async def test_a_patient_sees_and_writes_their_own_record_only(facade: Facade, client: httpx.AsyncClient) -> None:
    own, foreign = await patient(client), await patient(client)
    theirs = (await client.post("/fhir/Observation", json=observation(f"Patient/{foreign}"))).json()["id"]

    async with await facade.client("patient/*.cruds", patient=own) as person:
        read = await person.get(f"/fhir/Patient/{own}")
        hidden = await person.get(f"/fhir/Observation/{theirs}")
        absent = await person.get("/fhir/Observation/none")
        found = (await person.get("/fhir/Observation")).json()
        written = await person.post("/fhir/Observation", json=observation(f"Patient/{own}"))
        planted = await person.post("/fhir/Observation", json=observation(f"Patient/{foreign}"))
        claimed = await person.put("/fhir/Observation/none", json=observation(f"Patient/{own}", id="none"))

    assert read.status_code == 200
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert hidden.text.replace(theirs, "none") == absent.text
    assert found["total"] == 0
    assert written.status_code == 201
    assert planted.status_code == 403
    assert claimed.status_code == 404


async def test_a_practitioner_sees_the_patients_in_their_care(facade: Facade, client: httpx.AsyncClient) -> None:
    practitioner = (await client.post("/fhir/Practitioner", json={"resourceType": "Practitioner"})).json()["id"]
    other = await patient(client)
    mine = PATIENT | {"generalPractitioner": [{"reference": f"Practitioner/{practitioner}"}]}
    own = (await client.post("/fhir/Patient", json=mine)).json()["id"]
    from fhir_facade.flows.accounts import NewAccount, add_account

    await add_account(facade.ports, NewAccount("dr.who", "practitioner", "a long password", None, practitioner))

    async with await facade.client("user/*.rs", username="dr.who") as doctor:
        found = (await doctor.get("/fhir/Patient")).json()
        hidden = await doctor.get(f"/fhir/Patient/{other}")

    assert [entry["resource"]["id"] for entry in found["entry"]] == [own]
    assert hidden.status_code == 404


async def test_every_read_write_and_refusal_is_in_the_audit(facade: Facade, client: httpx.AsyncClient) -> None:
    own = await patient(client)
    await client.get(f"/fhir/Patient/{own}")
    await client.get("/fhir/Patient/none")
    await client.get("/fhir/Patient?name=test", headers={"X-Request-ID": "my-request"})

    lines = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("action", "!=", "token"), order=("id",)))

    assert [(line.action, line.outcome, line.patient) for line in lines] == [
        ("create", "success", own),
        ("read", "success", own),
        ("read", "refused", "none"),
        ("search-type", "success", own),
    ]
    assert lines[-1].request_id == "my-request"
    assert lines[-1].query == "name=test"


async def test_health_names_each_dependency(facade: Facade) -> None:
    async with facade.anonymous as nobody:
        answer = await nobody.get("/health")

    assert answer.status_code == 200
    assert set(answer.json()["dependencies"]) == {"store", "database"}
    assert all(d["response_time_ms"] >= 0 for d in answer.json()["dependencies"].values())


async def test_version_zero_means_only_if_nothing_is_there(client: httpx.AsyncClient) -> None:
    path, nothing = "/fhir/Patient/new", {"If-Match": 'W/"0"'}

    created = await client.put(path, json=PATIENT | {"id": "new"}, headers=nothing)
    again = await client.put(path, json=PATIENT | {"id": "new", "gender": "male"}, headers=nothing)
    removed = await client.delete(path)
    back = await client.put(path, json=PATIENT | {"id": "new"}, headers=nothing)

    assert [answer.status_code for answer in (created, again, removed, back)] == [201, 409, 200, 201]
    assert removed.headers["Content-Location"].endswith("/Patient/new/_history/2")
