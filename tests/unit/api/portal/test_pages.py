"""Pages of the portal as a browser without script asks for them."""

import json
from contextlib import asynccontextmanager

import pytest

from fhir_facade.api.problems import defect
from fhir_facade.flows.accounts import NewAccount
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import FhirRequest, Interaction, Principal
from tests.accounts import with_account
from tests.facade import embedded_facade
from tests.forms import form_of, sign_in, submit

IMPORT = Principal(kind="engine", name="import")
PASSWORD = "correct horse battery"
HTML = {"Accept": "text/html,application/xhtml+xml", "Accept-Language": "en"}
CARE = [{"reference": "Practitioner/d1"}]
RESOURCES = [
    {"resourceType": "Practitioner", "id": "d1", "name": [{"text": "Dr. Bo Berg"}]},
    {"resourceType": "Patient", "id": "p1", "birthDate": "1980-05-17", "name": [{"text": "Ann <Example>"}]},
    {"resourceType": "Patient", "id": "p2", "birthDate": "1980", "generalPractitioner": CARE},
]
PEOPLE = [("ann", "patient", "p1", None), ("bo", "practitioner", None, "d1"), ("root", "admin", None, None)]


@pytest.fixture
async def facade(tmp_path):
    async with embedded_facade(tmp_path) as facade:
        for resource in RESOURCES:
            request = FhirRequest(
                Interaction.UPDATE, resource["resourceType"], resource["id"], body=json.dumps(resource).encode()
            )
            await dispatch(facade.ports, IMPORT, request)
        for name, role, patient, practitioner in PEOPLE:
            await with_account(facade.ports, NewAccount(name, role, PASSWORD, patient, practitioner))
        yield facade


@asynccontextmanager
async def browser(facade, name=None):
    async with facade.anonymous as client:
        client.headers.update(HTML)
        if name is not None:
            answer = await sign_in(client, await client.get("/login"), name, PASSWORD)
            assert answer.headers["location"] == "/"
        yield client


async def test_who_is_not_signed_in_is_told_what_this_is(facade):
    async with browser(facade) as client:
        answer = await client.get("/")
    assert answer.status_code == 200
    assert "not a medical device" in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/patients/p1", "/connections/c1", "/connections/c1/disconnect"])
async def test_a_page_behind_the_sign_in_is_where_one_comes_back_to(facade, path):
    async with browser(facade) as client:
        answer = await client.get(path)
        page = await client.get(answer.headers["location"])
        entered = await sign_in(client, page, "ann", PASSWORD)
    assert entered.headers["location"] == path


@pytest.mark.parametrize("name", ["ann", "bo", "root"])
async def test_nothing_on_a_page_is_put_there_by_a_name(facade, name):
    async with browser(facade, name) as client:
        answer = await client.get("/")
    assert answer.status_code == 200
    assert "<Example>" not in answer.text
    assert "style=" not in answer.text
    assert " on" + "click" not in answer.text


async def test_a_patient_finds_the_own_record_also_by_its_address(facade):
    async with browser(facade, "ann") as client:
        assert "Hello, Ann &lt;Example&gt;" in (await client.get("/")).text
        assert (await client.get("/patients/p1")).headers["location"] == "/"


@pytest.mark.parametrize("path", ["/patients/p2", "/patients/nobody", "/connections/none", "/nowhere"])
async def test_foreign_and_absent_are_the_same_page(facade, path):
    async with browser(facade, "ann") as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert "This page is not here" in answer.text


async def test_a_refusal_on_a_page_is_in_the_audit_with_the_person(facade):
    async with browser(facade, "ann") as client:
        answer = await client.get("/connections/none")
    lines = await facade.ports.state.read(
        lambda tx: tx.find(AuditLine, ("request_id", "=", answer.headers["x-request-id"]))
    )
    assert [(line.outcome, line.entity) for line in lines] == [("refused", "/connections/none")]
    assert lines[0].user


async def test_a_practitioner_sees_patients_in_care_only(facade):
    async with browser(facade, "bo") as client:
        home = await client.get("/")
        assert "/patients/p2" in home.text
        assert "/patients/p1" not in home.text
        assert (await client.get("/patients/p2")).status_code == 200
        assert (await client.get("/patients/p1")).status_code == 404


async def test_an_administrator_sees_no_record(facade):
    async with browser(facade, "root") as client:
        assert "Administrators do not see patient records" in (await client.get("/")).text
        assert (await client.get("/patients/p1")).status_code in (403, 404)


async def test_a_score_that_cannot_be_computed_says_why(facade):
    nobody = {"resourceType": "Patient", "id": "p3"}
    request = FhirRequest(Interaction.UPDATE, "Patient", "p3", body=json.dumps(nobody).encode())
    await dispatch(facade.ports, IMPORT, request)
    await with_account(facade.ports, NewAccount("kid", "patient", PASSWORD, "p3", None))
    async with browser(facade, "kid") as client:
        answer = await submit(client, await client.get("/"), "/patients/p3/score")
        assert "the date of birth is not known" in (await client.get(answer.headers["location"])).text


async def test_a_form_from_elsewhere_changes_nothing(facade):
    async with browser(facade, "ann") as client:
        form = form_of(await client.get("/"), "/patients/p1/score").fields(csrf="guessed")
        answer = await client.post("/patients/p1/score", data=form)
    assert answer.status_code == 403
    assert "Please try that again" in answer.text


async def test_without_a_session_a_form_leads_to_the_sign_in(facade):
    async with browser(facade) as client:
        answer = await client.post("/connections", data={"vendor": "google-health"})
    assert answer.status_code == 401
    assert "Your session has ended" in answer.text


async def test_a_vendor_that_is_not_set_up_cannot_be_connected(facade):
    async with browser(facade, "ann") as client:
        home = await client.get("/")
        form = form_of(home, "/logout").fields(next=None)
        answer = await client.post("/connections", data={**form, "vendor": "google-health"})
    assert "No wearable is connected." in home.text
    assert answer.status_code == 400
    assert "set up are: none" in answer.text


async def test_programs_get_problem_documents_where_people_get_pages(facade):
    async with facade.anonymous as client:
        answer = await client.get("/nowhere", headers={"Accept": "application/json"})
        api = await client.get("/api/v1/nowhere", headers=HTML)
    for each in (answer, api):
        assert each.status_code == 404
        assert each.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("target", "location"),
    [("/login?next=/", "/login?next=/"), ("https://evil.example/", "/"), ("//evil.example", "/"), ("", "/")],
)
async def test_choosing_a_language_leads_back_and_nowhere_else(facade, target, location):
    async with browser(facade) as client:
        answer = await client.get("/language", params={"to": "de", "next": target})
        assert answer.headers["location"] == location
        assert 'lang="de"' in (await client.get("/")).text


async def test_a_language_that_is_not_spoken_is_not_remembered(facade):
    async with browser(facade) as client:
        answer = await client.get("/language", params={"to": "tlh", "next": "/"})
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("path", "accept", "content_type"),
    [
        ("/", b"text/html", "text/html; charset=utf-8"),
        ("/", b"*/*", "application/problem+json"),
        ("/api/v1/alerts", b"text/html", "application/problem+json"),
    ],
)
def test_a_mistake_of_ours_is_told_with_its_id_to_people_and_to_programs(path, accept, content_type):
    asked = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [(b"accept", accept)]}
    answer = defect(asked, "the-request-id")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == content_type
    assert b"the-request-id" in answer.body
