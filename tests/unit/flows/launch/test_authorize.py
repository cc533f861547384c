"""An authorization request is refused on a page, refused by a redirect, or goes on to sign-in and consent."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_facade.access.scopes import serialise
from fhir_facade.flows.launch.authorize import (
    NeedsConsent,
    NeedsPatient,
    NeedsSignIn,
    NotAuthorizable,
    begin,
    choose_patient,
    decide,
    next_step,
)
from fhir_facade.flows.launch.clients import NewClient, add_client, disable_client
from fhir_facade.flows.launch.opened import Lost
from fhir_facade.flows.launch.server import Answer
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import AuthorizationCode, Grant
from tests.sign_in_world import BASE, CHALLENGE, REDIRECT, SCOPE, query_of, request


async def started(world, username="ann", **changes):
    """Handle, cookie and session of an authorization that was begun in a signed-in browser."""
    cookie, session = await world.browser(username)
    return await begin(world.sign_in, request(**changes), Caller()), cookie, session


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"client_id": None}, id="no client"),
        pytest.param({"client_id": "unknown"}, id="unknown client"),
        pytest.param({"redirect_uri": None}, id="no redirect URI"),
        pytest.param({"redirect_uri": "https://evil.example/"}, id="foreign redirect URI"),
        pytest.param({"redirect_uri": REDIRECT + "/"}, id="almost the redirect URI"),
        pytest.param({"redirect_uri": 'https://app.example/"'}, id="redirect URI with a quote"),
        pytest.param({"redirect_uri": "https://app.example/é"}, id="redirect URI that is not ASCII"),
        pytest.param({"redirect_uri": "http://localhost:80@evil.example/cb"}, id="redirect URI with user information"),
        pytest.param({"state": "\x00"}, id="control characters"),
        pytest.param({"redirect_uri": "https://evil.example/", "response_type": 'co"de'}, id="two things wrong"),
    ],
)
async def test_a_request_that_cannot_be_trusted_is_never_redirected(world, changes):
    with pytest.raises(NotAuthorizable):
        await begin(world.sign_in, request(**changes), Caller())


@pytest.mark.parametrize("name", [name for name, _ in request()])
async def test_a_parameter_that_occurs_twice_is_never_redirected(world, name):
    pairs = request()
    with pytest.raises(NotAuthorizable):
        await begin(world.sign_in, [*pairs, (name, dict(pairs)[name])], Caller())


async def test_a_disabled_client_is_never_redirected_to(world):
    await disable_client(world.ports, "app")
    with pytest.raises(NotAuthorizable):
        await begin(world.sign_in, request(), Caller())


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"response_type": None}, "unsupported_response_type", id="no response type"),
        pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit"),
        pytest.param({"response_type": "code token"}, "unsupported_response_type", id="hybrid"),
        pytest.param({"response_type": 'co"de'}, "unsupported_response_type", id="response type with a quote"),
        pytest.param({"scope": None}, "invalid_scope", id="no scope"),
        pytest.param({"scope": "nonsense"}, "invalid_scope", id="no SMART scope"),
        pytest.param({"scope": "system/*.rs"}, "invalid_scope", id="a scope the client may not have"),
        pytest.param({"scope": "patient/Observation.sr"}, "invalid_scope", id="letters out of order"),
        pytest.param({"aud": None}, "invalid_request", id="no aud"),
        pytest.param({"aud": "https://evil.example/fhir"}, "invalid_request", id="another host"),
        pytest.param({"aud": f"{BASE}/fhir//"}, "invalid_request", id="two trailing slashes"),
        pytest.param({"aud": f"{BASE}/FHIR"}, "invalid_request", id="another path"),
        pytest.param({"resource": "https://evil.example"}, "invalid_request", id="aud and resource differ"),
        pytest.param({"code_challenge": None}, "invalid_request", id="no PKCE"),
        pytest.param({"code_challenge": None, "code_challenge_method": None}, "invalid_request", id="no PKCE at all"),
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain"),
        pytest.param({"code_challenge_method": None}, "invalid_request", id="PKCE method missing"),
        pytest.param({"code_challenge": "short"}, "invalid_request", id="short challenge"),
        pytest.param({"code_challenge": CHALLENGE + "x"}, "invalid_request", id="long challenge"),
        pytest.param({"launch": "123"}, "invalid_request", id="unknown launch"),
        pytest.param({"response_mode": "fragment"}, "invalid_request", id="fragment"),
        pytest.param({"response_mode": "form_post"}, "invalid_request", id="form post"),
        pytest.param({"request": "x.y.z"}, "invalid_request", id="request object"),
        pytest.param({"request_uri": "https://evil.example/"}, "invalid_request", id="request object by address"),
        pytest.param({"prompt": "none"}, "interaction_required", id="prompt none"),
    ],
)
async def test_what_an_app_did_wrong_is_told_by_a_redirect(world, changes, error):
    answer = await begin(world.sign_in, request(**changes), Caller())

    assert isinstance(answer, Answer)
    assert answer.status == 303
    assert answer.location.startswith(REDIRECT + "?")
    told = query_of(answer.location)
    assert (told["error"], told["state"], told["iss"]) == (error, "the state", f"{BASE}/fhir")
    assert "code" not in told


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([name for name, _ in request()] + ["prompt", "max_age", "launch", "x"]),
            st.text(max_size=40) | st.sampled_from([value for _, value in request()]),
        ),
        max_size=12,
    )
)
async def test_any_request_is_answered(world, pairs):
    merged = list((dict(request()) | dict(pairs)).items()) + pairs[:2]
    for asked in (pairs, merged):
        try:
            answer = await begin(world.sign_in, asked, Caller())
        except NotAuthorizable:
            continue
        assert isinstance(answer, str) or answer.location.startswith(REDIRECT)


@pytest.mark.parametrize("aud", [f"{BASE}/fhir", f"{BASE}/fhir/"])
async def test_one_trailing_slash_of_aud_is_tolerated(world, aud):
    assert isinstance(await begin(world.sign_in, request(aud=aud), Caller()), str)


async def test_resource_stands_for_aud(world):
    assert isinstance(await begin(world.sign_in, request(aud=None, resource=f"{BASE}/fhir"), Caller()), str)


async def test_nobody_goes_on_without_signing_in(world):
    handle = await begin(world.sign_in, request(), Caller())
    assert await next_step(world.sign_in, handle, "a browser", None) == NeedsSignIn()


async def test_only_the_first_browser_owns_an_authorization(world):
    handle, cookie, session = await started(world)
    await next_step(world.sign_in, handle, cookie, session)
    with pytest.raises(Lost):
        await next_step(world.sign_in, handle, "another browser", session)


async def test_an_authorization_is_over_after_its_time(world):
    handle, cookie, session = await started(world)
    world.clock.move(minutes=15)
    with pytest.raises(Lost):
        await next_step(world.sign_in, handle, cookie, session)


@pytest.mark.parametrize("changes", [{"prompt": "login"}, {"max_age": "60"}], ids=["prompt login", "max_age"])
async def test_an_app_can_ask_for_a_fresh_sign_in(world, changes):
    cookie, session = await world.browser()
    world.clock.move(minutes=2)
    handle = await begin(world.sign_in, request(**changes), Caller())
    assert await next_step(world.sign_in, handle, cookie, session) == NeedsSignIn()

    world.clock.move(seconds=1)
    handle = await begin(world.sign_in, request(max_age="120"), Caller())
    assert await next_step(world.sign_in, handle, cookie, session) == NeedsSignIn()
    handle = await begin(world.sign_in, request(max_age="121"), Caller())
    assert isinstance(await next_step(world.sign_in, handle, cookie, session), NeedsConsent)


async def test_a_patient_consents_for_their_own_record(world):
    step = await next_step(world.sign_in, *await started(world))
    assert isinstance(step, NeedsConsent)
    assert step.patient == ("p1", "ann")
    assert step.redirect_origin == "https://app.example"


async def test_a_clinician_chooses_among_their_own_patients(world):
    handle, cookie, session = await started(world, "bob")
    step = await next_step(world.sign_in, handle, cookie, session)
    assert step == NeedsPatient("app", [("p1", "Ann Example"), ("p2", "Carl Example")])

    with pytest.raises(Lost):
        await choose_patient(world.sign_in, handle, cookie, session, "p3")
    await choose_patient(world.sign_in, handle, cookie, session, "p2")
    step = await next_step(world.sign_in, handle, cookie, session)
    assert step.patient == ("p2", "Carl Example")


async def test_a_patient_who_left_the_clinicians_care_must_be_chosen_anew(world):
    handle, cookie, session = await started(world, "bob")
    await choose_patient(world.sign_in, handle, cookie, session, "p2")
    world.patients.pop()
    assert isinstance(await next_step(world.sign_in, handle, cookie, session), NeedsPatient)
    with pytest.raises(Lost):
        await decide(world.sign_in, handle, cookie, session, [SCOPE], Caller())


async def test_a_choice_does_not_outlive_a_change_of_account(world):
    handle, cookie, session = await started(world, "bob")
    await choose_patient(world.sign_in, handle, cookie, session, "p2")
    _, other = await world.browser("root")
    step = await next_step(world.sign_in, handle, cookie, other)
    assert step == NeedsPatient("app", [])


async def test_a_clinician_needs_no_patient_for_user_scopes(world):
    step = await next_step(world.sign_in, *await started(world, "bob", scope="openid user/*.rs"))
    assert isinstance(step, NeedsConsent)
    assert step.patient is None


async def test_scopes_beyond_the_client_are_left_out(world):
    scope = "openid patient/*.cruds system/*.rs launch online_access nonsense"
    step = await next_step(world.sign_in, *await started(world, scope=scope))
    assert serialise(step.scopes) == "openid patient/*.rs patient/Observation.cruds"


async def test_a_denial_is_told_to_the_app(world):
    handle, cookie, session = await started(world)
    await next_step(world.sign_in, handle, cookie, session)
    answer = await decide(world.sign_in, handle, cookie, session, None, Caller())
    assert query_of(answer.location) == {"error": "access_denied", "state": "the state", "iss": f"{BASE}/fhir"} | {
        "error_description": query_of(answer.location)["error_description"]
    }
    assert await world.rows(AuthorizationCode) == []


async def test_what_was_unticked_is_not_granted(world):
    code = await world.code(scope=SCOPE + " user/*.rs", ticked="patient/*.rs")
    answer = await world.redeem(code)
    assert answer.body["scope"] == "fhirUser launch/patient openid patient/*.rs"
    assert "refresh_token" not in answer.body


async def test_ticking_more_than_was_asked_grants_nothing_more(world):
    body = (await world.redeem(await world.code(scope="patient/*.rs", ticked="patient/*.rs user/*.rs openid"))).body
    assert body["scope"] == "patient/*.rs"


async def test_unticking_everything_is_a_denial(world):
    handle, cookie, session = await started(world, scope="patient/*.rs")
    answer = await decide(world.sign_in, handle, cookie, session, [], Caller())
    assert query_of(answer.location)["error"] == "access_denied"


async def test_a_decision_counts_once(world):
    handle, cookie, session = await started(world)
    await next_step(world.sign_in, handle, cookie, session)

    async def decision():
        return await decide(world.sign_in, handle, cookie, session, SCOPE.split(), Caller())

    answers = await asyncio.gather(*(decision() for _ in range(4)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Answer", "Lost", "Lost", "Lost"]
    assert len(await world.rows(Grant)) == 1


async def test_a_client_disabled_meanwhile_gets_no_code(world):
    handle, cookie, session = await started(world)
    await disable_client(world.ports, "app")
    with pytest.raises(Lost):
        await decide(world.sign_in, handle, cookie, session, SCOPE.split(), Caller())


async def test_the_answer_carries_code_state_and_issuer(world):
    handle, cookie, session = await started(world)
    answer = await decide(world.sign_in, handle, cookie, session, SCOPE.split(), Caller())
    told = query_of(answer.location)
    assert told.keys() == {"code", "state", "iss"}
    assert told["state"] == "the state"
    assert told["iss"] == f"{BASE}/fhir"


async def test_a_query_of_the_redirect_uri_is_kept(world):
    uri = "https://two.example/cb?tenant=7"
    await add_client(world.ports, NewClient("two", "public", "patient/*.rs", redirect_uris=(uri,)))
    code_request = {"client_id": "two", "redirect_uri": uri, "scope": "patient/*.rs"}
    handle, cookie, session = await started(world, **code_request)
    answer = await decide(world.sign_in, handle, cookie, session, ["patient/*.rs"], Caller())
    assert answer.location.startswith(uri + "&code=")


async def test_every_decision_is_audited(world):
    await world.code()
    handle, cookie, session = await started(world)
    await decide(world.sign_in, handle, cookie, session, None, Caller("10.0.0.1", "r-1"))
    lines = await world.rows(AuditLine, ("action", "=", "consent"))
    assert [(line.outcome, line.client, line.patient) for line in lines] == [
        ("success", "app", "p1"),
        ("refused", "app", None),
    ]
    assert (lines[1].address, lines[1].request_id, lines[1].detail) == ("10.0.0.1", "r-1", "denied")
