"""The simulated account service: pages, codes, PKCE, refresh, revocation."""

from __future__ import annotations

import re

import pytest

from fhir_facade.simulator.data_types import ACTIVITY, SCOPES, SLEEP
from tests.google_discovery import scopes as described_scopes


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"client_id": "stranger"}, "invalid_client", id="unknown client"),
        pytest.param(
            {"redirect_uri": "javascript:alert(1)"}, "redirect_uri_mismatch", id="redirect that is no web address"
        ),
        pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit flow"),
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain PKCE"),
        pytest.param({"scope": f"{ACTIVITY} nonsense"}, "invalid_scope", id="unknown scope"),
        pytest.param({"scope": None}, "invalid_request", id="no scope"),
    ],
)
async def test_an_invalid_request_shows_an_error_page_and_never_redirects(person, changes, error):
    answer = await person.authorize(**changes)

    assert answer.status_code == 400
    assert error in answer.text
    assert "location" not in answer.headers


async def test_a_prompt_of_none_still_shows_the_pages(person):
    answer = await person.authorize(prompt="none")

    assert answer.status_code == 200
    assert "Allow access" in answer.text


async def test_without_a_hint_every_account_can_be_chosen(person):
    page = await person.authorize(login_hint=None)
    handle = re.search(r'name="request" value="([^"]+)"', page.text)[1]

    chosen = await person.http.post("/o/oauth2/v2/account", data={"request": handle, "account": "sam@example.com"})

    assert re.findall(r'name="account" value="([^"]+)"', page.text) == [
        "alex@example.com",
        "sam@example.com",
        "kim@example.com",
    ]
    assert "Sam Rivers" in chosen.text
    assert chosen.text.count('type="checkbox"') == len(SCOPES)


async def test_all_scopes_offered_exist_at_the_vendor():
    assert set(SCOPES) <= described_scopes()


@pytest.mark.parametrize(
    ("scopes", "decision"),
    [pytest.param(tuple(SCOPES), "deny", id="cancel"), pytest.param((), "allow", id="nothing ticked")],
)
async def test_a_refusal_sends_access_denied_and_the_state(person, scopes, decision):
    _, answer = await person.consent(await person.authorize(), scopes, decision)

    assert answer == {"state": "s1", "error": "access_denied"}


async def test_a_consent_page_works_once(person):
    page = await person.authorize()
    await person.consent(page)

    again, _ = await person.consent(page)

    assert again.status_code == 400


async def test_the_redirect_carries_state_code_and_granted_scopes(person):
    sent, answer = await person.consent(await person.authorize(), [SLEEP])

    assert sent.status_code == 303
    assert sent.headers["location"].startswith("http://127.0.0.1:9/callback?")
    assert answer["state"] == "s1"
    assert answer["scope"] == SLEEP


async def test_a_code_gives_tokens_once(person):
    _, answer = await person.consent(await person.authorize())

    first, second = await person.exchange(answer["code"]), await person.exchange(answer["code"])

    assert first.json().keys() == {"access_token", "refresh_token", "expires_in", "scope", "token_type"}
    assert first.json()["expires_in"] == 3599
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"code_verifier": "w" * 50}, "invalid_grant", id="wrong verifier"),
        pytest.param({"code_verifier": ""}, "invalid_grant", id="no verifier"),
        pytest.param({"redirect_uri": "http://127.0.0.1:9/other"}, "redirect_uri_mismatch", id="other redirect"),
        pytest.param({"client_secret": "wrong"}, "invalid_client", id="wrong secret"),
        pytest.param({"grant_type": "password"}, "unsupported_grant_type", id="unknown grant"),
    ],
)
async def test_a_wrong_exchange_is_refused(person, changes, error):
    _, answer = await person.consent(await person.authorize())

    refused = await person.exchange(answer["code"], **changes)

    assert refused.status_code in {400, 401}
    assert refused.json()["error"] == error


async def test_a_code_expires_after_ten_minutes(person, clock):
    _, answer = await person.consent(await person.authorize())
    clock.forward(minutes=10)

    assert (await person.exchange(answer["code"])).json()["error"] == "invalid_grant"


async def test_a_client_may_send_its_secret_in_the_header(person):
    _, answer = await person.consent(await person.authorize())
    form = {"client_id": "", "client_secret": ""}
    person.http.auth = ("fhir-facade", "simulator-secret")

    assert (await person.exchange(answer["code"], **form)).status_code == 200


async def _renew(person, token):
    form = {"grant_type": "refresh_token", "refresh_token": token}
    client = {"client_id": "fhir-facade", "client_secret": "simulator-secret"}
    return await person.http.post("/token", data={**form, **client})


async def test_a_refresh_token_is_used_again_and_again_and_not_repeated(person):
    tokens = await person.tokens()

    answers = [await _renew(person, tokens["refresh_token"]) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert all("refresh_token" not in answer.json() for answer in answers)


async def test_a_second_consent_gives_a_refresh_token_only_when_asked_to_prompt(person):
    await person.tokens()

    assert "refresh_token" not in await person.tokens(prompt=None)
    assert "refresh_token" in await person.tokens(prompt="consent")


async def test_earlier_scopes_are_included_when_asked(person):
    await person.tokens(scopes=[ACTIVITY])

    tokens = await person.tokens(scopes=[SLEEP], include_granted_scopes="true")

    assert set(tokens["scope"].split()) == {ACTIVITY, SLEEP}


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_revoking_either_token_ends_both(person, which):
    tokens = await person.tokens()

    revoked = await person.http.post("/revoke", data={"token": tokens[which]})

    assert revoked.status_code == 200
    assert (await _renew(person, tokens["refresh_token"])).json()["error"] == "invalid_grant"
    person.http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    assert (await person.http.get("/v4/users/me/identity")).status_code == 401
    again = await person.http.post("/revoke", data={"token": tokens[which]})
    assert (again.status_code, again.json()["error"]) == (400, "invalid_token")


async def test_a_person_can_withdraw_at_the_vendor(person):
    consents = [await person.tokens(prompt="consent") for _ in range(2)]

    await person.http.post("/simulator/withdraw", json={"account": "alex@example.com"})

    for tokens in consents:
        assert (await _renew(person, tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_an_access_token_dies_after_an_hour(person, clock):
    await person.sign_in()
    clock.forward(seconds=3599)

    answer = await person.http.get("/v4/users/me/identity")

    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
