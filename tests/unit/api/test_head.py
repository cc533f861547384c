"""HEAD in this process; over the wire, of every address, in tests/journeys/test_http.py."""

import pytest

from fhir_facade.api.head import with_head
from tests.facade import embedded_facade


@pytest.mark.parametrize(
    ("allowed", "told"),
    [
        ("GET", "GET, HEAD"),
        ("POST, GET", "POST, GET, HEAD"),
        ("GET, HEAD", "GET, HEAD"),
        ("POST", "POST"),
        ("", ""),
    ],
)
def test_what_is_allowed_has_head_wherever_it_has_get(allowed, told):
    assert with_head(allowed) == told


async def test_a_head_has_no_content_and_is_counted_by_the_route(tmp_path):
    async with embedded_facade(tmp_path) as facade, await facade.client() as client:
        refused = await facade.anonymous.head("/api/v1/patients/p1/vitals")
        answer = await client.head("/api/v1/alerts")
        counted = (await client.get("/metrics")).text

    assert (refused.status_code, answer.status_code) == (405, 200)
    assert (answer.content, answer.headers["content-type"]) == (b"", "application/json")
    assert 'interaction="/api/v1/alerts",room="web",status="200"} 1.0' in counted
