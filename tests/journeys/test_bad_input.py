"""Bad input of every kind, on every way in: a clear OperationOutcome, and nothing half-written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_facade.app import create_app
from tests.facade import Facade, embedded_facade
from tests.wearables import MovedClock

pytestmark = pytest.mark.both_stores

FHIR = {"Content-Type": "application/fhir+json"}
GOOD = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}}


def bad(*left_out: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (GOOD | changes).items() if name not in left_out}


RESOURCES = [
    pytest.param(bad("status"), 422, "status", id="missing status"),
    pytest.param(bad(status="finished"), 422, "finished", id="code outside its value set"),
    pytest.param(bad(foo=1), 422, "foo", id="unknown element"),
    pytest.param(bad(subject="Patient/1"), 422, "subject", id="text where an object belongs"),
    pytest.param(bad(category={"text": "x"}), 422, "category", id="object where a list belongs"),
    pytest.param(bad(effectiveDateTime="yesterday"), 422, "effectiveDateTime", id="no date"),
    pytest.param(bad(valueQuantity={"value": "5"}), 422, "value", id="text where a number belongs"),
    pytest.param(bad(valueString="x", valueInteger=1), 422, "value", id="two values of one choice"),
    pytest.param(bad(subject={"reference": "Patient/none"}), 400, "Patient/none", id="dangling reference"),
    pytest.param(bad(subject={"reference": "Medication/x"}), 422, "Medication", id="reference to a wrong type"),
    pytest.param(bad("resourceType"), 400, "resourceType", id="no type"),
    pytest.param(bad(resourceType="Reading"), 400, "Reading", id="unknown type"),
]
TEXTS = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"{", id="malformed"),
    pytest.param(b'{"resourceType":"Observation"', id="ends early"),
    pytest.param(b'{"resourceType":"Observation","status":"final","status":"final","code":{}}', id="a member twice"),
    pytest.param(b'{"resourceType":"Observation","status":"\xff"}', id="not UTF-8"),
    pytest.param(b'{"resourceType":"Observation","status":"a\\u0000"}', id="NUL"),
    pytest.param(b"[" * 200 + b"]" * 200, id="too deep"),
    pytest.param(b'"Observation"', id="no object"),
]


def said(answer: httpx.Response) -> str:
    """What the outcome says; every error is one."""
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome", answer.text
    assert all(issue["severity"] in ("error", "fatal", "warning") and issue["code"] for issue in outcome["issue"])
    return " ".join(issue["diagnostics"] + " ".join(issue.get("expression", ())) for issue in outcome["issue"])


async def count(client: httpx.AsyncClient, kind: str) -> int:
    return int((await client.get(f"/fhir/{kind}?_summary=count")).json()["total"])


def bundle(kind: str, *entries: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    listed = [{"resource": body, "request": {"method": method, "url": url}} for method, url, body in entries]
    return {"resourceType": "Bundle", "type": kind, "entry": listed}


# --- resources ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
async def test_what_is_no_resource_is_refused(client: httpx.AsyncClient, text: bytes) -> None:
    created = await client.post("/fhir/Observation", content=text, headers=FHIR)
    updated = await client.put("/fhir/Observation/o", content=text, headers=FHIR)
    bundled = await client.post("/fhir", content=text, headers=FHIR)

    assert [answer.status_code for answer in (created, updated, bundled)] == [400, 400, 400]
    assert all(said(answer) for answer in (created, updated, bundled))
    assert await count(client, "Observation") == 0


@pytest.mark.parametrize(("body", "status", "word"), RESOURCES)
async def test_a_bad_resource_is_refused_on_every_way_in(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, word: str
) -> None:
    patient = ("POST", "Patient", {"resourceType": "Patient"})
    broken = ("PUT", "Observation/o", body)

    created = await client.post("/fhir/Observation", json={**body, "id": "other"})
    updated = await client.put("/fhir/Observation/o", json=body)
    together = await client.post("/fhir", json=bundle("transaction", patient, broken))
    nothing = (await count(client, "Observation"), await count(client, "Patient"))
    one_by_one = (await client.post("/fhir", json=bundle("batch", patient, broken))).json()["entry"]

    assert [answer.status_code for answer in (created, updated, together)] == [status] * 3
    assert all(word in said(answer) for answer in (created, updated, together))
    assert nothing == (0, 0)
    assert [entry["response"]["status"][:3] for entry in one_by_one] == ["201", str(status)]
    assert word in json.dumps(one_by_one[1]["response"]["outcome"])
    assert (await count(client, "Observation"), await count(client, "Patient")) == (0, 1)


async def test_a_patch_that_spoils_a_resource_leaves_it_as_it_was(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Observation/o", json=GOOD)
    patches = {
        422: [{"op": "replace", "path": "/status", "value": "finished"}],
        400: [{"op": "remove", "path": "/nothing"}],
    }

    for status, patch in patches.items():
        headers = {"Content-Type": "application/json-patch+json"}
        answer = await client.patch("/fhir/Observation/o", json=patch, headers=headers)
        assert answer.status_code == status, answer.text
        assert said(answer)
    assert (await client.get("/fhir/Observation/o")).json()["meta"]["versionId"] == "1"


async def test_a_reference_to_somebody_elses_record_answers_like_one_to_nothing(
    facade: Facade, client: httpx.AsyncClient
) -> None:
    for name in ("ann", "bob"):
        await client.put(f"/fhir/Patient/{name}", json={"resourceType": "Patient", "id": name})
    theirs = GOOD | {"id": "theirs", "subject": {"reference": "Patient/bob"}}
    await client.put("/fhir/Observation/theirs", json=theirs)

    async with await facade.client("patient/*.cruds", patient="ann") as ann:
        own = GOOD | {"subject": {"reference": "Patient/ann"}}
        answers = [
            await ann.post("/fhir/Observation", json=own | {"hasMember": [{"reference": f"Observation/{name}"}]})
            for name in ("theirs", "absent")
        ]

    foreign, absent = ((answer.status_code, said(answer).partition("refers to")[2]) for answer in answers)
    assert foreign[0] == 400
    assert foreign == (absent[0], absent[1].replace("absent", "theirs"))
    assert await count(client, "Observation") == 1


# --- too much -------------------------------------------------------------------------------------------------


async def test_what_is_too_large_is_refused_whole(tmp_path: Path, deployment: dict[str, Any]) -> None:
    limits = {
        "max_body_bytes": 2048,
        "max_transaction_bytes": 8192,
        "max_batch_bytes": 8192,
        "max_transaction_entries": 3,
        "max_batch_entries": 4,
    }
    many = [("PUT", f"Patient/p{number}", {"resourceType": "Patient", "id": f"p{number}"}) for number in range(5)]
    long = {"resourceType": "Patient", "id": "long", "name": [{"text": "x" * 9000}]}

    async with embedded_facade(tmp_path, **deployment, **limits) as small, await small.client() as client:
        answers = [
            await client.put("/fhir/Patient/long", json=long),
            await client.post("/fhir", json=bundle("transaction", *many[:4])),
            await client.post("/fhir", json=bundle("batch", *many)),
            await client.post("/fhir", json=bundle("transaction", ("PUT", "Patient/long", long))),
        ]
        stored = await count(client, "Patient")

    assert [answer.status_code for answer in answers] == [413] * 4
    assert all(said(answer) for answer in answers)
    assert stored == 0


# --- questions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        pytest.param("Patient?colour=red", "colour", id="unknown parameter"),
        pytest.param("Patient?name:sounds=x", "sounds", id="unknown modifier"),
        pytest.param("Patient?birthdate:exact=2020", "exact", id="modifier of another kind"),
        pytest.param("Patient?birthdate=yesterday", "yesterday", id="no date"),
        pytest.param("Observation?value-quantity=much", "much", id="no number"),
        pytest.param("Observation?date=zz2020", "zz2020", id="unknown prefix"),
        pytest.param("Patient?_count=many", "many", id="no count"),
        pytest.param("Patient?_sort=colour", "colour", id="no order"),
        pytest.param("Patient?_include=Patient:colour", "colour", id="no include"),
        pytest.param("Observation?subject:Patient.colour=red", "colour", id="unknown end of a chain"),
        pytest.param("Patient?_has:Observation:colour:code=x", "colour", id="unknown reverse chain"),
    ],
)
async def test_a_question_that_is_not_understood_is_refused(client: httpx.AsyncClient, asked: str, word: str) -> None:
    kind, _, form = asked.partition("?")
    got = await client.get(f"/fhir/{asked}")
    posted = await client.post(
        f"/fhir/{kind}/_search", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert [got.status_code, posted.status_code] == [400, 400]
    assert word in said(got)
    assert word in said(posted)


async def test_a_page_link_dies_with_time_and_works_for_nobody_else(facade: Facade) -> None:
    clock = MovedClock(facade.ports)
    app = create_app(facade.settings, replace(facade.ports, clock=clock))
    token = await facade.token(minutes=300)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=facade.settings.base_url) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        for number in range(4):
            await client.put(f"/fhir/Patient/p{number}", json={"resourceType": "Patient", "id": f"p{number}"})
        page = (await client.get("/fhir/Patient?_count=2&_sort=_id")).json()
        (link,) = [each["url"] for each in page["link"] if each["relation"] == "next"]
        fresh = await client.get(link)
        foreign = await client.get(link, headers={"Authorization": f"Bearer {await facade.token('system/*.rs')}"})
        clock.forward(hours=2)
        expired = await client.get(link)
    await app.close()

    assert [entry["resource"]["id"] for entry in fresh.json()["entry"]] == ["p2", "p3"]
    assert [foreign.status_code, expired.status_code] == [410, 410]
    assert said(foreign) == said(expired)
