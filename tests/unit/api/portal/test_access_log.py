"""Who looked at my data: over REST and as a page, for the patient and nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_facade.flows.accounts import NewAccount
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine, EmergencyAccess
from tests.accounts import with_account
from tests.facade import Facade, embedded_facade
from tests.forms import sign_in

pytestmark = pytest.mark.asyncio(loop_scope="module")
PASSWORD = "correct horse battery"
PATH = "/api/v1/me/access-log"
NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
BERG = {"resourceType": "Practitioner", "id": "berg", "name": [{"text": "Dr. Bo <Berg>"}]}


def child(id_: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_}


def stands_for(patient: str, name: str) -> dict[str, Any]:
    return {
        "resourceType": "RelatedPerson",
        "id": name if patient == "anna" else f"{name}-of-{patient}",
        "active": True,
        "patient": {"reference": f"Patient/{patient}"},
        "name": [{"text": name.title()}],
    }


FAMILY = (
    child("anna"),
    child("tim"),
    stands_for("anna", "mother"),
    {"resourceType": "Organization", "id": "clinic", "name": "The Clinic"},
)


@dataclass
class Office:
    facade: Facade
    service: httpx.AsyncClient
    anna: httpx.AsyncClient


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    """What was done with the record of `anna` is written by hand."""
    async with embedded_facade(tmp_path_factory.mktemp("office")) as facade:
        ports = facade.ports
        service = await facade.client()
        for resource in (BERG, *FAMILY):
            path = f"/fhir/{resource['resourceType']}/{resource['id']}"
            assert (await service.put(path, json=resource)).status_code == 201
        for name, role, person in (
            ("anna", "patient", {"patient_id": "anna"}),
            ("empty", "patient", {"patient_id": "empty"}),
            ("quiet", "patient", {"patient_id": "quiet"}),
            ("berg", "practitioner", {"practitioner_id": "berg"}),
            ("root", "admin", {}),
            ("mother", "proxy", {"related_person_id": "mother"}),
            ("aunt", "proxy", {"related_person_id": "aunt"}),
            ("desk", "staff", {"organization_id": "clinic"}),
        ):
            await with_account(ports, NewAccount(name, role, PASSWORD, **person))
        client = NewClient("ward-app", "public", "user/*.rs", "Ward App", ("http://127.0.0.1:9/callback",))
        await add_client(ports, client)
        accounts = await ports.state.read(lambda tx: {row.username: row.id for row in tx.find(Account)})
        await ports.state.append(_by_hand(accounts["anna"], accounts["berg"]))
        yield Office(facade, service, await facade.client("patient/*.rs", username="anna"))


def _by_hand(anna: str, berg: str) -> list[AuditLine]:
    def line(minute: int, action: str, outcome: str = "success", **elements: Any) -> AuditLine:
        return AuditLine(
            at=NOON + timedelta(minutes=minute), action=action, outcome=outcome, patient="anna", **elements
        )

    return [
        line(0, "read", user=berg, client="ward-app", entity="Observation/1", version="2", address="192.0.2.7"),
        line(1, "search-type", user=anna, entity="AuditEvent", query="patient=anna"),
        line(2, "search-type", user=anna, entity="Condition", query="patient=anna"),
        line(3, "update", actor="alert-engine", entity="Task/1"),
        line(4, "read", "refused", actor="anonymous", entity="Patient/anna"),
        line(5, "delete", "failed", actor="importer", client="importer", entity="Basic/1"),
        line(6, "emergency", user=berg, detail="unconscious"),
    ]


@asynccontextmanager
async def browser(office: Office, name: str, language: str = "en") -> AsyncIterator[httpx.AsyncClient]:
    async with office.facade.anonymous as client:
        client.headers.update({"Accept": "text/html", "Accept-Language": language})
        await sign_in(client, await client.get("/login"), name, PASSWORD)  # type: ignore[no-untyped-call]
        yield client


@pytest.mark.parametrize(
    ("name", "scope"),
    [("berg", "user/*.rs"), ("root", "user/*.rs"), ("anna", "patient/Patient.rs"), ("mother", "user/Patient.rs")],
)
async def test_who_is_no_patient_or_may_not_read_the_audit_is_refused(office: Office, name: str, scope: str) -> None:
    client = await office.facade.client(scope, username=name)

    answer = await client.get(PATH)

    assert answer.status_code == 403


async def test_who_stands_for_nobody_or_somebody_else_finds_no_log(office: Office) -> None:
    mother, aunt = [await office.facade.client("user/*.rs", username=name) for name in ("mother", "aunt")]

    refused = [
        await aunt.get(PATH),
        await aunt.get(PATH, params={"patient": "anna"}),
        await mother.get(PATH, params={"patient": "empty"}),
        await mother.get(PATH, params={"patient": "none"}),
        await office.anna.get(PATH, params={"patient": "empty"}),
    ]

    assert [answer.status_code for answer in refused] == [404] * 5


async def test_who_stands_for_a_patient_reads_her_log_and_learns_no_addresses(office: Office) -> None:
    mother = await office.facade.client("user/*.rs", username="mother")

    own = (await office.anna.get(PATH, params={"to": "2024-12-31"})).json()["entries"]
    hers = (await mother.get(PATH, params={"to": "2024-12-31", "patient": "anna"})).json()["entries"]

    same = ("id", "action", "kind", "name", "app", "outcome", "emergency", "reason")
    assert [[each[name] for name in same] for each in hers if each["kind"] != "AuditEvent"] == [
        [each[name] for name in same] for each in own
    ]
    assert {each["role"] for each in hers if each["id"] in {e["id"] for e in own if e["role"] == "you"}} == {"patient"}
    events = (await mother.get("/fhir/AuditEvent", params={"patient": "anna", "date": "2024"})).json()["entry"]
    assert "192.0.2.7" not in str(events)
    assert (await mother.get("/fhir/AuditEvent", params={"patient": "tim"})).json()["total"] == 0


@pytest.mark.parametrize("wanted", [{"from": "yesterday"}, {"to": "ge2024"}, {"action": "X"}, {"outcome": "good"}])
async def test_what_cannot_be_wanted_is_refused(office: Office, wanted: dict[str, str]) -> None:
    assert (await office.anna.get(PATH, params=wanted)).status_code in (400, 422)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"from": "2024-03-10T12:03:00Z", "to": "2024-03-10T12:04:00Z"}, ["R Patient", "U Task"]),
        ({"to": "2024-03-10", "action": ["U", "D"]}, ["D Basic", "U Task"]),
        ({"to": "2024", "outcome": "refused"}, ["R Patient"]),
        ({"to": "2024", "emergency": True}, ["E "]),
        ({"to": "2024", "outcome": "failed", "action": "R"}, []),
    ],
)
async def test_the_log_shows_what_is_wanted_on_every_page(
    office: Office, wanted: dict[str, Any], expected: list[str]
) -> None:
    seen, params = [], {"limit": 1, **wanted}
    while params:
        found = (await office.anna.get(PATH, params=params)).json()
        seen += [f"{each['action']} {each['kind']}" for each in found["entries"]]
        params = {"page": found["next"]} if found["next"] else {}

    assert seen == expected


async def test_a_page_of_somebody_else_is_worth_nothing(office: Office) -> None:
    other = await office.facade.client("patient/*.rs", username="empty")
    page = (await office.anna.get(PATH, params={"limit": 1})).json()["next"]

    assert (await other.get(PATH, params={"page": page})).status_code == 410
    assert (await office.anna.get(PATH, params={"page": "nonsense"})).status_code == 410


async def test_the_log_tells_who_did_what_with_which_app(office: Office) -> None:
    old = (await office.anna.get(PATH, params={"from": "2024", "to": "2024"})).json()["entries"]

    told = [(e["action"], e["kind"], e["role"], e["name"], e["app"], e["outcome"]) for e in old]
    assert told == [
        ("E", "", "staff", "Dr. Bo <Berg>", "", "success"),
        ("D", "Basic", "service", "importer", "", "failed"),
        ("R", "Patient", "nobody", "", "", "refused"),
        ("U", "Task", "engine", "alert-engine", "", "success"),
        ("E", "Condition", "you", "", "", "success"),
        ("R", "Observation", "staff", "Dr. Bo <Berg>", "Ward App", "success"),
    ]
    assert (old[0]["emergency"], old[0]["reason"]) == (True, "unconscious")


async def test_everybody_is_told_by_name_and_what_was_seen_in_an_emergency_as_such(office: Office) -> None:
    ports, moment = office.facade.ports, NOON.replace(year=2022)
    granny = stands_for("dora", "granny")
    for resource in (child("dora"), granny):
        await office.service.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
    await with_account(ports, NewAccount("dora", "patient", PASSWORD, patient_id="dora"))
    await with_account(ports, NewAccount("granny", "proxy", PASSWORD, related_person_id=granny["id"]))
    accounts = await ports.state.read(lambda tx: {row.username: row.id for row in tx.find(Account)})
    opened = EmergencyAccess(
        id="opened",
        practitioner="berg",
        patient="dora",
        reason="x",
        begun_at=moment,
        ends_at=moment + timedelta(hours=4),
    )
    await ports.state.append([opened])
    common: dict[str, Any] = {"action": "read", "outcome": "success", "patient": "dora", "entity": "Observation/1"}
    await ports.state.append(
        [
            AuditLine(at=moment + timedelta(hours=hour), user=accounts[name], **common)
            for hour, name in enumerate(("berg", "granny", "desk", "root", "dora", "berg"))
        ]
    )

    only_the_log = await office.facade.client("patient/AuditEvent.rs", username="dora")
    found = (await only_the_log.get(PATH, params={"to": "2022"})).json()["entries"]

    assert [(each["role"], each["name"], each["emergency"]) for each in found] == [
        ("staff", "Dr. Bo <Berg>", False),
        ("you", "", False),
        ("admin", "", False),
        ("staff", "The Clinic", False),
        ("proxy", "Granny", False),
        ("staff", "Dr. Bo <Berg>", True),
    ]


async def test_pages_join_and_the_last_has_no_next(office: Office) -> None:
    whole = (await office.anna.get(PATH, params={"limit": 200})).json()["entries"]
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 3}
    while True:
        found = (await office.anna.get(PATH, params=params)).json()
        seen += [each["id"] for each in found["entries"]]
        if found["next"] is None:
            break
        params = {"page": found["next"]}

    assert [id_ for id_ in seen if id_ in {each["id"] for each in whole}] == [each["id"] for each in whole]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["Who looked at my data", "Dr. Bo &lt;Berg&gt;", "emergency access", "Reason: unconscious", "6 years"]),
        ("de", ["Wer meine Daten angesehen hat", "Notfallzugriff", "Grund: unconscious", "mit Ward App", "6 Jahre"]),
    ],
)
async def test_the_page_says_it_in_the_words_of_its_reader(office: Office, language: str, expected: list[str]) -> None:
    async with browser(office, "anna", language) as client:
        answer = await client.get("/access-log?to=2024-03-10")

    assert answer.status_code == 200
    assert [text for text in expected if text not in answer.text] == []
    assert "<Berg>" not in answer.text


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("show=emergency&from=2024-03-10&to=2024-03-10", "Reason: unconscious", "Ward App"),
        ("show=refused&to=2024-03-10", "refused, nothing was shown", "Ward App"),
        ("show=changed&to=2024-03-10", "did not work", "Ward App"),
        ("from=2024-03-10&to=2024-03-10", "Ward App", "Nothing"),
        ("from=2021-01-01&to=2021-12-31", "Nothing of this kind in this time.", "Ward App"),
        ("show=nonsense&from=nonsense&to=2024-03-10", "Ward App", "Nothing"),
    ],
)
async def test_the_page_shows_what_its_form_asks_for(office: Office, query: str, shown: str, hidden: str) -> None:
    async with browser(office, "anna") as client:
        text = (await client.get(f"/access-log?{query}")).text

    assert shown in text
    assert hidden not in text


async def test_the_page_is_there_for_who_stands_for_the_patient(office: Office) -> None:
    async with browser(office, "mother") as client:
        answer = await client.get("/access-log?patient=anna&to=2024-03-10")
        alone = await client.get("/access-log?to=2024-03-10")
        record = await client.get("/patients/anna")

    assert 'href="/access-log?patient=anna">Who looked at this record' in record.text
    assert [each.status_code for each in (answer, alone)] == [200, 200]
    assert "The patient" in answer.text
    assert 'href="/patients/anna"' in answer.text
    assert 'name="patient" value="anna"' in answer.text
    assert "Ward App" in alone.text


async def test_what_one_did_in_a_row_is_told_once(office: Office) -> None:
    moments = [NOON.replace(year=2023) + timedelta(minutes=minute) for minute in range(4)]
    entities = ("Observation/1", "Observation/2", "Condition/1", "Observation/3")
    lines = [
        AuditLine(at=at, action="read", outcome="success", actor="backend", patient="busy", entity=entity)
        for at, entity in zip(moments, entities, strict=True)
    ]
    await with_account(office.facade.ports, NewAccount("busy", "patient", PASSWORD, patient_id="busy"))
    await office.facade.ports.state.append(lines)

    async with browser(office, "busy") as client:
        text = (await client.get("/access-log")).text

    assert text.count("A service") == 1
    assert "4 times" in text
    assert text.count("Looked at: measurements and laboratory results") == 1


async def test_a_notice_that_was_mailed_is_told_as_sent_and_not_as_a_look_of_the_patient(office: Office) -> None:
    account = await with_account(office.facade.ports, NewAccount("told", "patient", PASSWORD, patient_id="told"))
    line = AuditLine(
        at=NOON, action="notify", outcome="success", actor="mail", user=account.id, patient="told", detail="emergency"
    )
    await office.facade.ports.state.append([line])
    own = await office.facade.client("patient/*.rs", username="told")

    (entry,) = (await own.get(PATH, params={"to": "2024"})).json()["entries"]
    async with browser(office, "told") as client:
        text = (await client.get("/access-log?to=2024-12-31")).text

    assert (entry["kind"], entry["role"], entry["name"]) == ("notice", "engine", "")
    assert "Sent by mail: a notice about the account" in text


async def test_the_page_of_who_is_no_patient_is_refused_and_a_stranger_signs_in_first(office: Office) -> None:
    async with browser(office, "berg") as client:
        assert (await client.get("/access-log")).status_code == 403
    async with office.facade.anonymous as stranger:
        assert (await stranger.get("/access-log")).headers["location"] == "/login?next=%2Faccess-log"


async def test_what_happened_first_and_last_is_a_link_away(office: Office) -> None:
    many = [
        AuditLine(
            at=NOON, action="read", outcome="success", actor="anonymous", patient="quiet", entity=f"Observation/{i}"
        )
        for i in range(60)
    ]
    async with browser(office, "quiet") as client:
        assert "Nothing yet." in (await client.get("/access-log")).text
        await office.facade.ports.state.append(many)
        first = await client.get("/access-log")
        link = first.text.split('href="/access-log?page=')[1].split('"')[0]
        second = await client.get(f"/access-log?page={link}")

    assert "Newest" not in first.text
    assert 'href="/access-log"' in second.text
    assert "Older" not in second.text
