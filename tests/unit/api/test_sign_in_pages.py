"""The pages of signing in: plain forms, strict headers, nothing that works from elsewhere."""

import re
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from fhir_facade.api.oauth import OAuthDeps, oauth_routes
from fhir_facade.api.oauth.browser import local_path
from fhir_facade.api.pages.render import safe_headers
from fhir_facade.flows.launch.authorize import begin, next_step
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.sign_in import Caller
from tests.forms import follow, form_of, sign_in, submit
from tests.sign_in_world import BASE, PASSWORD, REDIRECT, SCOPE, query_of, redemption, request

COOKIE = "__Host-fhir_facade"
PAGES = ["/login", "/oauth/authorize?" + urlencode(request(client_id="unknown")), "/oauth/continue?request=unknown"]


async def authorization(web, **changes):
    """The page that an app's redirect to us ends on."""
    return await follow(web, await web.get("/oauth/authorize", params=request(**changes)))


async def consent_page(web, username="ann", patient=None, **changes):
    page = await authorization(web, **changes)
    page = await follow(web, await sign_in(web, page, username, PASSWORD))
    if patient is not None:
        page = await follow(web, await submit(web, page, "/oauth/patient", patient=patient))
    return page


def policy_of(response):
    return dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))


# --- every page -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_forbids_foreign_content_framing_and_traces(web, path):
    answer = await web.get(path)
    policy = policy_of(answer)
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_has_a_script_or_a_style_of_its_own(web, path):
    html = (await web.get(path)).text
    assert "<script" not in html
    assert "<style" not in html
    assert not re.search(r"\s(style|on[a-z]+)=", html)


@pytest.mark.parametrize(("header", "language", "title"), [("de", "de", "Anmelden"), ("en", "en", "Sign in")])
async def test_a_page_speaks_the_readers_language(web, header, language, title):
    html = (await web.get("/login", headers={"accept-language": header})).text
    assert f'<html lang="{language}">' in html
    assert f"<h1>{title}</h1>" in html


async def test_the_style_sheet_is_served(web):
    answer = await web.get("/static/facade.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in answer.text


async def test_a_browser_that_has_the_style_sheet_already_is_not_sent_it_again(web):
    first = await web.get("/static/facade.css")

    again = await web.get("/static/facade.css", headers={"If-None-Match": f'"another", {first.headers["etag"]}'})
    changed = await web.get("/static/facade.css", headers={"If-None-Match": '"another"'})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (changed.status_code, changed.content) == (200, first.content)


@pytest.mark.parametrize("path", ["/static/../oauth/routes.py", "/static/%2e%2e/oauth/routes.py", "/static/absent.css"])
async def test_nothing_else_is_served(web, path):
    assert (await web.get(path)).status_code == 404


# --- sign-in --------------------------------------------------------------------------------------------------


async def test_the_cookie_is_bound_to_host_and_unreadable_for_scripts(web):
    cookie = (await web.get("/login")).headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=lax"):
        assert attribute in cookie
    assert "Domain" not in cookie
    assert "Max-Age" not in cookie


async def test_on_plain_loopback_the_cookie_works_without_tls(world):
    app = Starlette(routes=oauth_routes(OAuthDeps(world.sign_in, plain_loopback=True)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        page = await client.get("/login")
        cookie = page.headers["set-cookie"]
        assert cookie.startswith("fhir_facade=")
        assert "Secure" not in cookie
        assert (await sign_in(client, page, "ann", PASSWORD)).status_code == 303


async def test_a_wrong_password_shows_the_form_again(web):
    answer = await sign_in(web, await web.get("/login"), "ann", "wrong password")
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "wrong password" not in answer.text
    assert form_of(answer, "/login").fields()["username"] == ["ann"]


async def test_guessing_is_slowed_with_a_word_how_long(web):
    page = await web.get("/login")
    for _ in range(6):
        answer = await sign_in(web, page, "ann", "wrong password")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "2"
    assert "2 seconds" in answer.text


async def test_a_sign_in_form_of_another_browser_does_not_work(web, app):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as other:
        foreign = await other.get("/login")
    await web.get("/login")
    answer = await sign_in(web, foreign, "ann", PASSWORD)
    assert answer.status_code == 403
    assert (await web.get("/login")).status_code == 200


async def test_signing_in_without_a_cookie_does_not_work(web):
    page = await web.get("/login")
    web.cookies.clear()
    assert (await sign_in(web, page, "ann", PASSWORD)).status_code == 403


async def test_signing_in_changes_the_cookie_and_goes_on(web):
    page = await web.get("/login", params={"next": "/somewhere?x=1"})
    before = web.cookies[COOKIE]
    answer = await sign_in(web, page, "ann", PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/somewhere?x=1")
    assert web.cookies[COOKIE] != before
    assert (await web.get("/login", params={"next": "/there"})).headers["location"] == "/there"


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "x", "", "/a\\b", "/a b", "/ä"],
)
def test_signing_in_leads_nowhere_else(target):
    assert local_path(target) == "/"


@given(st.text(max_size=60))
def test_any_target_is_a_path_of_our_own(target):
    path = local_path(target)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))


async def test_signing_out_ends_the_session(web):
    page = await consent_page(web)
    answer = await submit(web, page, "/logout")
    assert answer.headers["location"].startswith("/oauth/continue?request=")
    assert "/login" in (await follow(web, answer)).text


async def test_signing_out_needs_our_form(web):
    await consent_page(web)
    assert (await web.post("/logout", data={"next": "/"})).status_code == 403
    assert (await web.get("/login")).status_code == 303


# --- authorization --------------------------------------------------------------------------------------------


async def test_an_unknown_app_gets_a_page_and_no_redirect(web):
    answer = await web.get("/oauth/authorize", params=request(redirect_uri="https://evil.example/"))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "evil.example" not in answer.text


@pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
async def test_an_authorization_that_is_no_form_gets_a_page(web, content_type):
    answer = await web.post("/oauth/authorize", content=urlencode(request()), headers={"content-type": content_type})
    assert answer.status_code == 400


async def test_an_app_learns_of_its_mistake(web):
    answer = await web.get("/oauth/authorize", params=request(aud=None))
    assert answer.status_code == 303
    assert query_of(answer.headers["location"])["error"] == "invalid_request"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="#"), max_size=120),
    st.binary(max_size=120),
)
async def test_any_authorization_request_is_answered(web, query, body):
    path = httpx.URL(BASE + "/oauth/authorize", query=query.encode())
    assert (await web.get(path)).status_code in (303, 400)
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await web.post("/oauth/authorize", content=body, headers=form)).status_code in (303, 400)


@pytest.mark.parametrize(
    ("origin", "source"),
    [("http://127.0.0.1:3000", "http://127.0.0.1:3000"), ("http://[::1]:3000", "http:")],
)
def test_a_form_may_lead_to_an_app_on_this_machine(origin, source):
    """A policy that names an IPv6 address is one that Chromium does not understand, and so forbids the way back."""
    policy = safe_headers([origin])["Content-Security-Policy"]
    assert f"form-action 'self' {source};" in policy


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_patient_signs_in_consents_and_the_app_gets_its_token(web, method):
    asked = {"params": request()} if method == "GET" else {"data": dict(request())}
    page = await follow(web, await web.request(method, "/oauth/authorize", **asked))
    page = await follow(web, await sign_in(web, page, "ann", PASSWORD))
    assert "Allow app?" in page.text
    assert policy_of(page)["form-action"] == "'self' https://app.example"
    answer = await submit(web, page, "/oauth/consent", decision="allow")

    assert answer.status_code == 303
    assert answer.headers["location"].startswith(REDIRECT + "?")
    assert answer.headers["referrer-policy"] == "no-referrer"
    told = query_of(answer.headers["location"])
    token = await web.post("/oauth/token", data=redemption(told["code"]))
    assert token.status_code == 200
    assert token.json()["patient"] == "p1"


async def test_a_clinician_picks_a_patient_by_name(web):
    page = await consent_page(web, "bob", patient="p2")
    assert "the record of Carl Example" in page.text
    answer = await submit(web, page, "/oauth/consent", decision="allow")
    token = await web.post("/oauth/token", data=redemption(query_of(answer.headers["location"])["code"]))
    assert token.json()["patient"] == "p2"


async def test_a_patient_that_was_not_offered_cannot_be_picked(web):
    page = await consent_page(web, "bob")
    answer = await submit(web, page, "/oauth/patient", patient="p3")
    assert answer.status_code == 400


async def test_whoever_has_no_patients_is_told_so(web):
    page = await consent_page(web, "root")
    assert "no patient in your care" in page.text
    assert "/oauth/patient" not in page.text


async def test_unticked_scopes_are_not_granted(web):
    page = await consent_page(web, scope=SCOPE + " patient/Observation.cruds")
    answer = await submit(web, page, "/oauth/consent", decision="allow", scope=["patient/Observation.cruds"])
    token = await web.post("/oauth/token", data=redemption(query_of(answer.headers["location"])["code"]))
    assert token.json()["scope"] == "fhirUser launch/patient openid patient/Observation.cruds"


@pytest.mark.parametrize("decision", ["deny", "", None])
async def test_anything_but_allowing_is_a_denial(web, decision):
    page = await consent_page(web)
    answer = await submit(web, page, "/oauth/consent", decision=decision)
    assert query_of(answer.headers["location"])["error"] == "access_denied"


async def test_consent_needs_our_form(web):
    page = await consent_page(web)
    fields = form_of(page, "/oauth/consent").fields(decision="allow", csrf="0" * 64)
    assert (await web.post("/oauth/consent", data=fields)).status_code == 403
    assert (await web.post("/oauth/consent", content=b"x")).status_code == 403


async def test_consent_of_a_browser_that_signed_out_asks_to_sign_in(web):
    page = await authorization(web)
    form = form_of(page, "/login").fields()
    handle = form["next"][0].partition("request=")[2]
    answer = await web.post("/oauth/consent", data={"csrf": form["csrf"], "request": handle, "decision": "allow"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/oauth/continue?request={handle}")


async def test_consent_cannot_be_given_twice(web):
    page = await consent_page(web)
    await submit(web, page, "/oauth/consent", decision="allow")
    answer = await submit(web, page, "/oauth/consent", decision="allow")
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_an_authorization_begun_elsewhere_is_not_continued_here(web, world):
    handle = await begin(world.sign_in, request(), Caller())
    cookie, session = await world.browser()
    await next_step(world.sign_in, handle, cookie, session)
    page = await web.get("/oauth/continue", params={"request": handle})
    answer = await follow(web, await sign_in(web, page, "ann", PASSWORD))
    assert answer.status_code == 400
    assert "another browser" in answer.text


async def test_names_of_apps_and_patients_are_shown_as_text(web, world):
    world.patients.append(("p9", "<b>Eve</b>"))
    evil = NewClient("evil", "public", SCOPE, name="<script>x</script>", redirect_uris=("https://evil.example/",))
    await add_client(world.ports, evil)
    page = await consent_page(web, "bob", client_id="evil", redirect_uri="https://evil.example/")
    assert "<script>" not in page.text
    assert "&lt;b&gt;Eve&lt;/b&gt;" in page.text
