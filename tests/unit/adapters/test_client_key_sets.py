"""Key sets of apps are fetched within limits and kept as long as the other side allows."""

import asyncio

import httpx
import pytest

from fhir_facade.adapters.client_key_sets import LARGEST, HttpKeySets
from fhir_facade.errors import UpstreamError

URL = "https://app.example/jwks"


class Served:
    """An app's web server: answers with what a test put there, and counts."""

    def __init__(self, **answer):
        self.answer = {"status_code": 200, "content": b'{"keys": []}'} | answer
        self.asked = []
        self.now = 0.0
        self.addresses = ["198.51.100.7"]
        self.looked_up = []
        self.sets = HttpKeySets(lambda: self.now, httpx.MockTransport(self._answer), self._resolve)

    async def _resolve(self, host, port):
        self.looked_up.append((host, port))
        return self.addresses

    def _answer(self, request):
        self.asked.append(request)
        if "error" in self.answer:
            raise self.answer["error"]
        return httpx.Response(**self.answer)

    async def fetch(self, **how):
        return await self.sets.fetch(URL, **how)


@pytest.fixture
async def served():
    made = []

    def make(**answer):
        made.append(Served(**answer))
        return made[-1]

    yield make
    for one in made:
        await one.sets.close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"status_code": 500}, id="server error"),
        pytest.param({"status_code": 302, "headers": {"location": "https://evil.example/"}}, id="redirect"),
        pytest.param({"content": b"x" * (LARGEST + 1)}, id="too large"),
        pytest.param({"error": httpx.ConnectError("refused")}, id="refused"),
        pytest.param({"error": httpx.ReadTimeout("slow")}, id="slow"),
        pytest.param({"error": httpx.DecodingError("garbage")}, id="garbage"),
    ],
)
async def test_a_set_that_cannot_be_had_is_an_upstream_error(served, answer):
    server = served(**answer)
    with pytest.raises(UpstreamError):
        await server.fetch()
    assert len(server.asked) == 1


async def test_an_address_that_is_none_is_an_upstream_error(served):
    with pytest.raises(UpstreamError):
        await served().sets.fetch("https://app.example:port/")


async def test_nothing_is_sent_along(served):
    server = served()
    await server.fetch()
    (request,) = server.asked
    assert request.method == "GET"
    assert not {"authorization", "cookie", "referer"} & set(request.headers)


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        pytest.param(None, 300, id="nothing said"),
        pytest.param("max-age=900", 900, id="as long as allowed"),
        pytest.param("public, max-age=86400", 3600, id="at most an hour"),
        pytest.param("max-age=1", 60, id="at least a minute"),
        pytest.param("no-store", 60, id="no-store"),
        pytest.param("max-age=x", 300, id="nonsense"),
    ],
)
async def test_a_set_is_kept_as_its_answer_allows(served, cache_control, seconds):
    server = served(headers={"cache-control": cache_control} if cache_control else {})
    await server.fetch()
    server.now = seconds - 1
    await server.fetch()
    assert len(server.asked) == 1
    server.now = seconds
    await server.fetch()
    assert len(server.asked) == 2


async def test_a_fresh_set_is_asked_for_at_most_once_a_minute(served):
    server = served()
    await server.fetch()
    await server.fetch(fresh=True)
    assert len(server.asked) == 1
    server.now = 60
    await server.fetch(fresh=True)
    assert len(server.asked) == 2


async def test_many_who_ask_at_once_share_one_request(served):
    server = served()
    answers = await asyncio.gather(*(server.fetch() for _ in range(5)))
    assert answers == [b'{"keys": []}'] * 5
    assert len(server.asked) == 1
