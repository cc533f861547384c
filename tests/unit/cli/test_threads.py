"""A worker has as many threads as its pools, however much is asked of it at once."""

import asyncio
import sys
import time

import httpx
import pytest

from fhir_facade.cli.threads import BESIDE, MOST, limit_threads
from tests.bench.processes import taken
from tests.facade import facade_env, served
from tests.patience import PATIENCE_S

AT_ONCE = 60
ASKED = (
    ("GET", "/api/v1/alerts"),
    ("GET", "/static/facade.css"),
    ("GET", "/docs"),
    ("GET", "/login"),
    ("GET", "/health"),
    ("POST", "/oauth/token"),
    ("GET", "/fhir/Observation?subject:Patient.active=true"),
)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc of Linux")
async def test_many_requests_at_once_make_no_more_threads_than_the_pools_have(tmp_path):
    with served(facade_env(tmp_path / "data"), tmp_path / "log", module="fhir_facade") as facade:
        token = await asyncio.to_thread(facade.token)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=facade.url, headers=headers, timeout=PATIENCE_S) as client:
            for method, path in ASKED:
                answers = await asyncio.gather(*(client.request(method, path) for _ in range(AT_ONCE)))
                assert all(answer.status_code < 500 for answer in answers)
        seen = taken(facade.process.pid).threads

    assert seen <= MOST


async def test_what_is_done_beside_the_event_loop_waits_for_one_of_its_threads():
    limit_threads()
    under_way, most = [], []

    def work():
        under_way.append(None)
        most.append(len(under_way))
        time.sleep(0.01)
        under_way.pop()

    await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4 * BESIDE)))

    assert 1 < max(most) <= BESIDE
