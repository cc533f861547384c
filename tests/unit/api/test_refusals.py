"""A refusal before the door is in the audit before its answer leaves."""

import pytest

from fhir_facade.rows.audit import AuditLine
from tests.facade import embedded_facade


@pytest.fixture
async def facade(tmp_path):
    async with embedded_facade(tmp_path) as facade:
        yield facade


async def _lines(facade, answer):
    rid = answer.headers["x-request-id"]
    return await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("request_id", "=", rid)))


@pytest.mark.parametrize(
    ("method", "path", "action", "entity"),
    [
        ("GET", "/fhir/Patient/p1", "read", "Patient/p1"),
        ("GET", "/fhir/Observation?code=8867-4", "search-type", "Observation"),
        ("DELETE", "/fhir/Patient/p1", "delete", "Patient/p1"),
        ("GET", "/api/v1/connections", "read", "/api/v1/connections"),
    ],
)
async def test_a_token_that_is_not_ours(facade, method, path, action, entity):
    headers = {"Authorization": "Bearer somebody-else"}

    answer = await facade.anonymous.request(method, path, headers=headers)

    assert answer.status_code == 401
    (line,) = await _lines(facade, answer)
    assert (line.action, line.entity, line.outcome, line.actor) == (action, entity, "refused", "anonymous")
    assert line.detail == "401 login"


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [("GET", "/api/v1/nothing", 404, "not-found"), ("PUT", "/api/v1/alerts", 405, "not-supported")],
)
async def test_an_address_that_is_not_there_says_where_to_look(facade, method, path, status, title):
    answer = await facade.anonymous.request(method, path)

    told = answer.json()
    assert (answer.status_code, told["title"]) == (status, title)
    assert "/docs" in told["detail"]
    assert status == 404 or answer.headers["allow"] == "GET, HEAD"


async def test_a_body_that_is_missing_is_named(facade):
    answer = await (await facade.client()).post("/api/v1/connections")

    assert (answer.status_code, answer.json()["detail"]) == (400, "body: Field required")


async def test_nobody_is_recorded_once(facade):
    answer = await facade.anonymous.get("/fhir/Patient/p1")

    assert answer.status_code == 401
    assert len(await _lines(facade, answer)) == 1


async def test_a_malformed_request_is_no_refusal(facade):
    answer = await facade.anonymous.get("/fhir/Patient/p1", params={"access_token": "secret"})

    assert answer.status_code == 400
    assert await _lines(facade, answer) == []
