"""What was refused is freed at once: a trace that keeps itself would keep the request and its resources with it."""

import gc
from types import TracebackType

import pytest

from tests.facade import embedded_facade


@pytest.fixture
def left():
    """What only the garbage collector could free after the block."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield gc.garbage
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        pytest.param("GET", "/fhir/Patient/nobody", b"", 404, id="absent"),
        pytest.param("POST", "/fhir/Patient", b'{"resourceType":', 400, id="half a body"),
        pytest.param("POST", "/fhir/Observation", b'{"resourceType": "Observation"}', 422, id="an invalid record"),
    ],
)
async def test_a_refusal_leaves_no_trace_that_keeps_itself(tmp_path, left, method, path, body, status):
    async with embedded_facade(tmp_path) as facade, await facade.client() as client:
        refused = await client.request(method, path, content=body, headers={"Content-Type": "application/fhir+json"})
        gc.collect()

    assert refused.status_code == status
    assert not [kept for kept in left if isinstance(kept, TracebackType)]
