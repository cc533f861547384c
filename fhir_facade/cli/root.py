"""The command and its groups; each command is a function of one module, which is loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer

HELP: Final = "A FHIR R4 facade server with SMART on FHIR sign-in, wearable sync, health scores and alerts."
COMMANDS: Final = {
    "serve": ("serve", "serve"),
    "demo": ("demo", "demo"),
    "token": ("tokens", "token"),
    "import": ("data", "import_files"),
    "backup": ("archive", "backup_command"),
    "restore": ("archive", "restore_command"),
    "settings": ("settings", "show"),
    "simulator": ("simulator", "simulator"),
}
"""Name: module of this room, function."""
GROUPS: Final = {
    "user": ("users", "Accounts that can sign in."),
    "client": ("clients", "Apps that may ask for access."),
    "audit": ("audit", "The record of who looked at what."),
    "erase": ("erase", "Erase what has to be forgotten."),
    "keys": ("keys", "Keys that seal vendor tokens, page links and signing keys."),
}
"""Name: module of this room, whose `app` holds the commands; sentence."""


def command_line(word: str = "") -> typer.Typer:
    """All commands; only the one that `word` names, when it names one: `token` need not load the web server."""
    app = typer.Typer(
        name="fhir-facade",
        help=HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        callback=_group,
    )
    only = {word} if word in COMMANDS or word in GROUPS else COMMANDS.keys() | GROUPS.keys()
    for name, (module, function) in COMMANDS.items():
        if name in only:
            app.command(name)(_of(module, function))
    for name, (module, sentence) in GROUPS.items():
        if name in only:
            app.add_typer(_of(module, "app"), name=name, help=sentence)
    return app


def _version(asked: bool) -> None:
    """The number that /fhir/metadata, /health and /openapi.json tell too."""
    if asked:
        typer.echo(f"fhir-facade {version('fhir-facade')}")
        raise typer.Exit


def _group(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Makes typer keep the name of a command that is alone."""


def _of(module: str, name: str) -> Any:
    return getattr(import_module(f"fhir_facade.cli.{module}"), name)
