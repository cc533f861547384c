"""The Google Health adapter: requests the API describes, answers understood, refusals told apart."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest

from fhir_facade.adapters.vendors.calls import VendorCalls
from fhir_facade.adapters.vendors.google_health import MAX_PAGES, GoogleHealth
from fhir_facade.adapters.vendors.google_requests import chunks, next_page
from fhir_facade.errors import (
    AccessTokenRefused,
    MissingScope,
    NotLinked,
    ReconsentNeeded,
    VendorError,
    VendorRetired,
    VendorThrottled,
)
from mappers.google_health import types
from tests.google_discovery import request_errors, scopes

API = "https://health.example"
TOKEN, REVOKE = "https://oauth.example/token", "https://oauth.example/revoke"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
START, END = date(2026, 8, 24), date(2026, 11, 22)
WEIGHT = f"{API}/v4/users/me/dataTypes/weight/dataPoints"
STEPS = f"{API}/v4/users/me/dataTypes/steps/dataPoints:dailyRollUp"


class StoppedClock:
    def now(self):
        return NOW


_GRANTS = {
    "exchange": lambda google: google.exchange(code="c", verifier="v", redirect_uri="r"),
    "refresh": lambda google: google.refresh("1//0r"),
}


async def _no_pause(_seconds):
    return None


@pytest.fixture
async def google():
    vendor = GoogleHealth(
        authorize_url="https://accounts.example/auth",
        token_url=TOKEN,
        revoke_url=REVOKE,
        api_base=f"{API}/",
        client_id="us",
        client_secret="quiet",
        clock=StoppedClock(),
        calls=VendorCalls("Google Health", now=lambda: NOW, pause=_no_pause),
    )
    yield vendor
    await vendor.close()


def _refused(status, reason=None, canonical="X"):
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    return httpx.Response(status, json={"error": {"code": status, "status": canonical, "details": details}})


# --- consent and tokens ---------------------------------------------------------------------------------------


def test_only_readonly_scopes_that_exist_are_asked_for(google):
    assert set(google.scopes) <= scopes()
    assert all(scope.endswith(".readonly") for scope in google.scopes)
    assert set(google.data_types.values()) <= set(google.scopes)


def test_the_consent_address_asks_for_offline_access_with_pkce(google):
    address = google.authorize_url(state="s t", challenge="c", redirect_uri="https://us.example/back")

    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert address.startswith("https://accounts.example/auth?")
    assert query.pop("scope").split() == list(google.scopes)
    assert query == {
        "client_id": "us",
        "redirect_uri": "https://us.example/back",
        "response_type": "code",
        "access_type": "offline",
        "prompt": "consent",
        "state": "s t",
        "code_challenge": "c",
        "code_challenge_method": "S256",
    }


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(httpx.Response(400, json={"error": "invalid_grant"}), ReconsentNeeded, id="dead code"),
        pytest.param(httpx.Response(401, json={"error": "invalid_client"}), VendorError, id="wrong secret"),
        pytest.param(httpx.Response(410), VendorRetired, id="gone"),
        pytest.param(httpx.Response(429), VendorThrottled, id="throttled"),
        pytest.param(httpx.Response(500), VendorError, id="server error"),
        pytest.param(httpx.Response(200, text="<html>"), VendorError, id="garbage"),
        pytest.param(httpx.Response(200, content=b""), VendorError, id="nothing"),
        pytest.param(httpx.Response(200, json={}), VendorError, id="no token"),
        pytest.param(httpx.Response(200, json={"access_token": "a"}), VendorError, id="no lifetime"),
        pytest.param(httpx.Response(200, json={"access_token": 3, "expires_in": 9}), VendorError, id="odd token"),
        pytest.param(httpx.ReadTimeout("slow"), VendorError, id="slow"),
    ],
)
@pytest.mark.parametrize("grant", sorted(_GRANTS))
async def test_a_bad_answer_of_the_token_endpoint_has_a_name(google, respx_mock, grant, answer, error):
    respx_mock.post(TOKEN).mock(side_effect=[answer] * 3)

    with pytest.raises(VendorError) as caught:
        await _GRANTS[grant](google)

    assert type(caught.value) is error
    assert "quiet" not in str(caught.value)


async def test_an_exchange_sends_code_verifier_and_client_and_reads_the_tokens(google, respx_mock):
    answer = {"access_token": "a", "refresh_token": "r", "expires_in": 3599, "scope": "x y", "token_type": "Bearer"}
    route = respx_mock.post(TOKEN).mock(return_value=httpx.Response(200, json=answer))

    tokens = await google.exchange(code="c", verifier="v", redirect_uri="https://us.example/back")

    sent = parse_qs(route.calls.last.request.content.decode())
    assert sent == {
        "grant_type": ["authorization_code"],
        "code": ["c"],
        "code_verifier": ["v"],
        "redirect_uri": ["https://us.example/back"],
        "client_id": ["us"],
        "client_secret": ["quiet"],
    }
    assert (tokens.access_token, tokens.refresh_token, tokens.scopes) == ("a", "r", ("x", "y"))
    assert tokens.expires_at == datetime(2026, 11, 21, 12, 59, 59, tzinfo=UTC)


async def test_an_exchange_without_a_scope_granted_what_was_asked(google, respx_mock):
    respx_mock.post(TOKEN).mock(return_value=httpx.Response(200, json={"access_token": "a", "expires_in": 9}))

    assert (await google.exchange(code="c", verifier="v", redirect_uri="r")).scopes == google.scopes


async def test_a_refresh_usually_brings_no_new_refresh_token(google, respx_mock):
    respx_mock.post(TOKEN).mock(return_value=httpx.Response(200, json={"access_token": "b", "expires_in": 9}))

    tokens = await google.refresh("1//0r")

    assert (tokens.access_token, tokens.refresh_token, tokens.scopes) == ("b", None, ())


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(httpx.Response(200, json={}), id="revoked"),
        pytest.param(httpx.Response(200, content=b""), id="revoked without a body"),
        pytest.param(httpx.Response(400, json={"error": "invalid_token"}), id="unknown already"),
    ],
)
async def test_revoking_ends_well_when_nothing_is_left(google, respx_mock, answer):
    route = respx_mock.post(REVOKE).mock(return_value=answer)

    await google.revoke("1//0r")

    assert parse_qs(route.calls.last.request.content.decode()) == {"token": ["1//0r"]}


async def test_a_revocation_that_fails_is_told(google, respx_mock):
    respx_mock.post(REVOKE).mock(return_value=httpx.Response(503))

    with pytest.raises(VendorError):
        await google.revoke("1//0r")


# --- identity and settings ------------------------------------------------------------------------------------


async def test_the_identity_is_the_health_user_id(google, respx_mock):
    respx_mock.get(f"{API}/v4/users/me/identity").mock(return_value=httpx.Response(200, json={"healthUserId": "42"}))

    assert await google.identity("a") == "42"


@pytest.mark.parametrize("document", [{}, {"healthUserId": ""}, {"healthUserId": 7}])
async def test_an_identity_without_an_id_is_an_error(google, respx_mock, document):
    respx_mock.get(f"{API}/v4/users/me/identity").mock(return_value=httpx.Response(200, json=document))

    with pytest.raises(VendorError, match="healthUserId"):
        await google.identity("a")


@pytest.mark.parametrize(
    ("zone", "known"),
    [
        pytest.param("Europe/Berlin", "Europe/Berlin", id="a zone"),
        pytest.param("Mars/Olympus", None, id="no zone of ours"),
        pytest.param("../../etc/passwd", None, id="a path"),
        pytest.param(7, None, id="a number"),
        pytest.param(None, None, id="nothing"),
    ],
)
async def test_settings_tell_a_zone_only_when_it_is_one(google, respx_mock, zone, known):
    respx_mock.get(f"{API}/v4/users/me/settings").mock(return_value=httpx.Response(200, json={"timeZone": zone}))
    respx_mock.get(f"{API}/v4/users/me/pairedDevices").mock(return_value=httpx.Response(200, json={}))

    assert (await google.settings("a")).zone == known


async def test_paired_devices_are_read(google, respx_mock):
    rows = [{"name": "users/1/pairedDevices/77", "deviceVersion": "Charge 6", "deviceType": "TRACKER"}, "odd"]
    respx_mock.get(f"{API}/v4/users/me/settings").mock(return_value=httpx.Response(200, json={}))
    respx_mock.get(f"{API}/v4/users/me/pairedDevices").mock(
        return_value=httpx.Response(200, json={"pairedDevices": rows})
    )

    device = (await google.settings("a")).devices[0]

    assert (device.id, device.name, device.kind) == ("77", "Charge 6", "tracker")


# --- requests -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(types()))
def test_every_request_is_one_the_api_describes(name):
    for chunk in chunks("", name, types()[name], START, END):
        for call in (chunk.call, next_page(chunk.call, "token")):
            assert request_errors(call.method, call.url, call.query, call.json) == []


@pytest.mark.parametrize("name", sorted(name for name, spec in types().items() if spec.method == "dailyRollUp"))
def test_rollups_cover_the_window_in_pieces_of_at_most_13_days_without_a_page_size(name):
    pieces = list(chunks("", name, types()[name], START, END))

    assert pieces[0].start == START
    assert pieces[-1].end == END
    assert all(before.end == after.start for before, after in pairwise(pieces))
    assert all((piece.end - piece.start).days <= 13 for piece in pieces)
    assert all("pageSize" not in piece.call.json for piece in pieces)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "daily-oxygen-saturation",
            'daily_oxygen_saturation.date >= "2026-08-24" AND daily_oxygen_saturation.date < "2026-11-22"',
        ),
        ("weight", 'weight.sample_time.physical_time >= "2026-08-24T00:00:00Z"'),
        ("sleep", 'sleep.interval.end_time >= "2026-08-24T00:00:00Z"'),
    ],
)
def test_lists_are_filtered_by_the_documented_field(name, text):
    (chunk,) = chunks("", name, types()[name], START, END)

    assert chunk.call.query["filter"] == text


# --- reading --------------------------------------------------------------------------------------------------


async def _weights(google):
    return await google.fetch("a", data_type="weight", start=START, end=END)


async def test_pages_are_joined_and_empty_ones_followed(google, respx_mock):
    pages = [
        {"dataPoints": [{"weight": 1}], "nextPageToken": "p2"},
        {"nextPageToken": "p3"},
        {"dataPoints": [{"weight": 2}]},
    ]
    route = respx_mock.get(url__startswith=WEIGHT).mock(side_effect=[httpx.Response(200, json=page) for page in pages])

    answer = await _weights(google)

    assert (answer.records, answer.complete) == ([{"weight": 1}, {"weight": 2}], True)
    queries = [parse_qs(urlsplit(str(call.request.url)).query) for call in route.calls]
    assert [query.get("pageToken") for query in queries] == [None, ["p2"], ["p3"]]
    assert len({query["filter"][0] for query in queries}) == 1


async def test_pages_without_end_are_given_up_and_said_to_be_incomplete(google, respx_mock):
    endless = httpx.Response(200, json={"dataPoints": [{"weight": 1}], "nextPageToken": "again"})
    route = respx_mock.get(url__startswith=WEIGHT).mock(return_value=endless)

    answer = await _weights(google)

    assert (route.call_count, answer.complete, len(answer.records)) == (MAX_PAGES, False, MAX_PAGES)


async def test_a_failing_later_page_fails_the_whole_read(google, respx_mock):
    first = httpx.Response(200, json={"dataPoints": [{"weight": 1}], "nextPageToken": "p2"})
    respx_mock.get(url__startswith=WEIGHT).mock(side_effect=[first, *[httpx.Response(500)] * 3])

    with pytest.raises(VendorError):
        await _weights(google)


async def test_rollup_rows_outside_the_asked_days_are_dropped(google, respx_mock):
    def answer(request):
        days = [msgspec.json.decode(request.content)["range"][edge]["date"] for edge in ("start", "end")]
        rows = [{"civilStartTime": {"date": day}, "steps": {"countSum": "1"}} for day in [*days, {"year": "odd"}]]
        return httpx.Response(200, json={"rollupDataPoints": [*rows, {"steps": {"countSum": "5"}}]})

    respx_mock.post(STEPS).mock(side_effect=answer)

    rows = (await google.fetch("a", data_type="steps", start=date(2026, 11, 1), end=date(2026, 11, 20))).records

    days = [row.get("civilStartTime", {}).get("date", {}).get("day") for row in rows]
    assert days == [1, None, None, 14, None, None]


async def test_fractions_arrive_as_decimals(google, respx_mock):
    respx_mock.get(url__startswith=WEIGHT).mock(
        return_value=httpx.Response(200, content=b'{"dataPoints": [{"weight": {"weightGrams": 79800.50}}]}')
    )

    assert str((await _weights(google)).records[0]["weight"]["weightGrams"]) == str(Decimal("79800.50"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(_refused(401, "ACCESS_TOKEN_INVALID"), AccessTokenRefused, id="401"),
        pytest.param(httpx.Response(401, content=b""), AccessTokenRefused, id="401 without a body"),
        pytest.param(_refused(403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), MissingScope, id="403 scope"),
        pytest.param(httpx.Response(403, json={"error": "insufficient_scope"}), MissingScope, id="403 OAuth scope"),
        pytest.param(_refused(403, "USER_PROJECT_DENIED"), VendorError, id="403 otherwise"),
        pytest.param(_refused(400, "ACCOUNT_NOT_LINKED", "FAILED_PRECONDITION"), NotLinked, id="400 not linked"),
        pytest.param(_refused(403, "ACCOUNT_NOT_LINKED"), NotLinked, id="403 not linked"),
        pytest.param(_refused(400, "INVALID_PAGE_TOKEN"), VendorError, id="400 otherwise"),
        pytest.param(_refused(410), VendorRetired, id="410"),
        pytest.param(_refused(429, "RATE_LIMIT_EXCEEDED"), VendorThrottled, id="429"),
        pytest.param(_refused(500), VendorError, id="500"),
        pytest.param(httpx.Response(200, text="<html>502</html>"), VendorError, id="garbage"),
        pytest.param(httpx.Response(200, content=b""), VendorError, id="nothing"),
        pytest.param(httpx.Response(200, json={"status": "ok"}), VendorError, id="JSON of something else"),
        pytest.param(httpx.Response(200, json={"dataPoints": {}}), VendorError, id="records that are no list"),
        pytest.param(httpx.Response(200, json={"dataPoints": [1]}), VendorError, id="records that are no objects"),
        pytest.param(httpx.Response(200, json={"error": {"details": "x"}}), VendorError, id="error with status 200"),
        pytest.param(httpx.Response(400, json={"error": {"details": [3]}}), VendorError, id="odd error"),
        pytest.param(httpx.ReadTimeout("slow"), VendorError, id="slow"),
    ],
)
async def test_a_bad_answer_of_the_health_api_has_a_name(google, respx_mock, answer, error):
    respx_mock.get(url__startswith=WEIGHT).mock(side_effect=[answer] * 3)

    with pytest.raises(VendorError) as caught:
        await _weights(google)

    assert type(caught.value) is error
