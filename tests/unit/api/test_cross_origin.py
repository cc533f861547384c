"""Scripts of other origins: what a browser asks first, and what it lets the script read."""

import pytest

from tests.facade import embedded_facade

ORIGIN = {"Origin": "https://app.example"}
PREFLIGHT = ORIGIN | {
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "authorization,if-match",
}


@pytest.fixture
async def facade(tmp_path):
    async with embedded_facade(tmp_path) as facade:
        yield facade


@pytest.mark.parametrize(
    "path", ["/fhir", "/fhir/", "/fhir/Patient/p1", "/fhir/Patient/_search", "/fhir/Nonsense", "/api/v1/connections"]
)
async def test_a_browser_may_send_a_token_from_every_origin(facade, path):
    answer = await facade.anonymous.options(path, headers=PREFLIGHT)

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert "PUT" in answer.headers["access-control-allow-methods"]
    assert {"authorization", "if-match", "content-type", "prefer"} <= {
        name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")
    }


async def test_options_without_an_origin_tells_the_methods_only(facade):
    answer = await facade.anonymous.options("/fhir/Patient/p1")

    assert answer.status_code == 204
    assert "PATCH" in answer.headers["allow"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/fhir/.well-known/smart-configuration", "/fhir/.well-known/openid-configuration", "/oauth/jwks"]
)
async def test_discovery_answers_the_question_before_it_too(facade, path):
    asked = ORIGIN | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-requested-with"}

    answer = await facade.anonymous.options(path, headers=asked)

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "x-requested-with"


@pytest.mark.parametrize("path", ["/fhir/Patient/absent", "/api/v1/connections/absent"])
async def test_a_script_may_read_refusals(facade, path):
    answer = await facade.anonymous.get(path, headers=ORIGIN)

    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


async def test_a_script_may_read_where_a_resource_was_written(facade):
    client = await facade.client()

    answer = await client.put("/fhir/Patient/p1", json={"resourceType": "Patient", "id": "p1"}, headers=ORIGIN)

    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {"etag", "location", "last-modified", "content-location"} <= exposed
    assert {"etag", "location", "last-modified", "content-location"} <= set(answer.headers)


@pytest.mark.parametrize("path", ["/health", "/login", "/"])
async def test_pages_are_closed_to_scripts(facade, path):
    answer = await facade.anonymous.get(path, headers=ORIGIN)

    assert "access-control-allow-origin" not in answer.headers
