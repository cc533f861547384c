"""Everything that is done, tried or refused is in the audit: whose, by whom, with what, under which request."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_facade.flows.accounts import NewAccount, add_account, disable_account
from fhir_facade.flows.launch.clients import NewClient, add_client, disable_client
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Remove
from fhir_facade.rows.accounts import LoginThrottle
from fhir_facade.rows.audit import AuditLine, RefusalCount
from fhir_facade.rows.oauth import Client, Grant
from tests.deployments import HAPI
from tests.facade import Facade, embedded_facade
from tests.forms import sign_in, submit
from tests.hapi_server import empty_hapi
from tests.ward import facade_on

pytestmark = pytest.mark.asyncio(loop_scope="module")
PASSWORD = "correct horse battery"
MERGE = {"Content-Type": "application/merge-patch+json"}
RID = "request-of-the-test"
APP = "app-of-the-doctor"


@dataclass
class Records:
    """`anna` and `carla` are in the care of the doctor, bert is not."""

    facade: Facade
    anna: httpx.AsyncClient
    doctor: httpx.AsyncClient
    service: httpx.AsyncClient
    account: str

    async def newest(self) -> int:
        rows = await self.facade.ports.state.read(lambda tx: tx.find(AuditLine, order=("-id",), limit=1))
        return rows[0].id if rows else 0

    async def since(self, last: int) -> list[AuditLine]:
        return await self.facade.ports.state.read(lambda tx: tx.find(AuditLine, ("id", ">", last), order=("id",)))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", HAPI])
async def records(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Records]:
    if request.param != "embedded":
        empty_hapi(request.getfixturevalue("hapi_url"))
    async with facade_on(request.param, request, tmp_path_factory.mktemp("records")) as facade:
        service = await facade.client()
        care = [{"reference": "Practitioner/doctor"}]
        for resource in (
            {"resourceType": "Practitioner", "id": "doctor"},
            {"resourceType": "Patient", "id": "anna", "generalPractitioner": care},
            {"resourceType": "Patient", "id": "carla", "generalPractitioner": care},
            {"resourceType": "Patient", "id": "bert"},
            *(reading(name, id=f"of-{name}") for name in ("anna", "carla", "bert")),
        ):
            answer = await service.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
            assert answer.status_code == 201, answer.text
        await add_account(facade.ports, NewAccount("anna", "patient", PASSWORD, patient_id="anna"))
        account = await add_account(
            facade.ports, NewAccount("doctor", "practitioner", PASSWORD, practitioner_id="doctor")
        )
        anna = await facade.client("patient/*.cruds", username="anna")
        doctor = await facade.client("user/*.cruds", username="doctor")
        await add_client(
            facade.ports, NewClient(APP, "public", "user/*.cruds", redirect_uris=("https://app.example/x",))
        )
        of_the_doctor = [("account_id", "=", account.id)]
        await facade.ports.state.write(lambda tx: tx.change(Grant, of_the_doctor, client_id=APP))
        yield Records(facade, anna, doctor, service, account.id)


def reading(patient: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "a reading"},
        "subject": {"reference": f"Patient/{patient}"},
        **elements,
    }


def batch(*entries: tuple[str, str]) -> dict[str, Any]:
    asked = [{"request": {"method": method, "url": url}} for method, url in entries]
    return {"resourceType": "Bundle", "type": "batch", "entry": asked}


Told = tuple[str, str, str | None, str | None]

DOINGS: dict[str, tuple[str, str, Any, dict[str, str], list[Told]]] = {
    "read": ("GET", "Observation/of-anna", None, {}, [("read", "success", "Observation/of-anna", "anna")]),
    "read of a version": (
        "GET", "Observation/of-anna/_history/1", None, {}, [("vread", "success", "Observation/of-anna", "anna")]),
    "not modified": (
        "GET", "Observation/of-anna", None, {"If-None-Match": 'W/"1"'},
        [("read", "success", "Observation/of-anna", "anna")]),
    "history": (
        "GET", "Observation/of-anna/_history", None, {},
        [("history-instance", "success", "Observation/of-anna", "anna")]),
    "search that finds two patients": (
        "GET", "Observation?code:text=a", None, {},
        [("search-type", "success", "Observation", "anna"), ("search-type", "success", "Observation", "carla")]),
    "search that finds nothing of one": (
        "GET", "Condition?patient=anna", None, {}, [("search-type", "success", "Condition", "anna")]),
    "search that finds nobody": (
        "GET", "Observation?code:text=nothing", None, {}, [("search-type", "success", "Observation", None)]),
    "search for shared records": (
        "GET", "Practitioner?_id=doctor", None, {}, [("search-type", "success", "Practitioner", None)]),
    "include": (
        "GET", "Observation?_id=of-anna&_include=Observation:subject", None, {},
        [("search-type", "success", "Observation", "anna")]),
    "post of a search": (
        "POST", "Observation/_search?_id=of-anna", None, {}, [("search-type", "success", "Observation", "anna")]),
    "foreign read": (
        "GET", "Observation/of-bert", None, {}, [("read", "refused", "Observation/of-bert", "bert")]),
    "foreign version": (
        "GET", "Observation/of-bert/_history/1", None, {}, [("vread", "refused", "Observation/of-bert", "bert")]),
    "foreign patient": ("GET", "Patient/bert", None, {}, [("read", "refused", "Patient/bert", "bert")]),
    "absent read": ("GET", "Observation/none", None, {}, [("read", "refused", "Observation/none", None)]),
    "foreign write": (
        "PUT", "Observation/of-bert", reading("anna", id="of-bert"), {},
        [("update", "refused", "Observation/of-bert", "bert")]),
    "write for somebody else": (
        "POST", "Observation", reading("bert"), {}, [("create", "refused", "Observation", "bert")]),
    "type without a right": ("GET", "Group/1", None, {}, [("read", "refused", "Group/1", None)]),
    "unknown parameter": (
        "GET", "Observation?nonsense=1", None, {}, [("search-type", "failed", "Observation", None)]),
    "invalid resource": (
        "POST", "Observation", {"resourceType": "Observation"}, {}, [("create", "failed", "Observation", None)]),
    "update": (
        "PUT", "Observation/of-anna", reading("anna", id="of-anna", valueString="x"), {},
        [("update", "success", "Observation/of-anna", "anna")]),
    "patch": (
        "PATCH", "Observation/of-anna", {"valueString": "y"}, MERGE,
        [("patch", "success", "Observation/of-anna", "anna")]),
    "wrong version": (
        "PUT", "Observation/of-anna", reading("anna", id="of-anna"), {"If-Match": 'W/"77"'},
        [("update", "failed", "Observation/of-anna", "anna")]),
    "reference to nothing": (
        "POST", "Observation", reading("anna", performer=[{"reference": "Practitioner/nobody"}]), {},
        [("create", "failed", "Observation", "anna")]),
    "batch": (
        "POST", "", batch(("GET", "Observation/of-carla"), ("GET", "Observation/of-bert")), {},
        [("read", "success", "Observation/of-carla", "carla"), ("read", "refused", "Observation/of-bert", "bert")]),
}  # fmt: skip


@pytest.mark.parametrize("name", DOINGS)
async def test_what_is_done_through_fhir_has_its_lines(records: Records, name: str) -> None:
    method, path, body, headers, expected = DOINGS[name]
    last = await records.newest()

    await records.doctor.request(method, f"/fhir/{path}", json=body, headers={"X-Request-ID": RID, **headers})

    lines = await records.since(last)
    assert sorted((each.action, each.outcome, each.entity, each.patient) for each in lines) == sorted(expected)
    assert {(each.user, each.client, each.request_id) for each in lines} == {(records.account, APP, RID)}
    assert all(each.token and each.actor for each in lines)


@pytest.mark.parametrize(
    ("path", "action", "entity"),
    [
        ("Observation?_count=1&_sort=_id", "search-type", "Observation"),
        ("Observation/of-anna/_history?_count=1", "history-instance", "Observation/of-anna"),
        ("Observation/_history?_count=1", "history-type", "Observation"),
        ("?_type=Observation&_count=1&_sort=_id", "search-system", None),
        ("Patient/anna/$everything?_count=1", "$everything", "Patient/anna"),
    ],
)
async def test_each_page_has_a_line_about_whom_it_shows(
    records: Records, path: str, action: str, entity: str | None
) -> None:
    await records.doctor.put("/fhir/Observation/of-anna", json=reading("anna", id="of-anna", valueString=path))
    last, link = await records.newest(), f"/fhir/{path}"
    shown: list[set[str | None]] = []
    for number in range(2):
        page = (await records.doctor.get(link, headers={"X-Request-ID": f"page-{number}"})).json()
        shown.append({whose(entry["resource"]) for entry in page["entry"]} - {None} or {None})
        link = next((each["url"] for each in page["link"] if each["relation"] == "next"), "")

    lines = await records.since(last)
    assert [(each.action, each.entity, each.patient, each.request_id) for each in lines] == [
        (action, entity, patient, f"page-{number}")
        for number, patients in enumerate(shown)
        for patient in sorted(patients, key=str)
    ]
    assert {(each.user, each.client, each.outcome) for each in lines} == {(records.account, APP, "success")}


def whose(resource: dict[str, Any]) -> str | None:
    """The patient whom a resource of these tests is about."""
    reference = resource.get("subject", {}).get("reference", f"{resource['resourceType']}/{resource['id']}")
    return str(reference).removeprefix("Patient/") if reference.startswith("Patient/") else None


async def test_a_create_and_its_deletion_name_the_new_record(records: Records) -> None:
    last = await records.newest()
    made = (await records.anna.post("/fhir/Observation", json=reading("anna"))).json()["id"]
    await records.anna.delete(f"/fhir/Observation/{made}")

    told = [(each.action, each.outcome, each.entity, each.patient) for each in await records.since(last)]
    assert told == [(action, "success", f"Observation/{made}", "anna") for action in ("create", "delete")]


@pytest.mark.parametrize("who", ["service", "doctor"])
@pytest.mark.parametrize("headers", [{}, {"If-Match": 'W/"77"'}], ids=["referred to", "another version"])
@pytest.mark.parametrize("way", ["alone", "in a transaction"])
async def test_a_deletion_that_is_refused_names_whose_record_it_was(
    records: Records, who: str, headers: dict[str, str], way: str
) -> None:
    """A service sees everything, and nothing is looked at before it deletes."""
    held = (await records.service.post("/fhir/Observation", json=reading("anna"))).json()["id"]
    member = [{"reference": f"Observation/{held}"}]
    assert (await records.service.post("/fhir/Observation", json=reading("anna", hasMember=member))).status_code == 201
    client, last = getattr(records, who), await records.newest()

    if way == "alone":
        answer = await client.delete(f"/fhir/Observation/{held}", headers=headers)
    else:
        bundle = deleting(f"Observation/{held}", kind="transaction")
        if headers:
            bundle["entry"][0]["request"]["ifMatch"] = headers["If-Match"]
        answer = await client.post("/fhir", json=bundle)

    assert answer.status_code in (409, 412), answer.text
    (line,) = await records.since(last)
    assert (line.outcome, line.patient) == ("failed", "anna")


@pytest.mark.parametrize(("id_", "patient"), [("of-bert", "bert"), ("none", None)], ids=["there", "not there"])
async def test_a_deletion_that_a_service_has_no_scope_for_names_whose_record_it_was(
    records: Records, id_: str, patient: str | None
) -> None:
    reader, last = await records.facade.client("system/Observation.rs"), await records.newest()

    answers = [
        await reader.delete(f"/fhir/Observation/{id_}"),
        await reader.post("/fhir", json=deleting(f"Observation/{id_}", kind="batch")),
    ]

    assert [answer.status_code for answer in answers] == [403, 200]
    told = [line for line in await records.since(last) if line.action == "delete"]
    assert [(line.outcome, line.entity, line.patient) for line in told] == [
        ("refused", f"Observation/{id_}", patient)
    ] * 2


async def test_a_transaction_that_is_refused_about_several_names_each(records: Records) -> None:
    ids = []
    for patient in ("anna", "carla"):
        made = (await records.service.post("/fhir/Observation", json=reading(patient))).json()["id"]
        member = [{"reference": f"Observation/{made}"}]
        await records.service.post("/fhir/Observation", json=reading(patient, hasMember=member))
        ids.append(f"Observation/{made}")
    last = await records.newest()

    assert (await records.service.post("/fhir", json=deleting(*ids, kind="transaction"))).status_code == 409

    told = sorted((line.outcome, str(line.patient)) for line in await records.since(last))
    assert told == [("failed", "anna"), ("failed", "carla")]


def deleting(*addresses: str, kind: str) -> dict[str, Any]:
    entries = [{"request": {"method": "DELETE", "url": address}} for address in addresses]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


async def delete_both(service: httpx.AsyncClient, way: str, one: str, other: str) -> None:
    if way in ("batch", "transaction"):
        answer = await service.post("/fhir", json=deleting(f"Observation/{one}", f"Observation/{other}", kind=way))
        assert answer.status_code == 200, answer.text
        return
    for id_ in (one, other):
        path = f"Observation/{id_}" if way == "one" else f"Observation?_id={id_}"
        assert (await service.delete(f"/fhir/{path}")).status_code == 200


@pytest.mark.parametrize("way", ["one", "conditional", "batch", "transaction"])
async def test_what_a_service_deletes_names_whose_it_was(records: Records, way: str) -> None:
    one, other = f"of-anna-{way}", f"of-bert-{way}"
    for id_, patient in ((one, "anna"), (other, "bert")):
        await records.service.put(f"/fhir/Observation/{id_}", json=reading(patient, id=id_))
    last = await records.newest()

    await delete_both(records.service, way, one, other)

    lines = [each for each in await records.since(last) if each.action == "delete"]
    assert {(each.entity, each.patient, each.outcome) for each in lines} == {
        (f"Observation/{one}", "anna", "success"),
        (f"Observation/{other}", "bert", "success"),
    }


async def test_a_deleted_patient_is_named_and_what_was_not_there_was_nobodys(records: Records) -> None:
    await records.service.put("/fhir/Patient/short", json={"resourceType": "Patient", "id": "short"})
    last = await records.newest()

    await records.service.delete("/fhir/Patient/short")
    await records.service.delete("/fhir/Observation/never")

    told = [(each.action, each.entity, each.patient) for each in await records.since(last)]
    assert told == [("delete", "Patient/short", "short"), ("delete", "Observation/never", None)]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer ffa_unknown"}], ids=["nobody", "bad token"])
async def test_who_is_not_known_is_in_it_too(records: Records, headers: dict[str, str]) -> None:
    """The first time; then how often is counted, so that nobody fills a disk this way."""
    await records.facade.ports.state.write(lambda tx: forget_counts(tx))
    last = await records.newest()
    async with records.facade.anonymous as client:
        for _ in range(20):
            await client.get("/fhir/Patient/anna", headers=headers)
            await client.get("/api/v1/alerts", headers=headers)
            await client.post("/fhir/Patient", json={"resourceType": "Patient"}, headers=headers)
            await client.get("/fhir/metadata?mode=nonsense", headers=headers)

    lines = await records.since(last)
    assert [(each.action, each.outcome, each.actor, each.user) for each in lines] == [
        ("read", "refused", "anonymous", None),
        ("create", "refused", "anonymous", None),
        ("capabilities", "failed", "anonymous", None),
    ]
    counts = await records.facade.ports.state.read(lambda tx: tx.find(RefusalCount, order=("action",)))
    assert [(each.action, each.more) for each in counts] == [("capabilities", 19), ("create", 19), ("read", 39)]


DOORS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "code that is none": (
        "/oauth/token",
        {"grant_type": "authorization_code", "code": "x", "redirect_uri": "https://door.example/x",
         "code_verifier": "v" * 43, "client_id": "door"},
        {}),
    "refresh token that is none": (
        "/oauth/token", {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "door"}, {}),
    "client that is none": ("/oauth/token", {"grant_type": "refresh_token", "client_id": "none"}, {}),
    "secret of a client that is none": ("/oauth/token", {"client_id": "none", "client_secret": "x"}, {}),
    "malformed": ("/oauth/token", {"client_secret": "x"}, {"Authorization": "Basic eDp5"}),
    "introspection": ("/oauth/introspect", {"token": "x", "client_id": "door"}, {}),
    "token given back that is none": ("/oauth/revoke", {"token": "x", "client_id": "door"}, {}),
    "userinfo": ("/oauth/userinfo", {}, {"Authorization": "Bearer ffa_unknown"}),
    "registration": ("/oauth/register", {}, {"Authorization": "Bearer unknown"}),
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
async def test_a_flood_at_a_door_without_a_key_is_counted(records: Records, door: str) -> None:
    """Every request had a line of its own, as fast as anybody could send them."""
    path, form, headers = DOORS[door]
    ports = records.facade.ports
    await ports.state.write(lambda tx: forget_counts(tx))
    if not await ports.state.read(lambda tx: tx.count(Client, ("id", "=", "door"))):
        await add_client(ports, NewClient("door", "public", "patient/*.rs", redirect_uris=("https://door.example/x",)))
    last, throttles = await records.newest(), await ports.state.read(lambda tx: tx.count(LoginThrottle))
    async with records.facade.anonymous as client:
        for number in range(30):
            guess = {"code": f"x{number}"} if "code" in form else {}
            made_up = {"client_id": f"none{number}"} if form.get("client_id") == "none" else {}
            await client.post(path, data=form | guess | made_up, headers=headers)

    lines = await records.since(last)
    counts = await ports.state.read(lambda tx: tx.find(RefusalCount))
    assert len(lines) <= 2
    assert sum(each.more for each in counts) + len(lines) == 30
    assert await ports.state.read(lambda tx: tx.count(LoginThrottle)) == throttles


def forget_counts(tx: StateTransaction) -> None:
    tx.apply(*(Remove(RefusalCount, (row.key,)) for row in tx.find(RefusalCount)))


async def test_signing_in_and_out_and_pages_are_in_it(records: Records) -> None:
    last = await records.newest()
    async with records.facade.anonymous as browser:
        browser.headers["Accept"] = "text/html"
        await sign_in(browser, await browser.get("/login"), "anna", "a wrong password")  # type: ignore[no-untyped-call]
        await sign_in(browser, await browser.get("/login"), "anna", PASSWORD)  # type: ignore[no-untyped-call]
        page = await browser.get("/")
        foreign = await browser.get("/patients/bert")
        await submit(browser, page, "/logout")  # type: ignore[no-untyped-call]

    assert (page.status_code, foreign.status_code) == (200, 404)
    lines = [each for each in await records.since(last) if each.action in ("login", "logout")]
    assert [(each.action, each.outcome) for each in lines] == [
        ("login", "refused"),
        ("login", "success"),
        ("logout", "success"),
    ]
    seen = {(each.action, each.outcome, each.patient) for each in await records.since(last)}
    assert ("read", "success", "anna") in seen
    assert ("read", "refused", "bert") in seen


async def test_what_an_operator_does_is_in_it(records: Records) -> None:
    ports, last = records.facade.ports, await records.newest()
    await add_account(ports, NewAccount("new", "admin", PASSWORD))
    await disable_account(ports, "new")
    await add_client(ports, NewClient("kiosk", "public", "patient/*.rs", redirect_uris=("https://kiosk.example/x",)))
    await disable_client(ports, "kiosk")
    await records.facade.token("system/*.rs")

    lines = await records.since(last)
    assert [(each.action, each.outcome) for each in lines] == [("admin", "success")] * 4 + [("token", "success")]


async def test_nothing_is_read_when_the_audit_cannot_be_written_unless_the_deployment_says_so(tmp_path: Path) -> None:
    for required, expected in ((True, 503), (False, 200)):
        folder = tmp_path / str(required)
        async with embedded_facade(folder, audit_required=required) as facade:
            service = await facade.client()
            patient = {"resourceType": "Patient", "id": "anna"}
            assert (await service.put("/fhir/Patient/anna", json=patient)).status_code == 201
            data = facade.settings.data_file
            for path, table in ((data, "audit"), (data.with_name(f"{data.name}.audit-0"), "waiting")):
                with sqlite3.connect(path) as file:
                    file.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
                file.close()

            answers = [
                await service.get("/fhir/Patient/anna"),
                await service.get("/fhir/Patient?_id=anna"),
                await service.get("/fhir/Patient/anna/_history"),
            ]
            written = await service.put("/fhir/Patient/anna", json=patient | {"active": True})

        assert [answer.status_code for answer in answers] == [expected] * 3
        assert ("anna" in answers[0].text) == (not required)
        assert written.status_code == 503
