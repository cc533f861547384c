"""The audit read and searched as AuditEvents, on one facade of each store for all of these tests."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_facade.fhir.capability import AUDIT_SEARCH
from fhir_facade.fhir.validation import validate
from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.interactions.audit_names import line_names
from fhir_facade.interactions.audit_search import searchable
from fhir_facade.rows.audit import AuditLine
from tests.facade import Facade
from tests.ward import facade_on

PASSWORD = "correct horse battery"
NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
STORES = ["embedded", pytest.param("hapi", marks=(pytest.mark.hapi, pytest.mark.postgres))]
pytestmark = pytest.mark.asyncio(loop_scope="module")
PROFILE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."


@dataclass
class Desk:
    """`anna` and `bert` are patients, `admin` keeps the accounts. Lines of 2024 were written by hand."""

    facade: Facade
    anna: httpx.AsyncClient
    admin: httpx.AsyncClient
    service: httpx.AsyncClient
    doctor_account: str

    async def found(self, query: str, who: httpx.AsyncClient | None = None) -> list[str]:
        """What a search finds, as `action entity` of each AuditEvent."""
        answer = await (who or self.admin).get(f"/fhir/AuditEvent?{query}")
        assert answer.status_code == 200, answer.text
        return [told(entry["resource"]) for entry in answer.json().get("entry", ())]

    async def newest(self, query: str = "", who: httpx.AsyncClient | None = None) -> dict[str, Any]:
        """An AuditEvent."""
        answer = await (who or self.admin).get(f"/fhir/AuditEvent?_count=1&{query}")
        return dict(answer.json()["entry"][0]["resource"])


def told(event: dict[str, Any]) -> str:
    data = [e["what"]["reference"] for e in event.get("entity", ()) if e.get("role", {}).get("code") == "4"]
    return " ".join([event["subtype"][0]["code"], *data])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES)
async def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with facade_on(request.param, request, tmp_path_factory.mktemp("desk")) as facade:
        ports = facade.ports
        await add_account(ports, NewAccount("anna", "patient", PASSWORD, patient_id="anna"))
        doctor = await add_account(ports, NewAccount("doctor", "practitioner", PASSWORD, practitioner_id="doctor"))
        await add_account(ports, NewAccount("root", "admin", PASSWORD))
        desk = Desk(
            facade,
            await facade.client("patient/*.rs", username="anna"),
            await facade.client("user/*.cruds", username="root"),
            await facade.client("system/*.cruds"),
            doctor.id,
        )
        for kind, id_ in (("Patient", "anna"), ("Patient", "bert")):
            await desk.service.put(f"/fhir/{kind}/{id_}", json={"resourceType": kind, "id": id_})
        await ports.state.append(_by_hand(doctor.id))
        yield desk


def _by_hand(doctor: str) -> list[AuditLine]:
    common: dict[str, Any] = {"outcome": "success", "user": doctor, "actor": "doctor"}
    moments = [NOON + timedelta(minutes=minute) for minute in range(4)]
    return [
        AuditLine(at=moments[0], action="read", entity="Observation/1", version="2", patient="anna", **common),
        AuditLine(at=moments[1], action="search-type", entity="Condition", query="code=x", patient="anna", **common),
        AuditLine(at=moments[1], action="$everything", entity="Patient/anna", patient="anna", **common),
        AuditLine(at=moments[2], action="delete", entity="Observation/2", patient="bert", **common),
        AuditLine(at=moments[3], action="login", outcome="refused", address="192.0.2.7", detail="wrong name"),
    ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("agent-name=doctor", "AuditEvent is searched by"),
        ("source.name=x", "without chains"),
        ("patient:missing=true", "patient:missing is not known"),
        ("date=2026-01-01,2026-01-02", "one moment per parameter"),
        ("date=ne2026-01-01", "date: AuditEvent takes"),
        ("_sort=patient", "sorted by date"),
        ("nonsense=1", "nonsense"),
    ],
)
async def test_what_cannot_be_said_is_refused_and_never_dropped(desk: Desk, query: str, message: str) -> None:
    answer = await desk.admin.get(f"/fhir/AuditEvent?{query}")

    assert answer.status_code == 400
    assert message in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "AuditEvent"), ("PUT", "AuditEvent/{id}"), ("PATCH", "AuditEvent/{id}"), ("DELETE", "AuditEvent/{id}")],
)
async def test_nobody_writes_an_audit_event(desk: Desk, method: str, path: str) -> None:
    event = await desk.newest()
    path = path.format(**event)

    answers = [
        await who.request(method, f"/fhir/{path}", json=event, headers={"Content-Type": "application/fhir+json"})
        for who in (desk.anna, desk.admin, desk.service)
    ]

    assert {answer.status_code for answer in answers} == {403}


@pytest.mark.parametrize("id_", ["bert", "0", "1", "01", "99999999999999999999", "a" * 48, "0" * 64, "ab"])
async def test_what_is_no_id_of_a_line_is_not_there(desk: Desk, id_: str) -> None:
    """The number of a line is none."""
    assert (await desk.admin.get(f"/fhir/AuditEvent/{id_}")).status_code == 404
    assert await desk.found(f"_id={id_}") == []


async def test_an_id_is_found_as_it_is_written_alone(desk: Desk) -> None:
    id_ = (await desk.newest("date=2024-03-10"))["id"]

    assert (await desk.admin.get(f"/fhir/AuditEvent/{id_}")).json()["id"] == id_
    assert len(await desk.found(f"_id={id_},1,bert")) == 1
    assert (await desk.admin.get(f"/fhir/AuditEvent/{id_.upper()}")).status_code == 404


async def test_ids_tell_nothing_of_how_much_happens_to_others(desk: Desk) -> None:
    """Of neighbours in the audit no id says which came first, how many are between them, or that they are neighbours."""
    page = (await desk.anna.get("/fhir/AuditEvent?date=2024-03-10")).json()
    ids = [entry["resource"]["id"] for entry in page["entry"]]
    numbers = [line.id for line in await desk.facade.ports.state.read(lambda tx: tx.find(AuditLine))]

    assert [len(id_) for id_ in ids] == [48, 48, 48]
    assert not {str(number) for number in numbers} & set(ids)
    assert len({id_[at : at + 8] for id_ in ids for at in range(0, 48, 8)}) == 18  # no part is the same in two
    shown = (await desk.anna.get("/api/v1/me/access-log?from=2024-03-10&to=2024-03-10")).json()["entries"]
    assert [each["id"] for each in shown] == ids


async def test_a_patient_sees_the_lines_about_herself_and_no_others(desk: Desk) -> None:
    own = await desk.found("date=2024-03-10", desk.anna)
    lines = await desk.facade.ports.state.read(lambda tx: tx.find(AuditLine, ("patient", "=", "bert")))

    names = await line_names(desk.facade.ports)
    foreign_id, absent_id = names.id_of(lines[0].id), names.id_of(987_654)

    foreign = await desk.anna.get(f"/fhir/AuditEvent/{foreign_id}")
    absent = await desk.anna.get(f"/fhir/AuditEvent/{absent_id}")

    assert own == ["operation Patient/anna", "search-type", "read Observation/1/_history/2"]
    assert (await desk.anna.get("/fhir/AuditEvent?patient=bert")).json()["total"] == 0
    assert foreign.status_code == absent.status_code == 404
    assert foreign.text.replace(foreign_id, absent_id) == absent.text
    assert (await desk.admin.get(f"/fhir/AuditEvent/{foreign_id}")).status_code == 200


async def test_what_was_asked_for_and_from_where_is_not_a_patients_to_read(desk: Desk) -> None:
    """A search for her may have named others too."""
    together = AuditLine(
        at=NOON.replace(year=2023),
        action="search-type",
        outcome="success",
        entity="Condition",
        query="patient=anna,bert",
        patient="anna",
        address="192.0.2.7",
    )
    await desk.facade.ports.state.append([together])

    own = await desk.anna.get("/fhir/AuditEvent?date=2023")
    admin = await desk.admin.get("/fhir/AuditEvent?date=2023")

    asked = [question(answer.json()["entry"][0]["resource"]) for answer in (own, admin)]
    assert [text.rpartition("/")[2] for text in asked] == ["Condition", "Condition?patient=anna,bert"]
    assert "192.0.2.7" not in own.text
    assert "192.0.2.7" in admin.text


def question(event: dict[str, Any]) -> str:
    texts = [entity["query"] for entity in event["entity"] if entity.get("role", {}).get("code") == "24"]
    return base64.b64decode(texts[0]).decode()


async def test_who_may_not_read_a_chart_does_not_read_who_did(desk: Desk) -> None:
    doctor = await desk.facade.client("user/*.rs", username="doctor")

    assert (await doctor.get("/fhir/AuditEvent?patient=anna")).status_code == 403


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("date=2024-03-10&_sort=date&_count=1", ["read Observation/1/_history/2"]),
        ("date=2024-03-10T12:02Z", ["delete Observation/2"]),
        ("date=ge2024-03-10T12:02Z&date=lt2024-03-11", ["110122", "delete Observation/2"]),
        ("date=gt2024-03-10T12:02Z&date=le2024-03-10", ["110122"]),
        ("date=sa2024-03-10T12:02Z&date=eb2024-03-10T12:04Z", ["110122"]),
        ("_lastUpdated=ap2024-03-10T12:02:00Z&action=D", ["delete Observation/2"]),
        ("patient=bert&date=2024-03-10", ["delete Observation/2"]),
        ("patient=Patient/bert&date=2024-03-10&action=C", []),
        ("entity=Observation/1", ["read Observation/1/_history/2"]),
        ("action=D&date=2024-03-10", ["delete Observation/2"]),
        ("type=110114&date=2024-03-10", ["110122"]),
        ("subtype=http://hl7.org/fhir/restful-interaction|operation&date=2024-03-10", ["operation Patient/anna"]),
        ("outcome=4&date=2024-03-10", ["110122"]),
        ("agent=Practitioner/doctor&action=D", ["delete Observation/2"]),
        ("agent=Patient/anna&date=2024-03-10", []),
    ],
)
async def test_a_search_finds_lines_by(desk: Desk, query: str, expected: list[str]) -> None:
    assert await desk.found(query) == expected


async def test_pages_join_without_gap_or_repeat_also_where_moments_are_equal(desk: Desk) -> None:
    whole = await desk.found("date=2024-03-10")
    for order in ("-date", "date"):
        seen: list[str] = []
        link: str | None = f"/fhir/AuditEvent?date=2024-03-10&_count=1&_sort={order}"
        while link is not None:
            page = (await desk.admin.get(link)).json()
            seen += [told(entry["resource"]) for entry in page.get("entry", ())]
            link = next((each["url"] for each in page["link"] if each["relation"] == "next"), None)

        assert seen == (whole if order == "-date" else whole[::-1])


async def test_totals_are_those_of_what_may_be_seen(desk: Desk) -> None:
    everything = (await desk.admin.get("/fhir/AuditEvent?date=2024-03-10&_summary=count")).json()
    own = (await desk.anna.get("/fhir/AuditEvent?date=2024-03-10&_summary=count")).json()

    assert (everything["total"], own["total"]) == (5, 3)


async def test_an_audit_event_is_a_valid_resource_of_the_basic_audit_profiles(desk: Desk) -> None:
    bundle = (await desk.admin.get("/fhir/AuditEvent?_count=100")).json()
    events = [entry["resource"] for entry in bundle["entry"]]

    read = next(event for event in events if told(event) == "read Observation/1/_history/2")
    search = next(event for event in events if told(event) == "search-type" and event["recorded"][:4] == "2024")

    assert all(not validate(event, type="AuditEvent") for event in events)
    assert read["meta"]["profile"] == [PROFILE + "PatientRead"]
    assert (read["action"], read["outcome"], read["recorded"]) == ("R", "0", "2024-03-10T12:00:00.000Z")
    assert {"reference": "Patient/anna"} in [entity["what"] for entity in read["entity"]]
    person = next(agent for agent in read["agent"] if agent["requestor"])
    assert person["who"]["reference"] == "Practitioner/doctor"
    assert person["who"]["identifier"]["value"] == desk.doctor_account
    assert search["meta"]["profile"] == [PROFILE + "PatientQuery"]
    assert question(search) == "GET http://127.0.0.1:8000/fhir/Condition?code=x"


async def test_one_audit_event_has_one_version_and_a_history_of_it(desk: Desk) -> None:
    event = f"/fhir/AuditEvent/{(await desk.newest())['id']}"
    history = await desk.admin.get(f"{event}/_history")
    version = await desk.admin.get(f"{event}/_history/1")

    assert history.json()["entry"][0]["resource"] == version.json()
    assert (await desk.admin.get(f"{event}/_history/2")).status_code == 404


async def test_includes_lead_from_lines_to_patients_and_back(desk: Desk) -> None:
    there = await desk.service.get("/fhir/AuditEvent?patient=bert&action=D&_include=AuditEvent:patient")
    back = await desk.service.get("/fhir/Patient?_id=bert&_revinclude=AuditEvent:patient")

    assert [entry["resource"]["resourceType"] for entry in there.json()["entry"]] == ["AuditEvent", "Patient"]
    kinds = {entry["resource"]["resourceType"] for entry in back.json()["entry"]}
    assert kinds == {"Patient", "AuditEvent"}


async def test_the_capability_statement_says_what_audit_events_are_searched_by() -> None:
    assert set(searchable()) == AUDIT_SEARCH


async def test_reading_the_audit_is_in_the_audit(desk: Desk) -> None:
    await desk.found("patient=bert")

    lines = await desk.facade.ports.state.read(
        lambda tx: tx.find(AuditLine, ("entity", "=", "AuditEvent"), order=("id",))
    )
    assert (lines[-1].action, lines[-1].query, lines[-1].patient) == ("search-type", "patient=bert", "bert")
