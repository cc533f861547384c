"""What administrators do on pages, on the command line: the same functions, the same effects."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fhir_facade.cli.root import command_line
from fhir_facade.errors import NotFound
from fhir_facade.flows.launch.opaque import same
from fhir_facade.opening import open_ports
from fhir_facade.rows.accounts import Account, PasswordLink
from fhir_facade.rows.oauth import Client
from fhir_facade.settings import Settings

PASSWORD = "correct horse battery"
REDIRECT = "https://app.example/callback"


@pytest.fixture
def run(tmp_path: Path):
    """Run a command on a deployment of its own; what it printed. An error of ours is raised as it is."""
    env = {"FHIR_FACADE_DATA_DIR": str(tmp_path), "FHIR_FACADE_PUBLIC_URL": "https://health.example"}

    def run(*words: str, stdin: str = "") -> str:
        result = CliRunner().invoke(command_line(), words, input=stdin, env=env)
        if result.exception is not None:
            raise result.exception
        return result.stdout.strip()

    return run


def rows(tmp_path, row):
    async def look():
        async with open_ports(Settings(data_dir=tmp_path), guest=True) as ports:
            return await ports.state.read(lambda tx: tx.find(row))

    return asyncio.run(look())


def test_an_account_gets_an_address_a_link_and_comes_back(run, tmp_path):
    add = ("user", "add", "--username", "Ann", "--role", "patient", "--patient", "p1", "--password-stdin")
    run(*add, "--email", "ann@home.example", "--language", "de", stdin=PASSWORD)
    run("user", "disable", "ann")
    run("user", "enable", "ann")
    run("user", "address", "ann", "other@home.example")
    link = run("user", "link", "ann")
    (account,), (kept,) = rows(tmp_path, Account), rows(tmp_path, PasswordLink)
    assert (account.email, account.language, account.disabled) == ("other@home.example", "de", False)
    assert link.startswith("https://health.example/new-password?link=ffp_")
    assert same(link.partition("=")[2], kept.hash)
    run("user", "address", "ann", "")
    assert rows(tmp_path, Account)[0].email is None


def test_an_app_is_changed_in_part_gets_a_new_secret_and_comes_back(run, tmp_path):
    add = ("client", "add", "--client-id", "app", "--type", "confidential", "--redirect-uri", REDIRECT)
    run(*add, "--scope", "patient/*.rs", "--name", "The app")
    run("client", "change", "app", "--scope", "patient/Patient.rs", "--logout-uri", "https://app.example/bye")
    secret = run("client", "rotate", "app")
    run("client", "disable", "app")
    run("client", "enable", "app")
    (client,) = rows(tmp_path, Client)
    assert (client.name, client.scope, client.redirect_uris) == ("The app", "patient/Patient.rs", (REDIRECT,))
    assert client.logout_uris == ("https://app.example/bye",)
    assert same(secret, client.secret_hash)
    assert not client.disabled


@pytest.mark.parametrize(
    "words",
    [
        ("user", "enable", "nobody"),
        ("user", "link", "nobody"),
        ("user", "address", "nobody", "a@b.example"),
        ("client", "rotate", "nothing"),
        ("client", "change", "nothing"),
        ("client", "enable", "nothing"),
    ],
    ids=" ".join,
)
def test_what_is_not_there_is_said(run, words):
    with pytest.raises(NotFound, match=r"There is no (account nobody|client nothing)"):
        run(*words)
