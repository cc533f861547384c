"""What an operator reads or changes at the command line is in the audit, also where nothing is written otherwise."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fhir_facade.cli.root import command_line

PASSWORD = "correct horse battery\n"
PATIENT = {"resourceType": "Patient", "id": "anna"}
Run = Callable[..., Result]
Told = tuple[str, str, str, str | None]

APP = ("--type", "public", "--scope", "patient/*.rs", "--redirect-uri", "https://app.example/x")
PREPARED = (  # each command finds what it needs, whichever of them run in this process
    ("user", "add", "--username", "root", "--role", "admin", "--password-stdin"),
    ("client", "add", "--client-id", "app", *APP),
    ("client", "add", "--client-id", "old-app", *APP),
)

COMMANDS: dict[str, tuple[tuple[str, ...], Told]] = {
    "user add": (
        ("user", "add", "--username", "anna", "--role", "admin", "--password-stdin"),
        ("admin", "success", "operator", "account added"),
    ),
    "user list": (("user", "list"), ("admin", "success", "operator", "accounts listed")),
    "user disable": (("user", "disable", "root"), ("admin", "success", "operator", "account disabled")),
    "client add": (
        ("client", "add", "--client-id", "new-app", *APP),
        ("admin", "success", "operator", "client added"),
    ),
    "client list": (("client", "list"), ("admin", "success", "operator", "clients listed")),
    "client verify": (("client", "verify", "app"), ("admin", "success", "operator", "client verified")),
    "client disable": (("client", "disable", "old-app"), ("admin", "success", "operator", "client disabled")),
    "client invitations": (("client", "invitations"), ("admin", "success", "operator", "invitations listed")),
    "token": (
        ("token", "--scope", "system/*.rs"), ("token", "success", "operator", "minted on the command line")),
    "import": (("import", "{folder}/patient.ndjson"), ("import", "success", "operator", "files: 1")),
    "keys rotate": (("keys", "rotate"), ("admin", "success", "operator", "keys rotated, the newest is 2")),
    "keys rotate-signing": (("keys", "rotate-signing"), ("admin", "success", "operator", "signing key rotated")),
    "audit verify": (("audit", "verify"), ("admin", "success", "operator", "audit verified")),
    "audit prune": (("audit", "prune"), ("admin", "success", "operator", "audit pruned")),
    "backup": (("backup", "{folder}/backup.tar"), ("backup", "success", "operator", "a copy of all data")),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployment")
    (folder / "patient.ndjson").write_text(json.dumps(PATIENT) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    """A command against the deployment of these tests, or that of another folder."""

    def command(*words: str, data: str = "data", given: str = PASSWORD) -> Result:
        env = {"FHIR_FACADE_DATA_DIR": str(folder / data)}
        told = [word.format(folder=folder) for word in words]
        return CliRunner().invoke(command_line(words[0]), told, input=given, env=env)

    for words in PREPARED:
        assert command(*words).exit_code == 0
    return command


def lines(folder: Path, data: str = "data") -> list[Told]:
    with closing(sqlite3.connect(folder / data / "facade.sqlite")) as file:
        return file.execute("SELECT action, outcome, actor, detail FROM audit ORDER BY id").fetchall()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_its_line(run: Run, folder: Path, name: str) -> None:
    words, told = COMMANDS[name]
    before = len(lines(folder))

    done = run(*words)

    assert done.exit_code == 0, done.output
    assert told in lines(folder)[before:]


def test_what_is_restored_says_so(run: Run, folder: Path) -> None:
    run("backup", "{folder}/whole.tar")

    done = run("restore", "{folder}/whole.tar", data="restored")

    assert done.exit_code == 0, done.output
    action, outcome, actor, detail = lines(folder, "restored")[-1]
    assert (action, outcome, actor) == ("restore", "success", "operator")
    assert (detail or "").startswith("the copy of 20")


def test_the_audit_of_an_embedded_store_is_copied_nowhere(run: Run) -> None:
    assert run("audit", "copy").exit_code != 0
