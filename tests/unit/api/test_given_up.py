"""A caller who goes away in the middle of a body did nothing that an operator has to look at."""

import pytest

from tests.facade import embedded_facade

FORM, JSON = b"application/x-www-form-urlencoded", b"application/json"


@pytest.fixture
async def facade(tmp_path):
    async with embedded_facade(tmp_path, self_registration=True) as facade:
        yield facade


async def _given_up(app, path, kind):
    """The statuses that a server is told for a request whose sender is gone after the first bytes."""
    coming = iter(({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}))
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", kind), (b"content-length", b"100"), (b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
    }
    told = []

    async def receive():
        return next(coming)

    async def send(message):
        told.append(message)

    await app(scope, receive, send)
    return [message["status"] for message in told if message["type"] == "http.response.start"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        pytest.param("/oauth/token", FORM, id="an app asks for a token"),
        pytest.param("/oauth/register", JSON, id="an app registers"),
        pytest.param("/login", FORM, id="somebody signs in"),
        pytest.param("/api/v1/accounts/register", JSON, id="somebody makes an account"),
    ],
)
async def test_a_body_that_ends_with_the_connection_is_no_defect(facade, caplog, path, kind):
    statuses = await _given_up(facade.app, path, kind)

    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    assert statuses == [400]
