"""What signing in costs: deciding, checking a token, renewing it, and how soon a withdrawn one is worth nothing.

Processor time, so that a busy machine shows the same; the rates of the last part are of this machine as it is.

python -m tests.bench.sign_in_cost [seconds of each part, 3 by itself]
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import Allow, Ask, decide
from fhir_facade.access.scopes import parse_scopes
from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.tokens import new_access_token, new_refresh_token
from fhir_facade.flows.launch.verify import TokenCache
from fhir_facade.opening import open_ports
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.oauth import Grant
from fhir_facade.settings import Settings
from fhir_facade.values import ClientId, Interaction, PatientId, Principal, PrincipalKind
from tests.bench.servers import Processes
from tests.facade import facade_env, served

APP, REDIRECT = "app", "https://app.example/callback"
SCOPE = "launch/patient offline_access patient/*.rs"
CALLERS: Final = 32
TARGETS: Final = {"decision": 5.0, "token": 10.0, "revocation": 5.0, "refreshes": 200.0}


async def main(seconds: float) -> None:
    print(f"{'':58}{'measured':>12}{'target':>12}")
    for name, cost in decisions():
        told(f"decision: {name}", f"{cost:.2f} µs", f"{TARGETS['decision']:.0f} µs")
    with TemporaryDirectory() as folder:
        async with deployment(Path(folder)) as (ports, _):
            told("token checked, remembered", f"{await check(ports):.2f} µs", f"{TARGETS['token']:.0f} µs")
    for workers in (1, 2):
        for name, scope in (("", SCOPE), (" with an id_token", f"openid fhirUser {SCOPE}")):
            rate, cost = await refreshing(workers, scope, seconds)
            told(f"refreshes{name}, {workers} processes: time of the server", f"{cost:.2f} ms", "")
            told(f"refreshes{name}, {workers} processes: rate", f"{rate:,.0f}/s", f"{TARGETS['refreshes']:.0f}/s")
    told("revoked token answered for the last time, 2 processes", f"{await revocation():.1f} s", "5 s")


def told(what: str, measured: str, target: str) -> None:
    print(f"{what:58}{measured:>12}{target:>12}", flush=True)


# --- deciding -------------------------------------------------------------------------------------------------


def decisions(times: int = 20_000) -> list[tuple[str, float]]:
    """Microseconds for each of the questions that are asked most, and the dearest of them."""
    circle = frozenset(PatientId(f"patient-{number}") for number in range(200))
    patient = _principal("patient", "launch/patient patient/*.rs", patient=PatientId("anna"))
    granular = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"
    asked = {
        "a patient reads": (patient, Ask(Interaction.READ, "Observation")),
        "a patient searches": (patient, Ask(Interaction.SEARCH_TYPE, "Observation")),
        "a patient is refused": (patient, Ask(Interaction.DELETE, "MedicationRequest")),
        "a doctor of 200 patients reads": (
            _principal("practitioner", "user/*.cruds", practitioner="doctor"),
            Ask(Interaction.READ, "Observation", circle=circle),
        ),
        "a service searches": (_principal("backend", "system/*.rs"), Ask(Interaction.SEARCH_TYPE, "Patient")),
        "a scope with parameters": (
            _principal("patient", granular, patient=PatientId("anna")),
            Ask(Interaction.SEARCH_TYPE, "Observation"),
        ),
    }
    remembered = [(name, _cost(lambda one=one: decide(*one), times)) for name, one in asked.items()]  # type: ignore[misc]
    return [
        *remembered,
        ("somebody of whom nothing is remembered", _cost(_stranger(patient), times)),
        ("the same, and what a search of theirs is narrowed to", _cost(_narrowed_stranger(patient), times)),
        ("a doctor of 200 of whom nothing is remembered", _cost(_other_doctor(circle), times)),
    ]


def _stranger(patient: Principal) -> Callable[[], Allow | Deny]:
    """Decides for somebody else each time, of more people than are remembered."""
    others = cycle([replace(patient, patient=PatientId(f"patient-{number}")) for number in range(20_000)])
    ask = Ask(Interaction.SEARCH_TYPE, "Observation")
    return lambda: decide(next(others), ask)


def _narrowed_stranger(patient: Principal) -> Callable[[], object]:
    decided = _stranger(patient)

    def narrowed() -> object:
        answer = decided()
        assert isinstance(answer, Allow)
        return answer.narrow

    return narrowed


def _other_doctor(circle: frozenset[PatientId]) -> Callable[[], Allow | Deny]:
    doctor = _principal("practitioner", "user/*.cruds", practitioner="doctor")
    circles = [circle | {PatientId(f"another-{number}")} for number in range(5_000)]
    asks = cycle([Ask(Interaction.SEARCH_TYPE, "Observation", circle=each) for each in circles])
    return lambda: decide(doctor, next(asks))


def _principal(kind: PrincipalKind, scope: str, **context: str) -> Principal:
    principal = Principal(kind, user="account", client=ClientId(APP), scopes=parse_scopes(scope).fhir)
    return replace(principal, **context)  # type: ignore[arg-type]


def _cost(work: Callable[[], object], times: int) -> float:
    """Microseconds of processor time; the best of five, for the others were disturbed."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - began) * 1e6 / times)
    return best


# --- a deployment ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Family:
    """What an app holds that a person let in."""

    access: str
    refresh: str


@asynccontextmanager
async def deployment(folder: Path, scope: str = SCOPE, families: int = 1) -> AsyncIterator[tuple[Ports, list[Family]]]:
    """An embedded facade with a public app, and so many people who use it."""
    async with open_ports(Settings(data_dir=folder)) as ports:
        await add_client(ports, NewClient(APP, "public", scope, redirect_uris=(REDIRECT,)))
        account = await add_account(ports, NewAccount("anna", "patient", "correct horse battery", patient_id="anna"))

        def let_in(tx: StateTransaction) -> list[Family]:
            return [_family(tx, ports, account.id, scope) for _ in range(families)]

        yield ports, await ports.state.write(let_in)


def _family(tx: StateTransaction, ports: Ports, account: str, scope: str) -> Family:
    now = ports.clock.now()
    grant = Grant(
        id=ports.ids.new(),
        scope=scope,
        created_at=now,
        expires_at=now + timedelta(days=30),
        client_id=APP,
        account_id=account,
        patient="anna",
    )
    tx.apply(Append(grant))
    minted = new_access_token(tx, ports.ids, grant, scope, now, timedelta(hours=1))
    return Family(minted.text, new_refresh_token(tx, ports.ids, grant, APP, now))


async def _somebody(ports: Ports) -> str:
    """The account of a person who uses the app."""
    (grant,) = await ports.state.read(lambda tx: tx.find(Grant, limit=1))
    return grant.account_id or ""


async def check(ports: Ports, times: int = 20_000) -> float:
    """Microseconds for a token that was checked within the last second."""
    cache, account = TokenCache(ports), await _somebody(ports)
    family = await ports.state.write(lambda tx: _family(tx, ports, account, "patient/*.rs"))
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            assert await cache.verify(family.access) is not None
        best = min(best, (time.process_time() - began) * 1e6 / times)
    return best


# --- a server -------------------------------------------------------------------------------------------------


async def refreshing(workers: int, scope: str, seconds: float) -> tuple[float, float]:
    """Refreshes in a second, and milliseconds of the server's processor time for each."""
    with TemporaryDirectory() as folder:
        async with deployment(Path(folder), scope, CALLERS) as (_, families):
            pass
        with served(facade_env(Path(folder), WORKERS=str(workers)), Path(folder) / "log.txt") as running:
            tree = Processes(families=(running.process.pid,))
            await asyncio.gather(*(_renew(running.url, family, time.monotonic() + 1) for family in families))
            async with deployment_again(Path(folder), scope) as families:
                before, began = tree.cpu_s(), time.monotonic()
                ends = began + seconds
                done = sum(await asyncio.gather(*(_renew(running.url, family, ends) for family in families)))
                return done / (time.monotonic() - began), (tree.cpu_s() - before) * 1e3 / done


@asynccontextmanager
async def deployment_again(folder: Path, scope: str) -> AsyncIterator[list[Family]]:
    """New families for the callers, given out beside the running server."""
    async with open_ports(Settings(data_dir=folder), guest=True) as ports:
        account = await _somebody(ports)
        yield await ports.state.write(lambda tx: [_family(tx, ports, account, scope) for _ in range(CALLERS)])


async def _renew(url: str, family: Family, ends: float) -> int:
    """Renew one family again and again until then, on one connection; how often."""
    async with connection(url) as ask:
        token, done = family.refresh, 0
        while time.monotonic() < ends:
            status, body = await ask("POST", "/oauth/token", f"grant_type=refresh_token&refresh_token={quote(token)}")
            assert status == 200, body
            token, done = msgspec.json.decode(body)["refresh_token"], done + 1
    return done


async def revocation() -> float:
    """Seconds from the answer to a revocation until the last answer that the token still got, by any process."""
    with TemporaryDirectory() as folder:
        async with deployment(Path(folder)) as (_, (family,)):
            pass
        with served(facade_env(Path(folder), WORKERS="2"), Path(folder) / "log.txt") as running:
            asking = [asyncio.create_task(_last_answer(running.url, family.access)) for _ in range(8)]
            await asyncio.sleep(1)
            async with connection(running.url) as ask:
                status, _ = await ask("POST", "/oauth/revoke", f"token={quote(family.refresh)}&client_id={APP}")
                revoked = time.monotonic()
            assert status == 200
            return max(0.0, max(await asyncio.gather(*asking)) - revoked)


async def _last_answer(url: str, token: str) -> float:
    """When the token was last accepted; asks until it was refused for three seconds."""
    last = time.monotonic()
    async with connection(url) as ask:
        while time.monotonic() - last < 3:
            status, _ = await ask("GET", "/fhir/Patient?_id=anna", "", f"Authorization: Bearer {token}\r\n")
            last = time.monotonic() if status == 200 else last
            await asyncio.sleep(0.02)
    return last


Asking = Callable[..., Awaitable[tuple[int, bytes]]]


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[Asking]:
    """Asks on one open connection: an HTTP client of Python's would take longer than what is measured."""
    host = urlsplit(url)
    reader, writer = await asyncio.open_connection(host.hostname, host.port)

    async def ask(method: str, path: str, form: str, headers: str = "") -> tuple[int, bytes]:
        kind = "Content-Type: application/x-www-form-urlencoded\r\n" if form else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: {host.netloc}\r\n{headers}{kind}Content-Length: {len(form)}\r\n\r\n"
        writer.write((head + form).encode())
        told = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in told.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(told.split(b" ", 2)[1]), await reader.readexactly(int(length.split(b":")[1]))

    try:
        yield ask
    finally:
        writer.close()
        await writer.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
