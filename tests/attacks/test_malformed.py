"""Attacks with what no honest client sends: each is told what is wrong, and nothing breaks.

https://cheatsheetseries.owasp.org/cheatsheets/Denial_of_Service_Cheat_Sheet.html
"""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fhir_facade.access.owners import patient_references
from fhir_facade.adapters.hapi.read import path_of
from fhir_facade.api.wire import read_body
from fhir_facade.errors import BadRequest, NotFound
from fhir_facade.fhir.extract import extract
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import Ref
from tests.attacks.conftest import Ward, admitted, entry, observation
from tests.attacks.hospital import STORES
from tests.facade import embedded_facade
from tests.hapi_server import empty_hapi
from tests.ward import facade_on

pytestmark = pytest.mark.asyncio(loop_scope="module")
DEEP = b"[" * 100_000 + b"]" * 100_000
GZIP = {"Content-Encoding": "gzip"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES)
async def ward(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ward]:
    """One for all: what is refused leaves nothing behind."""
    if request.param != "embedded":
        empty_hapi(request.getfixturevalue("hapi_url"))
    async with facade_on(request.param, request, tmp_path_factory.mktemp("ward"), self_registration=True) as facade:
        yield await admitted(facade)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        pytest.param(
            "POST", "/fhir", b'{"resourceType":"Bundle","type":"batch","x":' + DEEP + b"}", {}, 400, id="deep Bundle"
        ),
        pytest.param(
            "POST",
            "/fhir",
            b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":' + DEEP + b"}]}",
            {},
            400,
            id="deep resource in a Bundle",
        ),
        pytest.param(
            "POST", "/fhir", b'{"resourceType":"Bundle","type":"b\xff"}', {}, 400, id="type of a Bundle not in UTF-8"
        ),
        pytest.param(
            "POST",
            "/fhir",
            b'{"resourceType":"Bundle","type":"batch","entry":[{"fullUrl":"\xff"}]}',
            {},
            400,
            id="address in a Bundle not in UTF-8",
        ),
        pytest.param(
            "POST",
            "/fhir/Observation",
            b'{"resourceType":"Observation","x":' + DEEP + b"}",
            {},
            400,
            id="deep resource",
        ),
        pytest.param("POST", "/fhir/Observation", gzip.compress(b" " * 50_000_000), GZIP, 413, id="gzip bomb"),
        pytest.param("POST", "/fhir/Observation", gzip.compress(b"{}")[:-4], GZIP, 400, id="gzip that ends early"),
        pytest.param(
            "POST",
            "/fhir/Observation",
            gzip.compress(b"{}") + gzip.compress(b"{}"),
            GZIP,
            400,
            id="gzip with something behind it",
        ),
        pytest.param(
            "POST", "/fhir/Observation/_search", b"code=1&" * 500_000, FORM, 413, id="form of half a million fields"
        ),
        pytest.param("POST", "/fhir/Observation/_search", b"code=1&" * 30_000, FORM, 400, id="form of many fields"),
        pytest.param("POST", "/fhir/Observation/_search", b"code=\xff", FORM, 400, id="form not in UTF-8"),
        pytest.param("GET", "/fhir/Observation?value-quantity=1e999999999", b"", {}, 400, id="number without measure"),
        pytest.param("GET", "/fhir/Observation?date=99999999999", b"", {}, 400, id="date without measure"),
        pytest.param("GET", "/fhir/Patient/%2e%2e", b"", {}, 404, id="path that climbs"),
        pytest.param("GET", "/fhir/Patient/anna%00", b"", {}, 404, id="NUL in a path"),
        pytest.param("GET", "/fhir/%2550atient/anna", b"", {}, 404, id="path that is encoded twice"),
        pytest.param("GET", "/fhir//Patient/anna", b"", {}, 404, id="empty segment in front"),
        pytest.param("GET", "/fhir/Patient//anna", b"", {}, 404, id="empty segment inside"),
        pytest.param("GET", "/fhir/Patient;v=1/anna", b"", {}, 404, id="path parameter"),
        pytest.param("GET", "/fhir/patient/anna", b"", {}, 404, id="type in lower case"),
        pytest.param(
            "POST", "/fhir/Observation/own", b"", {"X-HTTP-Method-Override": "DELETE"}, 405, id="method override"
        ),
        pytest.param("TRACE", "/fhir/Observation/own", b"", {}, 405, id="TRACE"),
        pytest.param(
            "GET", "/fhir/Patient/nobody", b"", {"Accept": "text/json;q*=utf-8''1"}, 404, id="a weight as in mail"
        ),
        pytest.param(
            "POST", "/fhir/Observation", b"{}", {"Content-Type": "text/json;charset*"}, 400, id="a charset as in mail"
        ),
        pytest.param(
            "POST",
            "/fhir/Observation",
            json.dumps(observation("anna")).encode()[:-1] + b',"valueInteger":1' + b"0" * 400 + b"}",
            {},
            400,
            id="an integer that no double holds",
        ),
        pytest.param("GET", "/fhir/Patient/anna?access_token=ffa_x", b"", {}, 400, id="token in the address"),
    ],
)
async def test_nonsense_is_refused(
    ward: Ward, method: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await ward.anna.request(method, path, content=body, headers=headers)

    assert answer.status_code == status, answer.text
    assert answer.json()["issue"][0]["severity"] == "error"


async def test_a_form_of_many_fields_is_not_taken_apart(ward: Ward) -> None:
    answer = await ward.anna.post("/fhir/Observation/_search", content=b"code=1&" * 30_000, headers=FORM)

    assert answer.status_code == 400
    assert "more than 200 fields" in answer.text


@pytest.mark.parametrize(
    "since",
    [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "yesterday",
    ],
)
async def test_a_moment_beyond_all_times_is_ignored(ward: Ward, since: str) -> None:
    answer = await ward.anna.get("/fhir/Observation/own", headers={"If-Modified-Since": since})

    assert answer.status_code in (200, 304)


@pytest.mark.parametrize(
    "member", [b'"subject":{"reference":"Patient/bert"}', b'"s\\u0075bject":{"reference":"Patient/bert"}']
)
async def test_a_member_named_twice_is_not_read_in_two_ways(ward: Ward, member: bytes) -> None:
    body = json.dumps(observation("anna")).encode()[:-1] + b"," + member + b"}"

    answer = await ward.anna.post("/fhir/Observation", content=body)

    assert answer.status_code == 400
    assert "appears twice" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/fhir/Patient/anna", 401), ("GET", "/api/v1/alerts", 401), ("POST", "/oauth/introspect", 401)],
)
async def test_a_second_authorization_header_is_not_read_past(ward: Ward, method: str, path: str, status: int) -> None:
    own = ward.anna.headers["Authorization"]
    form = {"token": own.removeprefix("Bearer ")} if method == "POST" else None
    async with ward.facade.anonymous as nobody:
        single = await nobody.request(method, path, data=form, headers=[("Authorization", own)])
        assert single.status_code == 200
        for pair in ((own, "Bearer other"), ("Bearer other", own), (own, own)):
            headers = [("Authorization", value) for value in pair]
            answer = await nobody.request(method, path, data=form, headers=headers)
            assert answer.status_code == status


async def test_a_stranger_is_refused_before_anything_of_the_body_is_read_and_audited(ward: Ward) -> None:
    asked: list[bool] = []

    async def receive() -> dict[str, Any]:
        asked.append(True)
        return {"type": "http.request", "body": b"{}", "more_body": True}

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/fhir/Observation",
        "query_string": b"",
        "headers": [],
        "client": ("192.0.2.1", 1),
    }
    await ward.facade.app(scope, receive, send)

    lines = await ward.facade.ports.state.read(lambda tx: tx.find(AuditLine, ("address", "=", "192.0.2.1")))
    assert sent[0]["status"] == 401
    assert not asked
    assert [(line.outcome, line.actor) for line in lines] == [("refused", "anonymous")]


async def test_a_body_that_stops_coming_is_not_waited_for_without_end() -> None:
    """No store takes part: the body is read before anything else."""

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    with pytest.raises(BadRequest, match="nothing of the body came"):
        await read_body(receive, {}, limit=1000, pause_s=0.01)


@pytest.mark.both_stores
@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_short_bundle_does_not_get_an_answer_without_end(
    tmp_path: Path, deployment: dict[str, Any], kind: str
) -> None:
    ask = entry("GET", "Patient?_count=1000")
    opened = embedded_facade(tmp_path, max_batch_bytes=10_000, **deployment)
    async with opened as facade, await facade.client() as client:
        await client.put(
            "/fhir/Patient/large", json={"resourceType": "Patient", "id": "large", "name": [{"text": "x" * 9000}]}
        )
        write = entry("POST", "Patient", {"resourceType": "Patient"})

        answer = await client.post(
            "/fhir", json={"resourceType": "Bundle", "type": kind, "entry": [ask] * 20 + [write]}
        )

    statuses = [each["response"]["status"] for each in answer.json()["entry"]]
    assert statuses[0] == "200 OK"
    assert (statuses[-2][:3], statuses[-1]) == ("413", "201 Created")
    assert len(answer.content) < 200_000


async def test_a_search_of_megabytes_does_not_fill_the_audit(ward: Ward) -> None:
    answer = await ward.anna.post("/fhir/Observation/_search", content="code=" + "a" * 300_000, headers=FORM)

    assert answer.status_code == 413, answer.text


async def test_references_of_megabytes_are_not_remembered() -> None:
    """What is remembered of the texts of others has a length: forty references of 4 MB took 470 MB for good. No store
    takes part: it is the grammar that remembers."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(12):
        observation = {"resourceType": "Observation", "focus": [{"reference": f"urn:x:{'a' * 400_000}{number}"}]}
        assert len(patient_references(observation)) == 1
        assert len(extract(observation).references) == 1
    del observation
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert kept < 400_000


@pytest.mark.parametrize("id_", [".", ".."])
async def test_an_id_of_dots_does_not_climb_on_the_server_behind(id_: str) -> None:
    """Only HAPI has paths to climb."""
    with pytest.raises(NotFound):
        path_of(Ref("Patient", id_))


HALF = "\\ud800"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/connections", f'{{"vendor": "{HALF}"}}'),
        ("/api/v1/launches", f'{{"client_id": "app", "fhirContext": [{{"reference": "{HALF}"}}]}}'),
        ("/api/v1/launches", f'{{"client_id": "app", "fhirContext": [{{"identifier": {{"value": "{HALF}"}}}}]}}'),
        ("/api/v1/launches", '{"client_id": "app", "fhirContext": [{"reference": 5}]}'),
    ],
    ids=["vendor", "reference", "identifier", "number for a text"],
)
async def test_halves_of_characters_and_other_kinds_are_refused(ward: Ward, path: str, body: str) -> None:
    """Each was a defect with a trace in the log."""
    answer = await ward.doctor.post(path, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    "changes",
    [f'"zone": "{HALF}"', f'"patient": {{"name": [{{"text": "{HALF}"}}]}}', '"username": "admi\\u202en"'],
    ids=["zone", "name", "a name that reads from right to left"],
)
async def test_strangers_sign_up_with_no_half_and_no_hidden_characters(ward: Ward, changes: str) -> None:
    body = '{"username": "stranger", "password": "long enough", "patient": {}, ' + changes + "}"
    headers = {"Content-Type": "application/json"}

    answer = await ward.facade.anonymous.post("/api/v1/accounts/register", content=body, headers=headers)

    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("number", ["1e-9999999999999999999", "0E9999999999999999999", "5E-1000"])
async def test_a_number_that_breaks_the_pages_of_the_doctor(ward: Ward, number: str) -> None:
    """No decimal holds it: once stored, a summary of the doctor's patients was a defect from then on."""
    quantity = {"value": 0.125, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}
    body = observation("anna", valueQuantity=quantity)
    del body["valueString"]
    headers = {"Content-Type": "application/fhir+json"}

    written = await ward.anna.post(
        "/fhir/Observation", content=json.dumps(body).replace("0.125", number), headers=headers
    )
    page = await ward.doctor.get("/fhir/Observation?_summary=true")

    assert (written.status_code, page.status_code) == (400, 200), written.text + page.text


async def test_what_only_looks_like_a_long_exponent_is_text(ward: Ward) -> None:
    written = await ward.anna.post("/fhir/Observation", json=observation("anna", valueString="1e-1000, 0e12345"))

    assert written.status_code == 201, written.text
