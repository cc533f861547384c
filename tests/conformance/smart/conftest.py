"""A running server with people and apps, as a conformance kit finds it; the kit is this folder.

The numbers in test names follow the groups of the public test kit for SMART App Launch: discovery (D), standalone
launch (S), EHR launch (E), OpenID Connect (O), refresh (R), introspection (I), backend services (B), negatives (N),
granular scopes (G).
"""

import asyncio
import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.launch.clients import NewClient, add_client
from tests.deployments import HAPI
from tests.facade import Served, embedded_facade, facade_env, served
from tests.forms import follow, sign_in, submit
from tests.hapi_server import times_emptied
from tests.patience import PATIENCE_S
from tests.sign_in_world import query_of

HERE = Path(__file__).parent
PASSWORD = "correct horse battery"
REDIRECT = "https://kit.example/redirect"
ORIGIN = "https://kit.example"
SECRET = "a-secret-of-the-kit-0123456789"
SCOPES = "launch/patient openid fhirUser offline_access patient/*.rs"
ALLOWED = SCOPES + " launch online_access profile user/*.rs"
LAUNCH = "https://kit.example/launch"
GOODBYE = "https://kit.example/goodbye"
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "alg": "RS384", "use": "sig"})
EC = ECKey.generate_key("P-384", {"kid": "ec", "alg": "ES384", "use": "sig"})
KEYS = {"RS384": RSA, "ES384": EC}
CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
RECORDS = json.loads((HERE / "records.json").read_text())
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Kit:
    """The test kit's side: what it knows of the server, and the apps it plays."""

    server: Served
    smart: dict = field(default_factory=dict)
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)
    admission: str = ""
    filled: int = -1
    """How often HAPI had been emptied when the records were put there."""

    @property
    def fhir(self):
        return f"{self.server.url}/fhir"

    def client(self):
        """Without the certificates of the authorities, which take long to read."""
        return httpx.AsyncClient(base_url=self.server.url, timeout=PATIENCE_S, verify=False)

    async def launch(
        self,
        *,
        method="GET",
        username="ann",
        patient=None,
        scope=SCOPES,
        ticked=None,
        only=(),
        client_id="public",
        **changes,
    ):
        """A standalone launch through sign-in, picker and consent; what came back, and the verifier of the app."""
        verifier = secrets.token_urlsafe(48)
        asked = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": REDIRECT,
            "scope": scope,
            "state": secrets.token_urlsafe(16),
            "aud": self.fhir,
            "nonce": secrets.token_urlsafe(16),
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        } | changes
        carried = {"params": asked} if method == "GET" else {"data": asked}
        async with self.client() as browser:
            answer = await browser.request(method, self.smart["authorization_endpoint"], **carried)
            answer = await through_pages(browser, answer, username, patient, ticked, only)
        self.cookies = browser.cookies
        return Launched(verifier, asked, query_of(answer.headers["location"]))

    async def launch_with_cookies(self, **launch):
        """The same, and the cookies of the browser it happened in."""
        launched = await self.launch(**launch)
        return launched, self.cookies

    async def token(self, form, *, way="public", **headers):
        """A token request of the public, symmetric (`basic`) or asymmetric (`RS384`, `ES384`) app."""
        form, sent = dict(form), dict(headers)
        if way == "public":
            form.setdefault("client_id", "public")
        elif way == "basic":
            sent["authorization"] = "Basic " + base64.b64encode(f"symmetric:{SECRET}".encode()).decode()
        else:
            form |= self.assertion("asymmetric", way)
        async with self.client() as app:
            return await app.post(self.smart["token_endpoint"], data=form, headers=sent)

    def assertion(self, client_id, algorithm, *, key=None, **changes):
        now = int(datetime.now(UTC).timestamp())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": self.smart["token_endpoint"],
            "exp": now + 300,
            "jti": secrets.token_hex(16),
        } | changes
        key = key or KEYS[algorithm]
        text = jwt.encode({"alg": algorithm, "kid": key.kid, "typ": "JWT"}, claims, key, [algorithm])
        return {"client_assertion_type": JWT_BEARER, "client_assertion": text}

    async def redeem(self, launched, *, way="public", headers=None, **changes):
        form = {
            "grant_type": "authorization_code",
            "code": launched.answer.get("code", ""),
            "redirect_uri": REDIRECT,
            "code_verifier": launched.verifier,
        } | changes
        return await self.token({k: v for k, v in form.items() if v is not None}, way=way, **(headers or {}))

    async def refused(self, path, token):
        """Whether the token opens nothing any more, within the seconds that a process may believe in it."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if (await self.read(path, token)).status_code == 401:
                return True
        return False

    async def ehr_launch(self, **changes):
        """A launch token as a service of the EHR gets it, for bob and the patient ann; the answer."""
        form = {"grant_type": "client_credentials", "scope": "system/*.rs"} | self.assertion("backend", "RS384")
        body = {"client_id": "public", "user": "bob", "patient": "kit-ann"} | changes
        async with self.client() as ehr:
            token = (await ehr.post(self.smart["token_endpoint"], data=form)).json()["access_token"]
            return await ehr.post("/api/v1/launches", json=body, headers={"authorization": f"Bearer {token}"})

    async def read(self, path, token=None, **headers):
        sent = headers | ({"authorization": f"Bearer {token}"} if token else {})
        async with self.client() as app:
            return await app.get(f"{self.fhir}/{path}", headers=sent)


@dataclass
class Launched:
    """`asked` and `answer` are the parameters of the authorization request and of the redirect."""

    verifier: str
    asked: dict
    answer: dict


def challenge_of(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


async def through_pages(browser, answer, username, patient, ticked, only):
    """Sign in, pick, consent; the redirect to the app, whenever it comes."""
    if not answer.headers.get("location", "").startswith("/"):
        return answer
    page = await follow(browser, await sign_in(browser, await follow(browser, answer), username, PASSWORD))
    if patient is not None:
        page = await follow(browser, await submit(browser, page, "/oauth/patient", patient=patient))
    choice = {} if ticked is None else {"scope": ticked}
    return await submit(browser, page, "/oauth/consent", decision="allow", only=list(only), **choice)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """All on one worker, on each store: they share one server."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("hapi") is None:
            item.add_marker(pytest.mark.xdist_group("smart"))


def pytest_generate_tests(metafunc):
    """Every test of the kit is asked of both stores."""
    if "kit" in metafunc.fixturenames:
        metafunc.parametrize("kit", ["embedded", HAPI], indirect=True, scope="session")


@pytest.fixture(scope="session")
def kit(request, tmp_path_factory):
    """The server runs once on each store for all conformance tests; every test launches anew."""
    folder = tmp_path_factory.mktemp("smart")
    hapi = {} if request.param == "embedded" else {"STORE": "hapi", "HAPI_URL": request.getfixturevalue("hapi_url")}
    asyncio.run(add_people_and_apps(folder, {name.lower(): value for name, value in hapi.items()}))
    with served(facade_env(folder, **hapi), folder / "log.txt") as server:
        smart = httpx.get(f"{server.url}/fhir/.well-known/smart-configuration", timeout=PATIENCE_S).json()
        kit = Kit(server, smart, admission=server.token("system/*.cruds", "--minutes", "60"))
        add_records(kit)
        yield kit


@pytest.fixture(autouse=True)
def records(request):
    """Tests of others empty the HAPI that all share."""
    if request.node.get_closest_marker("hapi") is None:
        return
    kit = request.getfixturevalue("kit")
    if kit.filled != times_emptied():
        kit.filled = times_emptied()
        add_records(kit)


async def add_people_and_apps(folder, store):
    """What `fhir-facade user add` and `client add` do, without starting a process for each."""
    jwks = json.dumps({"keys": [key.as_dict(private=False) for key in KEYS.values()]})
    apps = [
        NewClient("public", "public", ALLOWED, redirect_uris=(REDIRECT,), launch_uri=LAUNCH, logout_uris=(GOODBYE,)),
        NewClient("symmetric", "confidential", ALLOWED, redirect_uris=(REDIRECT,), secret=SECRET),
        NewClient("asymmetric", "confidential", ALLOWED, redirect_uris=(REDIRECT,), jwks=jwks),
        NewClient("backend", "backend", "system/*.rs", jwks=jwks),
        NewClient("wide", "public", ALLOWED + " patient/*.cruds user/*.cruds", redirect_uris=(REDIRECT,)),
        NewClient("wide-backend", "backend", "system/*.cruds", jwks=jwks),
    ]
    async with embedded_facade(folder, **store) as facade:
        for name in ("ann", "carl", "dora"):
            await add_account(facade.ports, NewAccount(name, "patient", PASSWORD, patient_id=f"kit-{name}"))
        await add_account(facade.ports, NewAccount("mia", "proxy", PASSWORD, related_person_id="kit-mia"))
        await add_account(facade.ports, NewAccount("root", "admin", PASSWORD))
        await add_account(facade.ports, NewAccount("bob", "practitioner", PASSWORD, practitioner_id="kit-bob"))
        for app in apps:
            await add_client(facade.ports, app)


def add_records(kit):
    with httpx.Client(
        base_url=kit.fhir, headers={"authorization": f"Bearer {kit.admission}"}, timeout=PATIENCE_S, verify=False
    ) as client:
        for record in RECORDS:
            client.put(f"/{record['resourceType']}/{record['id']}", json=record).raise_for_status()
