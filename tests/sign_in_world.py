"""An authorization server on a real state store, with a clock that tests move."""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from fhir_facade.adapters.intents import IntentUnit
from fhir_facade.adapters.keys import open_key_file
from fhir_facade.adapters.locks import FileLocks
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.adapters.state.tables import facade_tables
from fhir_facade.adapters.system_clock import RandomIds
from fhir_facade.adapters.vault import KeyFileVault
from fhir_facade.errors import UpstreamError
from fhir_facade.flows.accounts import NewAccount
from fhir_facade.flows.launch.authorize import begin, choose_patient, decide, next_step
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.endpoints import token_endpoint
from fhir_facade.flows.launch.issuer import Issuer
from fhir_facade.flows.launch.sign_in import Caller, SignIn
from fhir_facade.flows.sessions import load_session, sign_in_with_password
from fhir_facade.ports import Ports
from tests.accounts import with_account
from tests.facade import unused_file

BASE = "https://facade.example"
REDIRECT = "https://app.example/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
PASSWORD = "correct horse battery"
SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"


@dataclass
class MovedClock:
    moment: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def now(self):
        return self.moment

    def move(self, **parts):
        self.moment += timedelta(**parts)


@dataclass
class PublishedKeys:
    """Key sets by address, as an app's web server publishes them; `asked` counts the requests, `public_only` says of
    each whether only the internet was to be asked."""

    documents: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    public_only: list = field(default_factory=list)

    async def fetch(self, url, *, fresh=False, public=False):
        self.asked.append((url, fresh))
        self.public_only.append(public)
        if url not in self.documents:
            raise UpstreamError("The key set cannot be fetched.")
        return self.documents[url]


@dataclass
class World:
    """Everything a test of signing in touches; `patients` are those of the only practitioner."""

    sign_in: SignIn
    clock: MovedClock
    keys: PublishedKeys
    patients: list

    @property
    def ports(self):
        return self.sign_in.ports

    async def rows(self, row, *where):
        return await self.ports.state.read(lambda tx: tx.find(row, *where))

    async def browser(self, username="ann"):
        """Sign in; the cookie of the browser and its session."""
        cookie = await sign_in_with_password(
            self.ports, username=username, password=PASSWORD, old_cookie=None, caller=Caller()
        )
        return cookie, await load_session(self.ports, cookie)

    async def code(self, *, username="ann", scope=SCOPE, ticked=None, patient=None, **changes):
        """A code, all the way through the pages."""
        cookie, session = await self.browser(username)
        handle = await begin(self.sign_in, request(scope=scope, **changes), Caller())
        await next_step(self.sign_in, handle, cookie, session)
        if patient is not None:
            await choose_patient(self.sign_in, handle, cookie, session, patient)
        answer = await decide(self.sign_in, handle, cookie, session, (ticked or scope).split(), Caller())
        return query_of(answer.location)["code"]

    async def token(self, authorization=None, **parameters):
        return await token_endpoint(self.sign_in, list(parameters.items()), authorization, Caller())

    async def redeem(self, code, /, **changes):
        return await self.token(**redemption(code, **changes))

    async def tokens(self, **changes):
        """A redeemed token response."""
        answer = await self.redeem(await self.code(**changes))
        assert answer.status == 200, answer.body
        return answer.body

    async def refresh(self, token, **changes):
        return await self.token(grant_type="refresh_token", refresh_token=token, **changes)


def request(**changes):
    """An authorization request as pairs; a change to None leaves the parameter out."""
    parameters = {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": REDIRECT,
        "scope": SCOPE,
        "state": "the state",
        "aud": f"{BASE}/fhir",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return [(name, value) for name, value in (parameters | changes).items() if value is not None]


def redemption(code, /, **changes):
    parameters = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "client_id": "app",
        "code_verifier": VERIFIER,
    }
    return {name: value for name, value in (parameters | changes).items() if value is not None}


def query_of(url):
    """The query of a URL, each name once."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}


@pytest.fixture
async def state(tmp_path):
    path = tmp_path / "state.sqlite"
    path.write_bytes(await unused_file())
    file = SqliteFile(path)
    file.open()
    yield SqliteState(file, facade_tables())
    file.close()


@pytest.fixture
def clock():
    return MovedClock()


@pytest.fixture
def ports(state, clock, tmp_path):
    vault = KeyFileVault(open_key_file(tmp_path / "keys.json", clock, create=True))
    unused = dict.fromkeys(("store", "streams", "vendors", "memory", "deployment"))
    locks, ids = FileLocks(tmp_path / "locks"), RandomIds()
    unit = IntentUnit(None, None, state, clock, ids)  # nobody here writes resources
    yield Ports(state=state, unit=unit, clock=clock, ids=ids, vault=vault, locks=locks, **unused)
    locks.close()


@pytest.fixture
async def world(ports, clock):
    """A patient ann, a practitioner bob with two patients, an admin; a public app."""
    patients, keys = [("p1", "Ann Example"), ("p2", "Carl Example")], PublishedKeys()

    async def patients_of(account):
        return list(patients) if account.practitioner_id == "d1" else []

    people = [("ann", "patient", "p1", None), ("bob", "practitioner", None, "d1"), ("root", "admin", None, None)]
    for name, role, patient, practitioner in people:
        await with_account(ports, NewAccount(name, role, PASSWORD, patient, practitioner))
    scope = SCOPE + " user/*.rs patient/Observation.cruds"
    await add_client(ports, NewClient("app", "public", scope, redirect_uris=(REDIRECT,)))
    return World(SignIn(ports, Issuer(BASE), keys, patients_of), clock, keys, patients)
