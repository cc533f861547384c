"""`fhir-facade import`: files of FHIR resources into the store."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from fhir_facade.cli.session import CONSOLE
from fhir_facade.flows.load import Loaded, load_files
from fhir_facade.interactions.audit import record_operator
from fhir_facade.opening import open_ports
from fhir_facade.settings import Settings

SHOWN = 20


def import_files(
    files: Annotated[list[Path], typer.Argument(help="Bundles or NDJSON, plain, .gz or .bz2.", exists=True)],
) -> None:
    """Import files in the order given. Leaves with 1 when anything was refused."""
    results = asyncio.run(_import(files))
    totals: Counter[str] = sum((result.counts for result in results), Counter())
    for name, count in sorted(totals.items()):
        typer.echo(f"{count:>8}  {name}")
    refused = [f"{result.file}: {reason}" for result in results for reason in result.refused]
    for line in refused[:SHOWN]:
        typer.echo(f"refused  {line}", err=True)
    number = len(refused) + sum(result.untold for result in results)
    if not totals and not refused:
        typer.echo("The files hold no resource.")
    if refused:
        typer.echo(f"{number} refused" + (f", {SHOWN} shown" if number > SHOWN else ""), err=True)
        raise typer.Exit(1)


async def _import(files: list[Path]) -> list[Loaded]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    results: list[Loaded] = []
    async with open_ports(Settings(), guest=True) as ports:
        await record_operator(ports, "import", f"files: {len(files)}")
        with Progress(*columns, console=CONSOLE, transient=True) as progress:
            task = progress.add_task("import", total=sum(file.stat().st_size for file in files))
            async for result in load_files(ports, files, partial(progress.advance, task)):
                results.append(result)
                progress.update(task, description=f"{len(results)} of {len(files)} files")
    return results
