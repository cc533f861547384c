"""A real facade under a modest mixed load for half an hour: nothing that it holds may grow.

python -m tests.soak.run [--minutes 30] [--per-second 50] [--every 5] [--out build/soak]

Ends with 1 when memory, descriptors, the write-ahead log or rows that should come and go rise in the last half, when a
process has more threads than its pools, or when an answer was not as promised.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from fhir_facade.demo.browser import Browser
from fhir_facade.demo.smart_app import Person, SmartApp
from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.tokens import mint_token
from fhir_facade.opening import open_ports
from fhir_facade.settings import Settings
from fhir_facade.simulator.app import DEFAULT_CLIENT
from tests.facade import facade_env, served
from tests.soak.judge import FEWEST
from tests.soak.picture import picture
from tests.soak.traffic import Traffic, Visitors, connect, patient_with
from tests.soak.watch import Watch
from tests.wearables import ALEX, running_simulator

PATIENTS = 20
SCOPE = "openid fhirUser launch/patient offline_access patient/*.cruds"
REDIRECT = "http://127.0.0.1:8099/callback"
TOKEN_MINUTES = 24 * 60
TOLD_EVERY_S = 30.0


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[tuple[Visitors, int]]:
    """A facade as it is served by default, the vendor simulator, who comes to them; and the facade's process."""
    async with running_simulator() as vendor, httpx.AsyncClient(timeout=60) as http:
        settings = {
            "GOOGLE_AUTHORIZE_URL": f"{vendor}/o/oauth2/v2/auth",
            "GOOGLE_TOKEN_URL": f"{vendor}/token",
            "GOOGLE_REVOKE_URL": f"{vendor}/revoke",
            "GOOGLE_HEALTH_API_BASE": vendor,
            "GOOGLE_CLIENT_ID": DEFAULT_CLIENT.client_id,
            "GOOGLE_CLIENT_SECRET": DEFAULT_CLIENT.client_secret,
        }
        env = facade_env(folder / "data", WORKERS="0", **settings)
        person = Person("alex", secrets.token_urlsafe(12), SCOPE)
        app = SmartApp(env["FHIR_FACADE_PUBLIC_URL"], "soak", REDIRECT)
        system = await _fill(Settings(data_dir=folder / "data"), person, app)
        with served(env, folder / "log", module="fhir_facade") as running:
            names = tuple(f"soak-{number}" for number in range(PATIENTS))
            who = Visitors(http, app, person, {"Authorization": f"Bearer {system}"}, names)
            for number in range(PATIENTS):
                await who.send("PUT", f"Patient/soak-{number}", patient_with(number), 201)
            async with httpx.AsyncClient(timeout=60) as client:
                browser = Browser(client)
                who.granted = dict((await app.sign_in(http, browser, person)).granted)
                who.connection = await connect(who, browser, ALEX)
            yield who, running.process.pid


async def _fill(settings: Settings, person: Person, app: SmartApp) -> str:
    """An account, an app, and a token for the program that may do everything."""
    async with open_ports(settings) as ports:
        account = NewAccount(person.username, "patient", person.password, patient_id="soak-0", zone="Europe/Berlin")
        await add_account(ports, account)
        await add_client(ports, NewClient(app.client_id, "public", SCOPE, name="Soak", redirect_uris=(REDIRECT,)))
        return await mint_token(ports, scope="system/*.cruds", minutes=TOKEN_MINUTES)


async def soak(minutes: float, per_second: float, every_s: float, out: Path) -> bool:
    """Whether all was flat and as promised."""
    with TemporaryDirectory() as folder:
        async with world(Path(folder)) as (who, pid):
            traffic = Traffic(who, per_second)
            watch = Watch(pid, Path(folder) / "data" / "facade.sqlite")
            ended = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(_watch(watch, traffic, every_s, ended))
                await traffic.run(minutes * 60)
                ended.set()
    return _report(watch, traffic, minutes, out)


async def _watch(watch: Watch, traffic: Traffic, every_s: float, ended: asyncio.Event) -> None:
    """Until the load has ended and enough was seen to judge by."""
    began = told = time.monotonic()
    while not ended.is_set() or watch.looks < 2 * FEWEST:
        now = time.monotonic()
        await asyncio.to_thread(watch.look, now - began)
        if now - told >= TOLD_EVERY_S or now == began:
            told = now
            print(f"{timedelta(seconds=int(now - began))}  {traffic.answers} answers, {watch.now()}", flush=True)
        await asyncio.sleep(every_s)


def _report(watch: Watch, traffic: Traffic, minutes: float, out: Path) -> bool:
    verdicts = watch.verdicts()
    out.mkdir(parents=True, exist_ok=True)
    title = f"{traffic.answers} answers in {minutes:g} minutes: RssAnon of each process in MiB"
    (out / "soak.svg").write_text(picture(title, watch.memory()))
    (out / "soak.json").write_text(json.dumps({name: series for (name, _), series in watch.seen.items()}))
    print(f"\n{title}", *verdicts, sep="\n")
    print(", ".join(f"{name} {count}" for name, count in sorted(traffic.visits.items())))
    for visit, example in traffic.failed.items():
        print(f"FAILED  {visit}: {example}")
    flat = all(verdict.flat for verdict in verdicts) and not traffic.failed
    print(f"{'Flat' if flat else 'NOT flat'}; {out / 'soak.svg'}")
    return flat


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--per-second", type=float, default=50, help="answers")
    parser.add_argument("--every", type=float, default=5, help="seconds between two looks at the processes")
    parser.add_argument("--out", type=Path, default=Path("build/soak"))
    chosen = parser.parse_args(words)
    sys.exit(0 if asyncio.run(soak(chosen.minutes, chosen.per_second, chosen.every, chosen.out)) else 1)


if __name__ == "__main__":
    main()
