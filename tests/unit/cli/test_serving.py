"""A server that ends, or has to, before all of it is loaded."""

import asyncio
import signal
import socket

import httpx
import pytest
import uvicorn

from fhir_facade.api.doorway import Doorway
from fhir_facade.cli.connections import Connections
from fhir_facade.cli.serving import _config, _Server
from fhir_facade.errors import Unavailable
from tests.facade import embedded_facade
from tests.patience import PATIENCE_S


@pytest.fixture
def listening():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


@pytest.fixture
async def doorway(tmp_path):
    async with embedded_facade(tmp_path) as facade:
        yield Doorway(facade.ports)


def server(doorway, load):
    return _Server(uvicorn.Config(doorway, log_config=None, lifespan="off"), doorway, load)


async def test_what_cannot_be_loaded_ends_the_server_with_its_reason(doorway, listening):
    async def load():
        raise Unavailable("the rest is not there")

    with pytest.raises(Unavailable, match="the rest is not there"):
        await server(doorway, load).serve([listening])


async def test_a_signal_while_it_loads_refuses_those_who_wait_and_ends_in_order(doorway, listening):
    loaded = asyncio.Event()
    serving = server(doorway, loaded.wait)
    ended = asyncio.create_task(serving.serve([listening]))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=PATIENCE_S) as app:
        while not serving.started:
            await asyncio.sleep(0)
        waiting = asyncio.create_task(app.get("/fhir/metadata"))
        while not serving.server_state.tasks:
            await asyncio.sleep(0)
        assert (await app.get("/health")).status_code == 200
        serving.handle_exit(signal.SIGTERM, None)
        refused = await waiting

    assert refused.status_code == 503
    assert not ended.done()
    loaded.set()
    await ended


@pytest.mark.parametrize(
    "kept_s",
    [pytest.param(httpx.Limits().keepalive_expiry, id="httpx"), pytest.param(60, id="proxies")],
)
def test_whoever_keeps_a_connection_lets_go_of_it_before_the_server_does(doorway, kept_s):
    assert _config(doorway, Connections(16, 16)).timeout_keep_alive > kept_s + 5
