"""One HTTP call to a vendor: what is tried again, how long is waited, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from fhir_facade.adapters.vendors import calls as module
from fhir_facade.adapters.vendors.calls import ATTEMPTS, MAX_ANSWER_BYTES, Call, VendorCalls
from fhir_facade.errors import VendorError, VendorThrottled

URL = "https://vendor.example/data"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Pauses:
    """Remembers how long was waited, and waits not at all."""

    def __init__(self):
        self.seconds = []

    async def __call__(self, seconds):
        self.seconds.append(seconds)


@pytest.fixture
def pauses():
    return Pauses()


@pytest.fixture
async def calls(pauses):
    calls = VendorCalls("Vendor", now=lambda: NOW, pause=pauses, chance=lambda: 0.5)
    yield calls
    await calls.close()


def _nothing_special(_answer):
    return None


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(httpx.Response(500), id="500"),
        pytest.param(httpx.Response(503, text="<html>"), id="503 with a page"),
        pytest.param(httpx.Response(200, text="<html>"), id="garbage"),
        pytest.param(httpx.Response(200, content=b""), id="nothing"),
        pytest.param(httpx.Response(200, content=b'{"a": 1'), id="cut"),
        pytest.param(httpx.Response(200, json=[1]), id="no object"),
        pytest.param(httpx.Response(200, content=b"\xff\xfe"), id="no text"),
        pytest.param(httpx.ReadTimeout("slow"), id="slow"),
        pytest.param(httpx.ConnectError("refused"), id="unreachable"),
        pytest.param(httpx.RemoteProtocolError("cut"), id="connection cut"),
    ],
)
async def test_a_bad_answer_is_tried_again_and_then_a_vendor_error(calls, pauses, respx_mock, bad):
    route = respx_mock.get(URL).mock(side_effect=[bad] * ATTEMPTS)

    with pytest.raises(VendorError, match="Vendor"):
        await calls.send(Call("GET", URL), _nothing_special)

    assert route.call_count == ATTEMPTS
    assert pauses.seconds == [0.5, 1.0]


async def test_a_second_attempt_may_succeed(calls, respx_mock):
    respx_mock.get(URL).mock(side_effect=[httpx.Response(502), httpx.Response(200, json={"a": 1})])

    assert await calls.send(Call("GET", URL), _nothing_special) == {"a": 1}


async def test_a_call_that_could_do_harm_twice_is_made_once(calls, respx_mock):
    route = respx_mock.post(URL).mock(side_effect=httpx.ReadTimeout("slow"))

    with pytest.raises(VendorError, match="in time"):
        await calls.send(Call("POST", URL, form={"code": "c"}, again=False), _nothing_special)

    assert route.call_count == 1


async def test_other_client_errors_are_not_tried_again(calls, respx_mock):
    route = respx_mock.get(URL).mock(return_value=httpx.Response(404, json={}))

    with pytest.raises(VendorError, match="404"):
        await calls.send(Call("GET", URL), _nothing_special)

    assert route.call_count == 1


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        pytest.param("7", [7.0, 7.0], id="seconds"),
        pytest.param("Sat, 21 Nov 2026 12:00:09 GMT", [9.0, 9.0], id="date"),
        pytest.param("Sat, 21 Nov 2026 11:00:00 GMT", [0.0, 0.0], id="date that has passed"),
        pytest.param("soon", [0.5, 1.0], id="unreadable"),
        pytest.param(None, [0.5, 1.0], id="absent"),
    ],
)
async def test_retry_after_is_honoured(calls, pauses, respx_mock, header, waited):
    headers = {"Retry-After": header} if header else {}
    respx_mock.get(URL).mock(return_value=httpx.Response(429, json={}, headers=headers))

    with pytest.raises(VendorThrottled):
        await calls.send(Call("GET", URL), _nothing_special)

    assert pauses.seconds == waited


async def test_a_long_retry_after_is_told_and_not_waited_for(calls, pauses, respx_mock):
    route = respx_mock.get(URL).mock(return_value=httpx.Response(429, json={}, headers={"Retry-After": "3600"}))

    with pytest.raises(VendorThrottled) as caught:
        await calls.send(Call("GET", URL), _nothing_special)

    assert caught.value.retry_after_s == 3600
    assert (pauses.seconds, route.call_count) == ([], 1)


async def test_throttling_without_a_time_says_a_minute(calls, respx_mock):
    respx_mock.get(URL).mock(return_value=httpx.Response(429, json={}))

    with pytest.raises(VendorThrottled) as caught:
        await calls.send(Call("GET", URL), _nothing_special)

    assert caught.value.retry_after_s == module.RETRY_AFTER_DEFAULT_S


async def test_an_endless_answer_is_not_read_to_its_end(calls, respx_mock):
    respx_mock.get(URL).mock(return_value=httpx.Response(200, content=b" " * (MAX_ANSWER_BYTES + 1)))

    with pytest.raises(VendorError, match="bytes"):
        await calls.send(Call("GET", URL), _nothing_special)


async def test_what_the_vendor_file_refuses_is_raised_at_once(calls, respx_mock):
    route = respx_mock.get(URL).mock(return_value=httpx.Response(500, json={"error": "special"}))

    with pytest.raises(LookupError):
        await calls.send(Call("GET", URL), lambda answer: LookupError(answer.document["error"]))

    assert route.call_count == 1


async def test_fractions_keep_their_digits(calls, respx_mock):
    respx_mock.get(URL).mock(return_value=httpx.Response(200, content=b'{"a": 96.10, "b": 3}'))

    document = await calls.send(Call("GET", URL), _nothing_special)

    assert str(document["a"]) == "96.10"
    assert (type(document["a"]), type(document["b"])) == (Decimal, int)


async def test_the_token_travels_in_the_header_and_bodies_as_asked(calls, respx_mock):
    route = respx_mock.post(URL).mock(return_value=httpx.Response(200, json={}))

    await calls.send(Call("POST", URL, token="t", json={"a": 1}), _nothing_special)
    await calls.send(Call("POST", URL, {"q": "1"}, form={"b": "2"}), _nothing_special)

    first, second = (call.request for call in route.calls)
    assert first.headers["authorization"] == "Bearer t"
    assert (first.headers["content-type"], first.content) == ("application/json", b'{"a":1}')
    assert (str(second.url), second.content) == (f"{URL}?q=1", b"b=2")
    assert "authorization" not in second.headers


async def test_a_redirect_is_not_followed(calls, respx_mock):
    respx_mock.get(URL).mock(return_value=httpx.Response(302, headers={"Location": "http://elsewhere.example/"}))

    with pytest.raises(VendorError, match="302"):
        await calls.send(Call("GET", URL), _nothing_special)
