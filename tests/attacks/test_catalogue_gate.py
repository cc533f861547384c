"""More of the catalogue: attacks that should end at the gate, before a store is asked, whichever it is.

https://owasp.org/API-Security/editions/2023/en/0x11-t10/, "Playing with FHIR: Hacking and Securing FHIR APIs" (Knight,
2021), and the advisories and issues of other servers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.launch.tokens import revoke_grants
from tests.attacks.hospital import JSON_PATCH, PASSWORD, SECRET, STORES, Hospital, bundle, entry, hospital_on
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")
ONCE = "patient/Patient.r patient/Basic.r"
"""The scope of a token that is withdrawn; no other test asks for it."""
REFUSED = {400, 403, 404, 405, 410, 412, 422, 501}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES)
async def hospital(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hospital]:
    async with hospital_on(request.param, request, tmp_path_factory.mktemp("hospital")) as opened:
        yield opened


# --- writing ----------------------------------------------------------------------------------------------------


async def test_owner_change_by_put_and_patch(hospital: Hospital) -> None:
    """A PATCH that touched no patient path was let through; a PUT gave the record to somebody else."""
    own, bert = hospital.id("own"), {"reference": f"Patient/{hospital.id('bert')}"}
    answers = [
        await hospital.anna.put(f"/fhir/Observation/{own}", json=hospital.reading("bert", id=own)),
        await hospital.anna.patch(
            f"/fhir/Observation/{own}",
            content=json.dumps([{"op": "replace", "path": "/subject", "value": bert}]),
            headers=JSON_PATCH,
        ),
        await hospital.anna.patch(
            f"/fhir/Observation/{own}",
            content=json.dumps([{"op": "remove", "path": "/subject"}]),
            headers=JSON_PATCH,
        ),
        await hospital.anna.patch(
            f"/fhir/Observation/{own}",
            json={"subject": bert},
            headers={"Content-Type": "application/merge-patch+json"},
        ),
    ]

    assert {answer.status_code for answer in answers} <= {403, 404, 422}
    stored = (await hospital.service.get(f"/fhir/Observation/{own}")).json()
    assert stored["subject"]["reference"] == f"Patient/{hospital.id('anna')}"


@pytest.mark.parametrize(
    "where",
    [
        lambda bert: {"performer": [bert]},
        lambda bert: {"focus": [bert]},
        lambda bert: {"extension": [{"url": "urn:x", "valueReference": bert}]},
        lambda bert: {"note": [{"authorReference": bert, "text": "x"}]},
        lambda bert: {"contained": [{"resourceType": "Device", "id": "d", "patient": bert}], "device": {"reference": "#d"}},
        lambda bert: {"focus": [{"type": "Patient", "identifier": {"system": "urn:x", "value": "1"}}]},
        lambda bert: {"focus": [{"reference": f"https://elsewhere.example/fhir/{bert['reference']}"}]},
        lambda bert: {"focus": [{"reference": "Patient?name=" + SECRET}]},
        lambda bert: {"contained": [{"resourceType": "Patient", "id": "p"}], "focus": [{"reference": "#p"}]},
    ],
    ids=["performer", "focus", "extension", "author", "contained", "identifier", "absolute", "conditional", "inside"],
)  # fmt: skip
async def test_poisoning_the_record_of_somebody_else(hospital: Hospital, where: Any) -> None:
    """A resource of one's own that names another patient appeared in the other one's record."""
    bert = {"reference": f"Patient/{hospital.id('bert')}"}

    answer = await hospital.anna.post("/fhir/Observation", json=hospital.reading("anna", **where(bert)))

    assert answer.status_code in {400, 403, 422}, answer.text
    assert SECRET not in answer.text.replace(f"name={SECRET}", "")


@pytest.mark.parametrize(
    "make",
    [
        lambda h: bundle("transaction", entry("POST", "", bundle("transaction", entry("GET", f"Patient/{h.id('bert')}")))),
        lambda h: bundle("batch", entry("GET", f"http://127.0.0.1:1/fhir/Patient/{h.id('bert')}")),
        lambda h: bundle("batch", entry("GET", f"http://elsewhere.example/fhir/Patient/{h.id('bert')}")),
        lambda h: bundle("batch", entry("GET", f"Patient/../Patient/{h.id('bert')}")),
        lambda h: bundle("batch", entry("GET", f"Patient/{h.id('anna')}/../{h.id('bert')}")),
        lambda h: bundle("batch", entry("HEAD", f"Patient/{h.id('bert')}")),
        lambda h: bundle("batch", entry("GET", f"/Patient?_id={h.id('bert')}")),
        lambda h: bundle("transaction", entry("PUT", f"Observation/{h.id('own')}", h.reading("anna", id=h.id("foreign")))),
        lambda h: bundle("transaction", entry("POST", "Observation", h.reading("anna"), fullUrl="urn:uuid:1"),
                         entry("POST", "Observation", h.reading("anna"), fullUrl="urn:uuid:1")),
        lambda h: bundle("transaction", entry("POST", "Observation", h.reading("anna")),
                         entry("PUT", f"Observation/{h.id('foreign')}", h.reading("bert", id=h.id("foreign")))),
        lambda h: bundle("collection", entry("GET", f"Patient/{h.id('bert')}")),
    ],
    ids=["nested", "own port", "elsewhere", "climbing", "climbing back", "head", "slash", "other id", "fullUrl twice",
         "one foreign entry", "not to be done"],
)  # fmt: skip
async def test_bundles_as_a_way_around(hospital: Hospital, make: Any) -> None:
    """Entries of a bundle were not judged like single requests."""
    before = (await hospital.service.get("/fhir/Observation?_summary=count")).json()["total"]

    answer = await hospital.anna.post("/fhir", json=make(hospital))

    assert SECRET not in answer.text
    assert answer.status_code in REFUSED or {each["response"]["status"][:3] for each in answer.json()["entry"]} <= {
        "200",
        "400",
        "403",
        "404",
        "405",
    }
    assert (await hospital.service.get("/fhir/Observation?_summary=count")).json()["total"] == before


@pytest.mark.parametrize(
    "elements",
    [
        {"generalPractitioner": [{"reference": "Practitioner/attacker"}]},
        {"managingOrganization": {"reference": "Organization/attacker"}},
        {"active": False},
        {"identifier": [{"system": "urn:mrn", "value": "1"}]},
        {"deceasedBoolean": True},
    ],
    ids=lambda elements: next(iter(elements)),
)
async def test_mass_assignment_of_what_access_hangs_on(hospital: Hospital, elements: dict[str, Any]) -> None:
    """A client could set every element of what it may change."""
    id_ = hospital.id("anna")
    current = (await hospital.anna.get(f"/fhir/Patient/{id_}")).json()

    answer = await hospital.anna.put(f"/fhir/Patient/{id_}", json=current | elements)

    assert answer.status_code in {400, 403}


async def test_mass_assignment_of_version_and_time(hospital: Hospital) -> None:
    meta = {"versionId": "77", "lastUpdated": "1999-01-01T00:00:00Z"}

    answer = await hospital.anna.post("/fhir/Observation", json=hospital.reading("anna", id="chosen", meta=meta))

    assert answer.status_code == 201
    assert answer.json()["id"] != "chosen"
    assert answer.json()["meta"]["versionId"] == "1"
    assert not answer.json()["meta"]["lastUpdated"].startswith("1999")


# --- limits that were dropped -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["Observation?nonsense=1", "Observation?patient:nonsense=1", "Observation?subject:Patient.nonsense=1",
              "Patient?_has:Observation:nonsense:code=1", "Observation?_sort=nonsense", "Observation?code:in=nonsense"]
)  # fmt: skip
@pytest.mark.parametrize("headers", [{}, {"Prefer": "handling=lenient"}], ids=["strict", "lenient"])
async def test_unknown_parameter_ignored(hospital: Hospital, query: str, headers: dict[str, str]) -> None:
    """What a server did not know it left out, and answered with everything."""
    assert (await hospital.anna.get(f"/fhir/{query}", headers=headers)).status_code in {400, 403, 404}


async def test_empty_restriction_list_as_everything(hospital: Hospital) -> None:
    """A list of allowed patients that was empty for a moment was no limit."""
    nobody = hospital.id("idle")
    account = NewAccount(nobody, "practitioner", PASSWORD, practitioner_id=nobody)
    await add_account(hospital.facade.ports, account)
    client = await hospital.facade.client("user/*.rs", username=nobody)

    for query in ("Patient?_lastUpdated=ge2000", "Observation?_lastUpdated=ge2000", "Condition?code:text=a"):
        assert await hospital.count(client, query) == 0


@pytest.mark.parametrize("scope", ["user/*.*", "patient/*.*", "user/*.cruds patient/*.cruds"])
async def test_a_scope_wider_than_the_user(hospital: Hospital, scope: str) -> None:
    """`user/*.*` was given where `patient/*.*` was meant, and counted for everybody's records."""
    client = await hospital.facade.client(scope, username=hospital.id("anna"))

    assert SECRET not in (await client.get("/fhir/Observation?_count=200")).text
    assert (await client.get(f"/fhir/Patient/{hospital.id('bert')}")).status_code in {403, 404}


# --- what goes around FHIR --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        ("Observation", "application/fhir+xml", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>"),
        ("Observation", "application/xml", "<Observation xmlns='http://hl7.org/fhir'/>"),
        ("Observation", "text/turtle", "<x> a <y>"),
        ("Observation", "text/html", "<html/>"),
    ],
)
async def test_xml_entities_and_other_formats(hospital: Hospital, path: str, content_type: str, body: str) -> None:
    """Parsers of XML read files and fetched addresses."""
    answer = await hospital.anna.post(f"/fhir/{path}", content=body, headers={"Content-Type": content_type})

    assert answer.status_code == 415
    assert (await hospital.anna.get("/fhir/Observation?_format=xml")).status_code == 406


@pytest.mark.parametrize(
    "div",
    ["<script>alert(1)</script>", "<p onclick='x()'>x</p>",
     "<iframe src='x'/>", "<a href='javascript:alert(1)'>x</a>"],
    ids=["script", "handler", "frame", "link"],
)  # fmt: skip
async def test_script_in_a_narrative(hospital: Hospital, div: str) -> None:
    """Stored HTML ran in the page of whoever looked at it."""
    text = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'}

    answer = await hospital.anna.post("/fhir/Observation", json=hospital.reading("anna", text=text))

    assert answer.status_code == 422 or div not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_a_server_that_fetches_addresses_from_resources(hospital: Hospital) -> None:
    """Attachments, subscriptions, canonical addresses and profiles were fetched, with the server's own credentials."""
    visits: list[object] = []

    async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(reader)
        writer.close()

    server = await asyncio.start_server(visited, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    channel = {"type": "rest-hook", "endpoint": url, "payload": "application/fhir+json"}
    subscription = {"resourceType": "Subscription", "status": "requested", "reason": "x", "criteria": "Observation"}
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": f"Patient/{hospital.id('anna')}"},
        "content": [{"attachment": {"url": url, "contentType": "text/plain"}}],
    }
    async with server:
        answers = [
            await hospital.anna.post("/fhir/Subscription", json=subscription | {"channel": channel}),
            await hospital.anna.post("/fhir/DocumentReference", json=document),
            await hospital.anna.post("/fhir/Observation", json=hospital.reading("anna", meta={"profile": [url]})),
            await hospital.anna.get("/fhir/Observation", params={"code:in": url}),
            await hospital.anna.get("/fhir/ValueSet/$expand", params={"url": url}),
            await hospital.anna.post("/fhir/Observation/$validate", params={"profile": url}, json={}),
        ]

    assert answers[0].status_code == 403
    assert visits == []


@pytest.mark.parametrize("name", ["expunge", "reindex", "graphql", "export", "import", "meta-add", "process-message"])
async def test_operations_that_look_into_or_empty_the_whole_server(hospital: Hospital, name: str) -> None:
    """The name of an operation was never looked at."""
    bert = hospital.id("bert")
    for path in (f"${name}", f"Patient/${name}", f"Patient/{bert}/${name}"):
        for method in ("GET", "POST"):
            answer = await hospital.anna.request(method, f"/fhir/{path}", json={"resourceType": "Parameters"})

            assert answer.status_code in REFUSED, (method, path, answer.text)
    assert (await hospital.service.get(f"/fhir/Patient/{bert}")).status_code == 200


async def test_a_shared_cache_that_mixes_up_users(hospital: Hospital) -> None:
    """An answer for one was given to another."""
    for path in (f"Patient/{hospital.id('anna')}", "Observation?_count=1", "Observation/nowhere"):
        answer = await hospital.anna.get(f"/fhir/{path}")

        assert answer.headers["Cache-Control"] == "no-store, private"
        assert "Authorization" in answer.headers["Vary"]


async def test_enormous_pages(hospital: Hospital) -> None:
    """`_count=100000` was believed."""
    answer = await hospital.anna.get("/fhir/Observation?_count=999999999")

    assert answer.status_code == 200
    assert len(answer.json().get("entry", ())) <= 1000


async def test_a_revoked_token_that_still_works(hospital: Hospital) -> None:
    """What was withdrawn was good until it expired."""
    client = await hospital.facade.client(ONCE, username=hospital.id("anna"))
    path = f"/fhir/Patient/{hospital.id('anna')}"
    assert (await client.get(path)).status_code == 200

    def revoke(tx: Any) -> None:
        which = (("patient", "=", hospital.id("anna")), ("scope", "=", ONCE))
        assert len(revoke_grants(tx, hospital.facade.ports.clock.now(), "test", *which)) == 1

    await hospital.facade.ports.state.write(revoke)
    async with asyncio.timeout(PATIENCE_S):
        while (await client.get(path)).status_code != 401:
            await asyncio.sleep(0.05)
