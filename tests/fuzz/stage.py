"""A real facade to be asked by people and programs of all kinds, each with a token or a session that lives."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from fhir_facade.api.pages.cookies import CookieJar
from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.invitations import MOST_USES, invite
from fhir_facade.flows.launch.opaque import csrf_token
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.launch.tokens import mint_token
from fhir_facade.flows.sessions import sign_in_with_password
from fhir_facade.opening import open_ports
from fhir_facade.ports import Ports
from fhir_facade.settings import PREFIX, Settings
from tests.facade import Served, facade_env, run_command, served
from tests.fuzz.seeds import ANNA, DORA, HOUSE, SEEDS
from tests.fuzz.wire import Answer, Line, Request, rendered

PASSWORD: Final = "correct horse battery"
SECRET: Final = "a-secret-that-nobody-guesses"
REDIRECT: Final = "https://app.example/callback"
MINUTES: Final = 1440
AT_ONCE: Final = 4

_VITAL_SIGNS: Final = "http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"
_TOKENS: Final[Mapping[str, tuple[str, str | None]]] = {
    "system": ("system/*.cruds", None),
    "reader": ("system/*.rs", None),
    "patient": ("patient/*.cruds", ANNA),
    "granular": (f"patient/Observation.cruds?category={_VITAL_SIGNS}", ANNA),
}
"""Scope and patient of the tokens that are nobody's."""
_PEOPLE: Final[Mapping[str, tuple[str, dict[str, str]]]] = {
    "anna": ("patient", {"patient_id": ANNA}),
    "dora": ("practitioner", {"practitioner_id": DORA}),
    "sten": ("staff", {"organization_id": HOUSE}),
    "root": ("admin", {}),
}
_CLIENTS: Final = (
    NewClient(
        "app", "public", "launch/patient openid fhirUser offline_access patient/*.cruds", redirect_uris=(REDIRECT,)
    ),
    NewClient("server", "confidential", "openid user/*.cruds", redirect_uris=(REDIRECT,), secret=SECRET),
)
BEARERS: Final = (*_TOKENS, "doctor", "stranger")
WHO: Final = (*("system",) * len(BEARERS), *BEARERS)
"""Half of the time somebody who may do everything: what is refused at the door shows nothing of what is behind it."""
PEOPLE: Final = tuple(_PEOPLE)
CALLERS: Final = (*BEARERS, *PEOPLE, "nobody")
APPS: Final = ("invited", "registered")
"""Who may register an app, and the app that did."""


@dataclass
class Stage:
    """`ask` sends as the caller that a request names. `renew` gives each of them what may have been taken away."""

    running: Served
    settings: Settings
    lines: tuple[Line, ...]
    identities: dict[str, Mapping[str, str]] = field(default_factory=dict)
    csrf: dict[str, str] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    generation: int = 0

    @property
    def host(self) -> str:
        return urlsplit(self.running.url).netloc

    def message(self, request: Request) -> bytes:
        caller = request.caller
        known = {**self.known, "csrf": self.csrf.get(caller, "")}
        return rendered(request, self.host, self.identities.get(caller, {}), known)

    def ask(self, request: Request) -> Answer:
        if request.given_up:
            return self.lines[0].give_up(self.message(request))
        stream = request.path.endswith("/stream")
        return self.lines[0].ask(self.message(request), request.method, stream=stream)

    def ask_at_once(self, requests: Sequence[Request]) -> list[Answer]:
        """Each on a connection of its own; all are sent before the first answer is awaited."""
        sent = [
            (line, self.message(request), request.method) for line, request in zip(self.lines, requests, strict=False)
        ]
        for line, message, _ in sent:
            line.send(message)
        return [line.receive(message, method) for line, message, method in sent]

    def renew(self) -> None:
        """The data as they were; a new account for each person who was shut out, and new tokens."""
        for seed in SEEDS:
            body = json.dumps(seed).encode()
            target = f"/fhir/{seed['resourceType']}/{seed['id']}"
            headers = (("Content-Type", "application/fhir+json"),)
            answer = self.ask(Request("PUT", target, "system", headers, body))
            if answer.status not in (200, 201):
                raise RuntimeError(f"{target}: {answer.status} {answer.body!r}")
        lost = [name for name in PEOPLE if self.ask(Request("GET", "/api/v1/me", name)).status != 200]
        if lost:
            self.generation += 1
            asyncio.run(self._bring_back(lost))
        self._learn()

    def _learn(self) -> None:
        """Ids that the facade chose: of an account, and of a connection to a vendor when there is one."""
        username = f"spare{self.generation}-{len(self.known)}-{time.monotonic_ns()}"
        new = {"username": username, "password": PASSWORD, "role": "admin"}
        self._learned("account", "/api/v1/accounts", "root", new)
        self._learned("connection", "/api/v1/connections", "anna", {"vendor": "google-health"})
        app = {"redirect_uris": [REDIRECT]}
        if (made := self._learned("client", "/oauth/register", "invited", app)) is None:
            asyncio.run(self._invite())
            made = self._learned("client", "/oauth/register", "invited", app)
        _bearer(self, "registered", made["registration_access_token"] if made else "")

    async def _invite(self) -> None:
        async with open_ports(self.settings, guest=True) as ports:
            _bearer(self, "invited", await _invitation(ports))

    def _learned(self, word: str, target: str, caller: str, document: dict[str, Any]) -> dict[str, Any] | None:
        """What was made; None when it was not."""
        headers = (("Content-Type", "application/json"),)
        answer = self.ask(Request("POST", target, caller, headers, json.dumps(document).encode()))
        if answer.status != 201:
            return None
        made: dict[str, Any] = json.loads(answer.body)
        self.known[word] = str(made.get("id") or made.get("client_id"))
        return made

    async def _bring_back(self, names: list[str]) -> None:
        async with open_ports(self.settings, guest=True) as ports:
            await _enter(self, ports, names)


@contextmanager
def opened_stage(folder: Path, **settings: str) -> Iterator[Stage]:
    """A serving facade with everything switched on, and its data; settings are those of `fhir_facade.settings`."""
    ways = {"SELF_REGISTRATION": "true", "CONDITIONAL_DELETE_MANY": "true", "TRUSTED_PROXIES": "127.0.0.1"}
    env = facade_env(folder / "data", **ways, **settings)
    chosen = Settings(
        **{name.removeprefix(PREFIX).lower(): text for name, text in env.items() if name.startswith(PREFIX)}
    )  # type: ignore[arg-type]
    if chosen.keys_file is not None and not chosen.keys_file.exists():
        run_command(env, "keys", "new", str(chosen.keys_file))
    with ExitStack() as stack:
        running = stack.enter_context(served(env, folder / "log", module="fhir_facade"))
        lines = tuple(Line(chosen.host, chosen.port) for _ in range(AT_ONCE))
        for line in lines:
            stack.callback(line.close)
        stage = Stage(running, chosen, lines)
        asyncio.run(_populate(stage))
        stage.renew()
        yield stage


async def _populate(stage: Stage) -> None:
    async with open_ports(stage.settings, guest=True) as ports:
        for client in _CLIENTS:
            await add_client(ports, client)
        for name, (scope, patient) in _TOKENS.items():
            _bearer(stage, name, await mint_token(ports, scope=scope, patient=patient, minutes=MINUTES))
        _bearer(stage, "invited", await _invitation(ports))
        _bearer(stage, "stranger", "ffa_nobody-gave-this-away")
        await _enter(stage, ports, PEOPLE)


async def _enter(stage: Stage, ports: Ports, names: list[str] | tuple[str, ...]) -> None:
    """Accounts, sessions and tokens of people."""
    cookie_name = CookieJar(stage.settings.plain_loopback).name
    for name in names:
        username = f"{name}{stage.generation or ''}"
        role, person = _PEOPLE[name]
        await add_account(ports, NewAccount(username, role, PASSWORD, **person))
        cookie = await sign_in_with_password(
            ports, username=username, password=PASSWORD, old_cookie=None, caller=Caller()
        )
        stage.csrf[name] = csrf_token(cookie)
        stage.identities[name] = {"Cookie": f"{cookie_name}={cookie}", "X-CSRF-Token": stage.csrf[name]}
    if "dora" in names:
        username = f"{DORA}{stage.generation or ''}"
        _bearer(stage, "doctor", await mint_token(ports, scope="user/*.cruds", username=username, minutes=MINUTES))


async def _invitation(ports: Ports) -> str:
    """An initial access token with which many apps register themselves."""
    return await invite(ports, name="fuzz", uses=MOST_USES)


def _bearer(stage: Stage, name: str, token: str) -> None:
    stage.identities[name] = {"Authorization": f"Bearer {token}"}
