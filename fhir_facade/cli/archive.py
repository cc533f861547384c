"""`fhir-facade backup` and `restore`: a whole deployment in one proven file, and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fhir_facade.adapters.backup import DATA, NO_RESOURCES, Manifest, Tell, backup, restore
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.cli.session import CONSOLE, with_ports
from fhir_facade.errors import NotFound, Unavailable
from fhir_facade.interactions.audit import record_operator
from fhir_facade.interactions.naming import look_again
from fhir_facade.ports import Ports
from fhir_facade.rows.audit import AuditLine
from fhir_facade.settings import Settings

AFTER_ROWS = "restore the rows of the database, see that it answers, and repeat this command"
_COUNTED = {
    "fhir_resource": "resources",
    "fhir_version": "earlier versions of resources",
    "account": "accounts",
    "client": "apps",
    "connection": "connections",
    "audit": "audit lines",
}
"""Tables a person asks for after a backup; the others are counted and checked all the same."""


def backup_command(file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")]) -> None:
    """Copy the data and the keys into one file, beside a running server or without one, and check it by restoring."""
    settings = Settings()
    _need_data(settings)
    with_ports(_noted)
    with _progress() as tell:
        manifest = backup(
            file,
            data=None if settings.rows_elsewhere else settings.data_file,
            keys=settings.keys_path,
            hapi=settings.store == "hapi",
            software=version("fhir-facade"),
            clock=SystemClock(),
            tell=tell,
        )
    typer.echo(f"{file}: {file.stat().st_size:,} bytes, checked by restoring it; keep it as secret as the data")
    _contents(manifest)


async def _noted(ports: Ports) -> None:
    """To ask for the lines brings those that wait beside the file that is copied into it."""
    await record_operator(ports, "backup", "a copy of all data")
    await ports.state.read(lambda tx: tx.count(AuditLine))


def restore_command(archive: Annotated[Path, typer.Argument(help="A file that `fhir-facade backup` wrote.")]) -> None:
    """Put a backup into an empty data folder. Nothing is ever overwritten, and nothing done while a server runs."""
    settings = Settings()
    with _progress() as tell:
        manifest = restore(archive, data=settings.data_file, keys=settings.keys_path, tell=tell)
    if settings.rows_elsewhere or DATA in manifest.sha256:
        _take_up(settings, manifest)
    if DATA in manifest.sha256:
        typer.echo(f"restored into {settings.data_dir}: the deployment of {manifest.created:%Y-%m-%d %H:%M:%S} UTC")
    _contents(manifest)
    typer.echo(f"keys: {settings.keys_path}; start it with `fhir-facade serve`")


def _take_up(settings: Settings, manifest: Manifest) -> None:
    """What the rows have to be told: that they were restored, and that records in HAPI may be newer than they are."""

    async def told(ports: Ports) -> None:
        if NO_RESOURCES in manifest.missing:
            await look_again(ports)
        await record_operator(ports, "restore", f"the copy of {manifest.created.isoformat()}")

    try:
        with_ports(told)
    except Unavailable as error:
        way = AFTER_ROWS if settings.rows_elsewhere else f"empty {settings.data_dir} and repeat this command"
        raise Unavailable(f"{error}; the files are in place, but not taken up: {way}") from error


def _need_data(settings: Settings) -> None:
    if not settings.rows_elsewhere and not settings.data_file.exists():
        raise NotFound(f"there is no data in {settings.data_dir}; name its folder with FHIR_FACADE_DATA_DIR")


def _contents(manifest: Manifest) -> None:
    for table, what in _COUNTED.items():
        if table in manifest.rows:
            typer.echo(f"{manifest.rows[table]:>10,}  {what}")
    typer.echo(f"{'all':>10}  keys")
    for sentence in manifest.missing:
        typer.echo(f"not in it: {sentence}")


@contextmanager
def _progress() -> Iterator[Tell]:
    """A line on standard error that says what is being done and for how long."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=CONSOLE, transient=True) as progress:
        task = progress.add_task("")
        yield lambda doing: progress.update(task, description=doing)
