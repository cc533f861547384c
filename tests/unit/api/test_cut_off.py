"""A request that the end of the server cuts off has its line in the log, as every other."""

import asyncio
import logging

import pytest

from tests.facade import embedded_facade
from tests.patience import PATIENCE_S


@pytest.fixture
async def facade(tmp_path):
    async with embedded_facade(tmp_path) as facade:
        yield facade


async def cut_off(facade, method, path, *, read_all=True):
    """What a server that ends does to a request whose body does not come, or, once that has come, to one whose answer is
    not taken."""
    begun = asyncio.Event()
    headers = {"authorization": f"Bearer {await facade.token()}", "x-request-id": "r1", "content-length": "2"}
    headers["content-type"] = "application/json"
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
    }

    async def receive():
        if read_all:
            return {"type": "http.request", "body": b"", "more_body": False}
        begun.set()
        return await asyncio.Event().wait()

    async def send(message):
        begun.set()
        await asyncio.Event().wait()

    answering = asyncio.create_task(facade.app(scope, receive, send))
    await asyncio.wait_for(begun.wait(), PATIENCE_S)
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering


@pytest.mark.parametrize(
    ("method", "path", "room", "interaction", "read_all"),
    [
        pytest.param("POST", "/fhir/Patient", "fhir", "create", False, id="a resource does not come"),
        pytest.param("GET", "/fhir/metadata", "fhir", "capabilities", True, id="an answer is not taken"),
        pytest.param("POST", "/api/v1/connections", "web", "/api/v1/connections", False, id="a body does not come"),
        pytest.param("GET", "/api/v1/alerts", "web", "/api/v1/alerts", True, id="a list is not taken"),
    ],
)
async def test_a_request_that_is_cut_off_is_logged_and_counted(
    facade, caplog, method, path, room, interaction, read_all
):
    with caplog.at_level(logging.INFO, "fhir_facade.request"):
        await cut_off(facade, method, path, read_all=read_all)

    (line,) = [record for record in caplog.records if record.name == "fhir_facade.request"]
    assert (line.getMessage(), line.levelname) == ("request.cut_off", "INFO")
    assert (line.room, line.interaction, line.status, line.request_id) == (room, interaction, 503, "r1")
    assert line.ms >= 0
    counted = (await facade.anonymous.get("/metrics")).text
    assert f'fhir_facade_requests_total{{interaction="{interaction}",room="{room}",status="503"}} 1.0' in counted
