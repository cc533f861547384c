"""`fhir-facade demo`: a facade and a vendor simulator as two processes, and the main job in front of your eyes."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer

from fhir_facade.demo.checks import NotAsPromised, answer, expect
from fhir_facade.demo.programs import Program, facade_address, serve, simulator_address
from fhir_facade.demo.smart_app import Person, SmartApp
from fhir_facade.demo.story import STEPS, tell_story
from fhir_facade.demo.telling import Teller
from fhir_facade.errors import Conflict
from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.tokens import mint_token
from fhir_facade.flows.load import load_files
from fhir_facade.opening import open_ports
from fhir_facade.settings import Settings, environment_with

PATIENT_ID, DOCTOR_ID, CLIENT_ID = "demo-patient", "demo-doctor", "demo-app"
REDIRECT_URI: Final = "http://127.0.0.1:8099/callback"
PATIENT_SCOPE: Final = "openid fhirUser launch/patient patient/*.cruds"
DOCTOR_SCOPE: Final = "openid fhirUser user/*.rs"
WEARABLE_ACCOUNT: Final = "alex@example.com"
ZONE: Final = "Europe/Berlin"
FACADE_PORT, SIMULATOR_PORT = 8000, 8082
TOKEN_MINUTES: Final = 8 * 60
LOOK_EVERY_S: Final = 0.5
UNEXPECTED: Final = (NotAsPromised, httpx.HTTPError, LookupError, TypeError, ValueError)
"""A server that does not answer, answers something else, or in another shape."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The two servers, their addresses, and who can sign in. `settings` are those of the facade."""

    settings: Settings
    facade: str
    simulator: str
    programs: tuple[Program, Program]
    patient: Person
    doctor: Person


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the last step instead of serving on.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="A new folder for the data, which stays; without it they go with the demo.")
    ] = None,
) -> None:
    """Start everything on loopback, do the main job step by step, and serve on until Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell without job control ignores it
    tell = Teller(1 + len(STEPS))
    with _folder(data_dir) as folder, ExitStack() as stack:
        try:
            with tell:
                stage = _set(folder, stack, tell)
                app = SmartApp(stage.facade, CLIENT_ID, REDIRECT_URI)
                asyncio.run(tell_story(app, stage.patient, stage.doctor, WEARABLE_ACCOUNT, tell))
                curl = _curl(stage)
        except UNEXPECTED as error:
            reason = str(error) if isinstance(error, NotAsPromised) else f"{type(error).__name__} {error}"
            raise SystemExit(f"fhir-facade: step {tell.number} failed: {reason}") from error
        typer.echo(f"\nAll {tell.number} steps did what they say, in {tell.seconds:.0f} s.\n")
        _tell_how_to_go_on(stage, curl, kept=data_dir is not None)
        if once:
            typer.echo("Both servers end now; without --once (ONCE=1) they serve on.")
            return
        _serve_on(stage)


@contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    """The chosen folder, which must be new; or one that goes with the demo."""
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="fhir-facade-demo-") as folder:
            yield Path(folder)
        return
    if chosen.exists():
        raise Conflict(f"{chosen} exists; the demo begins with a new folder")
    chosen.mkdir(mode=0o700, parents=True)
    yield chosen


# --- the stage ------------------------------------------------------------------------------------------------


def _set(folder: Path, stack: ExitStack, tell: Teller) -> Stage:
    """Start both servers and make the accounts, which need no running server."""
    tell.step("A vendor simulator and a facade start, each a server of its own")
    secret = secrets.token_urlsafe(24)
    vendor, vendor_url = serve(
        stack, "simulator", partial(_simulator, secret), folder / "simulator.log", simulator_address, SIMULATOR_PORT
    )
    tell.line(f"vendor simulator: {vendor_url}")
    patient = Person("alex", secrets.token_urlsafe(12), PATIENT_SCOPE)
    doctor = Person("dr-hale", secrets.token_urlsafe(12), DOCTOR_SCOPE)
    asyncio.run(_fill(_settings(folder), patient, doctor))
    tell.line(f"accounts: {patient.username} (patient), {doctor.username} (practitioner); app: {CLIENT_ID}")
    command = partial(_facade, folder, vendor_url, secret)
    facade, url = serve(stack, "facade", command, folder / "facade.log", facade_address, FACADE_PORT)
    health = answer(httpx.get(f"{url}/health"), 200).json()
    tell.line(f"facade {health['version']} is {health['status']}: {url}")
    return Stage(_settings(folder), url, vendor_url, (vendor, facade), patient, doctor)


def _settings(folder: Path) -> Settings:
    """Of the commands beside the facade."""
    return Settings(store="embedded", data_dir=folder, keys_file=None, database_url="")


def _simulator(secret: str, port: int) -> tuple[list[str], Mapping[str, str]]:
    return ["fhir_facade.simulator", "--port", str(port), "--client-secret", secret], environment_with({})


def _facade(folder: Path, vendor: str, secret: str, port: int) -> tuple[list[str], Mapping[str, str]]:
    settings = {
        "DATA_DIR": str(folder),
        "PORT": str(port),
        "GOOGLE_AUTHORIZE_URL": f"{vendor}/o/oauth2/v2/auth",
        "GOOGLE_TOKEN_URL": f"{vendor}/token",
        "GOOGLE_REVOKE_URL": f"{vendor}/revoke",
        "GOOGLE_HEALTH_API_BASE": vendor,
        "GOOGLE_CLIENT_ID": "fhir-facade",
        "GOOGLE_CLIENT_SECRET": secret,
    }
    return ["fhir_facade", "serve"], environment_with(settings)


async def _fill(settings: Settings, patient: Person, doctor: Person) -> None:
    """What `fhir-facade import`, `user add` and `client add` do."""
    async with open_ports(settings, guest=True) as ports:
        with as_file(files("fhir_facade.demo") / "people.json") as people:
            async for loaded in load_files(ports, [people]):
                expect(not loaded.refused, f"the people were expected to be imported: {loaded.refused}")
        person = NewAccount(patient.username, "patient", patient.password, patient_id=PATIENT_ID, zone=ZONE)
        await add_account(ports, person)
        person = NewAccount(doctor.username, "practitioner", doctor.password, practitioner_id=DOCTOR_ID, zone=ZONE)
        await add_account(ports, person)
        scope = " ".join(dict.fromkeys(f"{PATIENT_SCOPE} {DOCTOR_SCOPE}".split()))
        await add_client(ports, NewClient(CLIENT_ID, "public", scope, name="Demo app", redirect_uris=(REDIRECT_URI,)))


# --- afterwards -----------------------------------------------------------------------------------------------


def _curl(stage: Stage) -> str:
    """A line to paste, tried before it is told."""
    token = asyncio.run(_token(stage))
    header, url = f"Authorization: Bearer {token}", f"{stage.facade}/fhir/Observation?code=59408-5&_sort=-date&_count=1"
    bundle = answer(httpx.get(url, headers={"Authorization": f"Bearer {token}"}), 200).json()
    expect(bundle.get("entry"), "the curl line was expected to find an Observation")
    return shlex.join(["curl", "-s", "-H", header, url])


async def _token(stage: Stage) -> str:
    """What `fhir-facade token` does."""
    async with open_ports(stage.settings, guest=True) as ports:
        return await mint_token(
            ports,
            scope="patient/*.rs",
            patient=PATIENT_ID,
            username=stage.patient.username,
            minutes=TOKEN_MINUTES,
        )


def _tell_how_to_go_on(stage: Stage, curl: str, *, kept: bool) -> None:
    typer.echo(f"Portal     {stage.facade}/        FHIR {stage.facade}/fhir        API {stage.facade}/docs")
    typer.echo(f"Vendor     {stage.simulator}/      accounts alex@, sam@ and kim@example.com, without password")
    typer.echo(f"Patient    {stage.patient.username} / {stage.patient.password}")
    typer.echo(f"Doctor     {stage.doctor.username} / {stage.doctor.password}")
    typer.echo(f"Data       {stage.settings.data_dir}, " + ("which stays" if kept else "which goes with the demo"))
    typer.echo(f"\nThe patient's newest oxygen saturation, for {TOKEN_MINUTES // 60} hours:\n\n{curl}\n")


def _serve_on(stage: Stage) -> None:
    """Until Ctrl-C, or until a server ends unasked."""
    typer.echo("Serving on. Ctrl-C ends it.")
    try:
        while True:
            time.sleep(LOOK_EVERY_S)
            for each in stage.programs:
                if each.ended:
                    raise SystemExit(f"fhir-facade: the {each.name} ended:\n{each.last_lines()}")
    except KeyboardInterrupt:
        typer.echo("\nEnding both servers.")
