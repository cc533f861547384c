"""The pages and endpoints of signing in, called in this process."""

import httpx
import pytest
from starlette.applications import Starlette

from fhir_facade.api.address import parse_networks
from fhir_facade.api.oauth import OAuthDeps, oauth_routes
from fhir_facade.api.pages.assets import assets
from tests.sign_in_world import BASE, clock, ports, state, world

__all__ = ["app", "clock", "ports", "state", "web", "world"]


@pytest.fixture
def app(world):
    deps = OAuthDeps(world.sign_in, plain_loopback=False, trusted=parse_networks("127.0.0.1"))
    return Starlette(routes=[*oauth_routes(deps), assets()])


@pytest.fixture
async def web(app):
    """A browser that keeps cookies and does not follow redirects."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield client
