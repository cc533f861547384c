"""The attacks on OAuth and SMART that are known to have worked elsewhere, each by its name, over HTTP.

https://www.rfc-editor.org/rfc/rfc9700, https://www.rfc-editor.org/rfc/rfc8725, https://hl7.org/fhir/smart-app-launch/STU2.2/best-practices.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from fhir_facade.app import create_app
from fhir_facade.errors import BadRequest, Conflict, Unauthenticated
from fhir_facade.flows.accounts import NewAccount, add_account, change_account, disable_account
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.guesses import guess
from fhir_facade.flows.launch.invitations import invite
from fhir_facade.flows.launch.launches import MOST_WAITING
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.password_links import make_password_link
from fhir_facade.flows.sessions import sign_in_with_password
from fhir_facade.rows.accounts import Account, LoginThrottle
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import Launch
from tests.attacks.hospital import STORES
from tests.facade import PUBLIC, Facade
from tests.forms import FormReader, form_of, sign_in, submit
from tests.hapi_server import empty_hapi
from tests.ward import facade_on

pytestmark = pytest.mark.asyncio(loop_scope="module")
PASSWORD = "correct horse battery"
REDIRECT = "https://app.example/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCOPE = "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.rs"
EHR_SCOPE = "launch openid fhirUser patient/Observation.rs user/Observation.rs"
TOKEN = f"{PUBLIC}/oauth/token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
BACKEND_KEY = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS384"})
ATTACKER_KEY = RSAKey.generate_key(2048, {"kid": "k1"})


@dataclass
class Town:
    """A public app, a backend and their people: `anna` is a patient, `doctor` cares for her and not for bert."""

    facade: Facade

    def browser(self) -> httpx.AsyncClient:
        client = self.facade.anonymous
        client.headers["Accept"] = "text/html"
        return client

    async def tokens(self) -> dict[str, Any]:
        async with self.browser() as browser:
            code = await code_of(browser)
            answer = await browser.post("/oauth/token", data=redemption(code))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES)
async def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    if request.param != "embedded":
        empty_hapi(request.getfixturevalue("hapi_url"))
    async with facade_on(request.param, request, tmp_path_factory.mktemp("town")) as facade:
        ports = facade.ports
        service = await facade.client()
        care = [{"reference": "Practitioner/doctor"}]
        for resource in (
            {"resourceType": "Practitioner", "id": "doctor"},
            {"resourceType": "Patient", "id": "anna", "generalPractitioner": care},
            {"resourceType": "Patient", "id": "carla", "generalPractitioner": care},
            {"resourceType": "Patient", "id": "bert"},
        ):
            answer = await service.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
            assert answer.status_code == 201, answer.text
        for name in ("anna", "bert"):
            await add_account(ports, NewAccount(name, "patient", PASSWORD, patient_id=name))
        for name in ("doctor", "locum"):
            await add_account(ports, NewAccount(name, "practitioner", PASSWORD, practitioner_id="doctor"))
        await add_client(ports, NewClient("app", "public", SCOPE, redirect_uris=(REDIRECT,)))
        await add_client(ports, NewClient("ehr-app", "public", EHR_SCOPE, redirect_uris=(REDIRECT,)))
        keys = json.dumps(KeySet([BACKEND_KEY]).as_dict(private=False))
        await add_client(ports, NewClient("backend", "backend", "system/*.rs", jwks=keys))
        yield Town(facade)


def asked(**changes: str | None) -> dict[str, str]:
    parameters: dict[str, str | None] = {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": REDIRECT,
        "scope": SCOPE,
        "state": "a-state-of-the-app",
        "aud": f"{PUBLIC}/fhir",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (parameters | changes).items() if value is not None}


def redemption(code: str, **changes: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "client_id": "app",
        "code_verifier": VERIFIER,
    } | changes


async def walk(browser: httpx.AsyncClient, answer: httpx.Response, username: str = "anna") -> httpx.Response:
    """Follow our own redirects and sign in, up to the first page that wants a decision."""
    for _ in range(10):
        if answer.status_code == 303 and answer.headers["location"].startswith(("/", PUBLIC)):
            answer = await browser.get(answer.headers["location"])
        elif any(form.action == "/login" for form in FormReader(answer.text).forms):  # type: ignore[no-untyped-call]
            answer = await sign_in(browser, answer, username, PASSWORD)  # type: ignore[no-untyped-call]
        else:
            return answer
    raise AssertionError("no end of pages")


async def consent(browser: httpx.AsyncClient, **changes: str | None) -> httpx.Response:
    """The consent page."""
    return await walk(browser, await browser.get("/oauth/authorize", params=asked(**changes)))


async def code_of(browser: httpx.AsyncClient, **changes: str | None) -> str:
    page = await consent(browser, **changes)
    answer = await submit(browser, page, "/oauth/consent", decision="allow")  # type: ignore[no-untyped-call]
    return query_of(answer)["code"]


def query_of(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 303, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


# --- the authorization request --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        f"{REDIRECT}/..",
        f"{REDIRECT}/../evil",
        f"{REDIRECT}.evil.example",
        f"{REDIRECT}?next=https://evil.example",
        f"{REDIRECT}#fragment",
        "https://app.example.evil.example/callback",
        "https://app.example@evil.example/callback",
        "https://APP.example/callback",
        "https://app.example/%63allback",
        "https://app.example:443/callback",
        "http://app.example/callback",
        "https://evil.example/callback",
        "javascript:alert(1)",
    ],
)
async def test_redirect_uri_prefix_wildcard_and_traversal(town: Town, uri: str) -> None:
    async with town.browser() as browser:
        answer = await browser.get("/oauth/authorize", params=asked(redirect_uri=uri))

    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_code_and_state_leak_by_referer_and_307_on_credentials(town: Town) -> None:
    async with town.browser() as browser:
        page = await consent(browser)
        answer = await submit(browser, page, "/oauth/consent", decision="allow")  # type: ignore[no-untyped-call]

    assert answer.status_code == 303
    assert page.headers["Referrer-Policy"] == answer.headers.get("Referrer-Policy", "no-referrer") == "no-referrer"
    assert "https://" not in page.text.replace(PUBLIC, "").replace("https://app.example", "")


async def test_mix_up_of_authorization_servers(town: Town) -> None:
    async with town.browser() as browser:
        page = await consent(browser)
        answer = await submit(browser, page, "/oauth/consent", decision="allow")  # type: ignore[no-untyped-call]
        known = (await browser.get("/.well-known/openid-configuration")).json()

    assert query_of(answer)["iss"] == known["issuer"]


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain", "code_challenge": VERIFIER},
        {"code_challenge_method": None},
        {"code_challenge": None},
    ],
    ids=["no challenge", "plain", "no method", "method alone"],
)
async def test_code_injection_by_a_pkce_downgrade(town: Town, changes: dict[str, str | None]) -> None:
    async with town.browser() as browser:
        answer = await browser.get("/oauth/authorize", params=asked(**changes))

    assert query_of(answer)["error"] == "invalid_request"


async def test_code_injection_with_another_verifier_and_code_replay(town: Town) -> None:
    async with town.browser() as browser:
        first, second = await code_of(browser), await code_of(browser)
        injected = await browser.post("/oauth/token", data=redemption(first, code_verifier="w" * 43))
        given = await browser.post("/oauth/token", data=redemption(second))
        again = await browser.post("/oauth/token", data=redemption(second))
        held = {"Authorization": f"Bearer {given.json()['access_token']}", "Accept": "application/fhir+json"}
        used = await browser.get("/fhir/Patient/anna", headers=held)

    assert (injected.status_code, injected.json()["error"]) == (400, "invalid_grant")
    assert (given.status_code, again.status_code) == (200, 400)
    assert used.status_code == 401


@pytest.mark.parametrize(
    "aud", [None, "https://evil.example/fhir", f"{PUBLIC}/fhir.evil", f"{PUBLIC}/", f"{PUBLIC}/fhir/../evil", ""]
)
async def test_counterfeit_resource_server_and_missing_aud(town: Town, aud: str | None) -> None:
    async with town.browser() as browser:
        answer = await browser.get("/oauth/authorize", params=asked(aud=aud))

    assert query_of(answer)["error"] == "invalid_request"


async def test_response_types_that_hand_out_tokens_in_the_address(town: Town) -> None:
    async with town.browser() as browser:
        for wanted in ("token", "id_token", "code token", "id_token token"):
            answer = await browser.get("/oauth/authorize", params=asked(response_type=wanted))

            assert answer.status_code == 400 or query_of(answer)["error"] == "unsupported_response_type"


# --- the pages ------------------------------------------------------------------------------------------------


async def test_consent_csrf_and_login_csrf(town: Town) -> None:
    async with town.browser() as victim, town.browser() as attacker:
        page = await consent(victim)
        form = form_of(page, "/oauth/consent")  # type: ignore[no-untyped-call]
        foreign = form_of(await consent(attacker), "/oauth/consent")  # type: ignore[no-untyped-call]
        tokens = {name: values for name, values in foreign.fields().items() if name == "csrf"}
        answers = [
            await victim.post("/oauth/consent", data=form.fields(decision="allow", csrf=None)),
            await victim.post("/oauth/consent", data=form.fields(decision="allow", csrf="x" * 43)),
            await victim.post("/oauth/consent", data=form.fields(decision="allow") | tokens),
            await victim.post("/login", data={"username": "bert", "password": PASSWORD}),
        ]

    assert {answer.status_code for answer in answers} <= {400, 403}
    assert not any("location" in answer.headers for answer in answers)


async def test_an_authorization_that_another_browser_goes_on_with(town: Town) -> None:
    async with town.browser() as victim, town.browser() as attacker:
        begun = await victim.get("/oauth/authorize", params=asked())
        page = await walk(victim, begun)
        form = form_of(page, "/oauth/consent")  # type: ignore[no-untyped-call]
        other = await walk(attacker, await attacker.get("/login"), "bert")
        answer = await attacker.post("/oauth/consent", data=form.fields(decision="allow"))

    assert other.status_code < 400
    assert answer.status_code in {400, 403}


async def test_consent_clickjacking(town: Town) -> None:
    async with town.browser() as browser:
        for page in (await browser.get("/login"), await consent(browser)):
            assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
            assert "script-src" not in page.headers["Content-Security-Policy"] or (
                "unsafe" not in page.headers["Content-Security-Policy"]
            )


@pytest.mark.parametrize(
    "path", ["/login", "/health", "/static/facade.css", "/api/v1/me", "/fhir/metadata", "/nowhere"]
)
async def test_stripping_of_tls_and_sniffing_of_contents(town: Town, path: str) -> None:
    """A browser that was here by https once was led to http, and took an answer for a script."""
    ports, base = town.facade.ports, "https://health.example.org"
    deployment = replace(ports.deployment, fhir_url=f"{base}/fhir")
    settings = town.facade.settings.model_copy(update={"public_url": base})
    app = create_app(settings, replace(ports, deployment=deployment))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base) as client:
        answer = await client.get(path)
    await app.close()
    async with town.browser() as plain:
        local = await plain.get(path)

    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert answer.headers["x-content-type-options"] == local.headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" not in local.headers


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "/%09/evil.example",
     "javascript:alert(1)", "https:evil.example"],
)  # fmt: skip
async def test_open_redirector(town: Town, target: str) -> None:
    async with town.browser() as browser:
        page = await browser.get("/login", params={"next": target})
        answer = await sign_in(browser, page, "anna", PASSWORD)  # type: ignore[no-untyped-call]
        language = await browser.get("/language", params={"to": "de", "next": target})

    for each in (answer, language):
        location = each.headers["location"]
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
        assert "\t" not in location


async def test_spoofed_proxy_headers(town: Town) -> None:
    spoofed = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "203.0.113.9",
        "Forwarded": "host=evil.example",
        "Host": "evil.example",
    }
    async with town.browser() as browser:
        answers = [
            await browser.get(path, headers=spoofed)
            for path in ("/.well-known/openid-configuration", "/fhir/.well-known/smart-configuration", "/login")
        ]
        await browser.get("/fhir/Patient/anna", headers=spoofed)

    assert not any("evil.example" in answer.text + str(answer.headers) for answer in answers)
    lines = await town.facade.ports.state.read(lambda tx: tx.find(AuditLine, ("address", "=", "203.0.113.9")))
    assert lines == []


async def test_a_patient_that_was_never_offered_in_the_picker(town: Town) -> None:
    async with town.browser() as browser:
        page = await walk(browser, await browser.get("/oauth/authorize", params=asked()), "doctor")
        form = form_of(page, "/oauth/patient")  # type: ignore[no-untyped-call]
        assert "bert" not in page.text
        answer = await browser.post("/oauth/patient", data=form.fields(patient="bert"))
        followed = await walk(browser, answer, "doctor")

    assert "/oauth/consent" not in {form.action for form in FormReader(followed.text).forms}  # type: ignore[no-untyped-call]


# --- launches -------------------------------------------------------------------------------------------------


async def launch_for(town: Town, client_id: str, patient: str, username: str = "doctor") -> str:
    issuer = await town.facade.client("user/*.rs", username=username)
    answer = await issuer.post("/api/v1/launches", json={"client_id": client_id, "patient": patient})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["launch"])


def error_of(answer: httpx.Response) -> str:
    """The error that an app is told, or the problem page's status."""
    return query_of(answer)["error"] if answer.status_code == 303 else str(answer.status_code)


async def test_launch_replay(town: Town) -> None:
    """A launch that stood in a log or a history was taken a second time, with its patient."""
    ehr = {"client_id": "ehr-app", "scope": EHR_SCOPE}
    launch = await launch_for(town, "ehr-app", "anna")
    async with town.browser() as doctor, town.browser() as again:
        code = await code_of_doctor(doctor, launch=launch, **ehr)
        answer = await again.get("/oauth/authorize", params=asked(launch=launch, **ehr))
    async with town.facade.anonymous as app:
        tokens = await app.post("/oauth/token", data=redemption(code, client_id="ehr-app"))

    assert tokens.json()["patient"] == "anna"
    assert error_of(answer) == "invalid_request"


async def test_launch_taken_twice_at_the_same_moment(town: Town) -> None:
    """Both requests were begun before either was taken: the second browser still gets nothing."""
    ehr = {"client_id": "ehr-app", "scope": EHR_SCOPE}
    launch = await launch_for(town, "ehr-app", "anna")
    async with town.browser() as first, town.browser() as second:
        begun = [await each.get("/oauth/authorize", params=asked(launch=launch, **ehr)) for each in (first, second)]
        pages = [await walk(each, answer, "doctor") for each, answer in zip((first, second), begun, strict=True)]

    assert [page.status_code for page in pages] == [200, 400]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "app", "scope": SCOPE}, "invalid_request"),
        (
            {"client_id": "ehr-app", "scope": EHR_SCOPE, "launch": "ffl_made-up-and-long-enough-to-be-one"},
            "invalid_request",
        ),
    ],
    ids=["of another app", "made up"],
)
async def test_launch_theft(town: Town, changes: dict[str, str], error: str) -> None:
    stolen = {"launch": await launch_for(town, "ehr-app", "anna")} | changes
    async with town.browser() as browser:
        answer = await browser.get("/oauth/authorize", params=asked(**stolen))

    assert error_of(answer) == error


async def test_launch_of_somebody_else(town: Town) -> None:
    """The user at the authorization page must be the one who launched: a lured patient consented to a doctor's launch."""
    launch = await launch_for(town, "ehr-app", "anna")
    async with town.browser() as browser:
        begun = await browser.get("/oauth/authorize", params=asked(client_id="ehr-app", scope=EHR_SCOPE, launch=launch))
        page = await walk(browser, begun, "bert")

    assert page.status_code == 400
    assert "/oauth/consent" not in {form.action for form in FormReader(page.text).forms}  # type: ignore[no-untyped-call]


async def test_launch_with_a_patient_of_somebody_else(town: Town) -> None:
    issuer = await town.facade.client("user/*.rs", username="doctor")

    answers = [
        await issuer.post("/api/v1/launches", json={"client_id": "ehr-app", "patient": patient})
        for patient in ("bert", "nobody-at-all")
    ]

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_launches_as_a_list_of_the_apps_and_services_that_are_registered(town: Town) -> None:
    """Whether an id is a service's, an app's that takes no launches, or nobody's."""
    issuer = await town.facade.client("user/*.rs", username="doctor")
    others = ("backend", "app", "nobody-at-all")

    answers = [await issuer.post("/api/v1/launches", json={"client_id": other}) for other in others]

    told = {answer.text.replace(f"app {other} to", "app … to").replace(answer.headers["x-request-id"], "…")
            for answer, other in zip(answers, others, strict=True)}  # fmt: skip
    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert len(told) == 1


async def test_launches_without_end(town: Town) -> None:
    """Whoever may launch filled a table that is only swept later."""
    for _ in range(MOST_WAITING + 2):
        last = await launch_for(town, "ehr-app", "anna", "locum")

    waiting = await town.facade.ports.state.read(lambda tx: tx.find(Launch, ("used_by", "=", None)))
    (account,) = await town.facade.ports.state.read(lambda tx: tx.find(Account, ("username", "=", "locum")))
    mine = [launch for launch in waiting if launch.account_id == account.id]
    assert len(mine) == MOST_WAITING
    assert digest(last) in {launch.hash for launch in mine}


async def code_of_doctor(browser: httpx.AsyncClient, **changes: str) -> str:
    page = await walk(browser, await browser.get("/oauth/authorize", params=asked(**changes)), "doctor")
    answer = await submit(browser, page, "/oauth/consent", decision="allow")  # type: ignore[no-untyped-call]
    return query_of(answer)["code"]


# --- tokens ---------------------------------------------------------------------------------------------------


async def test_client_id_equal_to_a_subject(town: Town) -> None:
    """A client whose id is that of a person is taken for the person by whoever reads only `sub`."""
    (bert,) = await town.facade.ports.state.read(lambda tx: tx.find(Account, ("username", "=", "bert")))

    with pytest.raises(Conflict):
        await add_client(town.facade.ports, NewClient(bert.id, "public", SCOPE, redirect_uris=(REDIRECT,)))


async def test_refresh_theft(town: Town) -> None:
    tokens = await town.tokens()
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "app"}
    async with town.facade.anonymous as client:
        rotated = await client.post("/oauth/token", data=refresh)
        stolen = await client.post("/oauth/token", data=refresh)
        after = await client.post("/oauth/token", data=refresh | {"refresh_token": rotated.json()["refresh_token"]})

    assert (rotated.status_code, stolen.status_code, after.status_code) == (200, 400, 400)


@pytest.mark.parametrize(
    "scope",
    ["patient/*.rs", "patient/Observation.cruds", "user/*.rs", "system/*.rs", "patient/Condition.r", "patient/*.*"],
)
async def test_scope_escalation_on_refresh(town: Town, scope: str) -> None:
    tokens = await town.tokens()
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": scope}
    async with town.facade.anonymous as client:
        answer = await client.post("/oauth/token", data=refresh)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def assertion(key: Any = BACKEND_KEY, alg: str = "RS384", header: dict[str, Any] | None = None, **claims: Any) -> str:
    body = {"iss": "backend", "sub": "backend", "aud": TOKEN, "exp": int(time.time()) + 60, "jti": str(time.time_ns())}
    return jwt.encode({"alg": alg, "kid": "k1", **(header or {})}, body | claims, key, algorithms=[alg])


def by_hand(alg: str, sign: Callable[[bytes], bytes]) -> str:
    """An assertion that no library would make."""
    body = {"iss": "backend", "sub": "backend", "aud": TOKEN, "exp": int(time.time()) + 60, "jti": str(time.time_ns())}
    signed = b".".join(_part(json.dumps(part).encode()) for part in ({"alg": alg, "kid": "k1"}, body))
    return b".".join([signed, _part(sign(signed))]).decode()


def _part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _with_public_key(signed: bytes) -> bytes:
    return hmac.digest(BACKEND_KEY.as_pem(private=False), signed, "sha384")


ELSEWHERE = "https://evil.example/jwks.json"
FORGERIES = {
    "none": lambda: by_hand("none", lambda _: b""),
    "public key as secret": lambda: by_hand("HS384", _with_public_key),
    "another kind of key": lambda: assertion(ECKey.generate_key("P-384"), "ES384"),
    "weaker algorithm": lambda: assertion(RSAKey.import_key(BACKEND_KEY.as_pem(private=True)), "RS256"),
    "key in the header": lambda: assertion(ATTACKER_KEY, header={"jwk": ATTACKER_KEY.as_dict(private=False)}),
    "address of keys in the header": lambda: assertion(ATTACKER_KEY, header={"jku": ELSEWHERE}),
    "certificates in the header": lambda: assertion(ATTACKER_KEY, header={"x5u": ELSEWHERE, "x5c": ["AAAA"]}),
    "kid that climbs": lambda: assertion(ATTACKER_KEY, header={"kid": "../../../../dev/null"}),
    "kid that is SQL": lambda: assertion(ATTACKER_KEY, header={"kid": "x' OR '1'='1"}),
    "another audience": lambda: assertion(aud="https://evil.example/token"),
    "another subject": lambda: assertion(sub="app"),
    "good for an hour": lambda: assertion(exp=int(time.time()) + 3600),
    "over": lambda: assertion(exp=int(time.time()) - 300),
    "without end": lambda: assertion(exp=None),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_jwt_confusion_of_algorithms_keys_and_headers(town: Town, name: str) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": ASSERTION_TYPE}
    async with town.facade.anonymous as client:
        forged = await client.post("/oauth/token", data=form | {"client_assertion": FORGERIES[name]()})
        honest = await client.post("/oauth/token", data=form | {"client_assertion": assertion()})

    assert forged.status_code in {400, 401}, forged.text
    assert honest.status_code == 200, honest.text


async def test_assertion_replay(town: Town) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": ASSERTION_TYPE}
    text = assertion()
    async with town.facade.anonymous as client:
        answers = [await client.post("/oauth/token", data=form | {"client_assertion": text}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 400]


@pytest.mark.parametrize(
    "new",
    [
        NewClient("x", "public", "system/*.rs", redirect_uris=(REDIRECT,)),
        NewClient("x", "public", "user/*.rs", redirect_uris=("javascript:alert(1)",)),
        NewClient("x", "public", "user/*.rs", redirect_uris=("data:text/html,x",)),
        NewClient("x", "public", "user/*.rs", redirect_uris=("http://app.example/callback",)),
        NewClient("x", "backend", "system/*.rs", jwks_uri="http://169.254.169.254/latest/meta-data"),
        NewClient("x", "backend", "system/*.rs", jwks_uri="file:///etc/passwd"),
        NewClient("x", "backend", "system/*.rs", jwks_uri="https://user@evil.example/"),
        NewClient("x", "backend", "system/*.rs", jwks='{"keys":[{"kty":"oct","k":"AAAA"}]}'),
    ],
    ids=["system scopes", "script", "data", "plain http", "metadata of a cloud", "file", "user info", "shared secret"],
)
async def test_ssrf_and_script_by_registration(town: Town, new: NewClient) -> None:
    with pytest.raises(BadRequest):
        await add_client(town.facade.ports, new)


async def test_registration_by_anybody(town: Town) -> None:
    async with town.facade.anonymous as client:
        answer = await client.post("/oauth/register", json={"redirect_uris": [REDIRECT], "client_name": "x"})

    assert answer.status_code in {401, 403, 404, 405}


async def test_introspection_as_a_scanner_for_tokens(town: Town) -> None:
    tokens = await town.tokens()
    async with town.facade.anonymous as client:
        nobody = await client.post("/oauth/introspect", data={"token": tokens["access_token"]})
        held = {"Authorization": f"Bearer {tokens['access_token']}"}
        unknown = await client.post("/oauth/introspect", data={"token": "ffa_" + "x" * 43}, headers=held)

    assert nobody.status_code in {400, 401}
    assert "anna" not in nobody.text
    assert unknown.json() == {"active": False}


async def test_token_in_the_address_and_in_the_logs(town: Town) -> None:
    tokens = await town.tokens()
    async with town.facade.anonymous as client:
        answer = await client.get("/fhir/Patient/anna", params={"access_token": tokens["access_token"]})

    assert answer.status_code == 400
    written = msgspec.json.encode(await town.facade.ports.state.read(lambda tx: tx.find(AuditLine)))
    for secret in (tokens["access_token"], tokens["refresh_token"], PASSWORD):
        assert secret.encode() not in written


async def test_brute_force_of_logins(town: Town) -> None:
    await add_account(town.facade.ports, NewAccount("guessed", "patient", PASSWORD, patient_id="guessed"))
    async with town.browser() as browser:
        answers = []
        for word in [f"wrong guess {number}" for number in range(8)] + [PASSWORD]:
            page = await browser.get("/login")
            answers.append(await sign_in(browser, page, "guessed", word))  # type: ignore[no-untyped-call]

    assert not any(answer.status_code == 303 for answer in answers)
    assert answers[-1].status_code == 429


async def test_brute_force_from_all_addresses_of_one_subscriber(town: Town) -> None:
    """Whoever has an IPv6 address has 2^64 of them: each guess came from another one."""
    ports, guesses = town.facade.ports, [Caller(f"2001:db8:1:2::{number:x}") for number in range(1, 4)]
    for number, caller in enumerate(guesses):
        with pytest.raises(Unauthenticated):
            await sign_in_with_password(
                ports, username=f"guess-{number}", password="wrong password", old_cookie=None, caller=caller
            )

    rows = await ports.state.read(lambda tx: tx.find(LoginThrottle))
    counted = [row.failures for row in rows if row.subject.startswith("address:2001:db8:1:2:")]
    secrets = {guess({"client_id": "app", "client_secret": "x"}, None, caller) for caller in guesses}
    assert counted == [3]
    assert len(secrets) == 1


async def test_tokens_taken_for_one_another(town: Town) -> None:
    """What proves one thing was taken as proof of another: an id_token as an access token, a cookie as a bearer."""
    tokens = await town.tokens()
    async with town.browser() as browser:
        code = await code_of(browser)
        cookie = browser.cookies["fhir_facade"]
    launch = await launch_for(town, "ehr-app", "anna")
    invitation = await invite(town.facade.ports, name="an app", scope=SCOPE, uses=1, days=1, actor="operator")
    link = await make_password_link(town.facade.ports, (await account_named(town, "bert")).id)
    secrets = (tokens["id_token"], tokens["refresh_token"], code, cookie, launch, invitation, link)

    async with town.facade.anonymous as client:
        answers = [
            await client.get(path, headers={"Authorization": f"Bearer {secret}"})
            for secret in secrets
            for path in ("/fhir/Patient/anna", "/api/v1/me", "/oauth/userinfo")
        ]
        refreshed = [
            await client.post(
                "/oauth/token", data={"grant_type": "refresh_token", "refresh_token": secret, "client_id": "app"}
            )
            for secret in (tokens["access_token"], code, launch)
        ]

    assert {answer.status_code for answer in answers} == {401}
    assert {answer.status_code for answer in refreshed} == {400}


async def account_named(town: Town, username: str) -> Account:
    (account,) = await town.facade.ports.state.read(lambda tx: tx.find(Account, ("username", "=", username)))
    return account


async def test_a_disabled_account_with_live_tokens(town: Town) -> None:
    """Who was shut out stayed in with what they had, or came back with it when the account was opened again."""
    ports = town.facade.ports
    await add_account(ports, NewAccount("leaver", "patient", PASSWORD, patient_id="anna"))
    refresh = {"grant_type": "refresh_token", "client_id": "app"}
    async with town.browser() as browser, town.facade.anonymous as app:
        page = await walk(browser, await browser.get("/oauth/authorize", params=asked()), "leaver")
        redirected = await submit(browser, page, "/oauth/consent", decision="allow")  # type: ignore[no-untyped-call]
        tokens = (await app.post("/oauth/token", data=redemption(query_of(redirected)["code"]))).json()
        account = await disable_account(ports, "leaver")
        shut_out = await app.post("/oauth/token", data=refresh | {"refresh_token": tokens["refresh_token"]})
        page_of_nobody = await browser.get("/apps")
        await change_account(ports, account.id, disabled=False, actor="operator")
        back = [
            await app.post("/oauth/token", data=refresh | {"refresh_token": tokens["refresh_token"]}),
            await app.get("/oauth/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}),
            await browser.get("/apps"),
        ]

    assert (shut_out.status_code, page_of_nobody.status_code) == (400, 303)
    assert [answer.status_code for answer in back] == [400, 401, 303]


SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


async def test_script_in_names_and_reasons_on_our_pages(town: Town) -> None:
    ports, service = town.facade.ports, await town.facade.client()
    named = {"resourceType": "Patient", "id": "victor", "name": [{"text": SCRIPT, "family": SCRIPT}]}
    await service.put(
        "/fhir/Patient/victor", json=named | {"generalPractitioner": [{"reference": "Practitioner/doctor"}]}
    )
    await add_account(ports, NewAccount("<b>victor</b>", "patient", PASSWORD, patient_id="victor"))
    await add_account(ports, NewAccount("chief", "admin", PASSWORD))
    await add_client(ports, NewClient("evil", "public", EHR_SCOPE, SCRIPT, (REDIRECT,), launch_uri=REDIRECT))
    doctor = await town.facade.client("user/*.rs", username="doctor")
    await doctor.post("/api/v1/patients/victor/emergency-access", json={"reason": SCRIPT})
    pages = {
        "doctor": ("/", "/patients/victor", "/apps"),
        "<b>victor</b>": ("/", "/access-log", "/apps", "/sign-ins"),
        "chief": ("/", "/admin/apps", "/admin/accounts"),
    }

    shown = []
    for username, paths in pages.items():
        async with town.browser() as browser:
            await walk(browser, await browser.get("/login"), username)
            shown += [await browser.get(path) for path in paths]

    assert {answer.status_code for answer in shown} == {200}
    assert "&lt;script&gt;" in "".join(answer.text for answer in shown)
    assert not any(text in answer.text for answer in shown for text in ("<script>alert", "<img src=x", "<b>victor"))
    assert all("'unsafe" not in answer.headers["content-security-policy"] for answer in shown)
