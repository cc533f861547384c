"""Every command says what it is for, and what each of its options means."""

import pytest
import typer.main
from typer.testing import CliRunner

from fhir_facade.cli.root import command_line

APP = command_line()
CONTRACT = {
    "serve", "demo", "token", "import", "backup", "restore", "settings", "simulator",
    "user add", "user list", "user disable", "user enable", "user address", "user link",
    "client change", "client rotate", "client enable", "client add", "client list", "client disable", "client verify", "client invite",
    "client invitations", "client uninvite", "keys new", "keys rotate", "keys rotate-signing",
    "audit verify", "audit seal", "audit prune", "audit copy", "erase patient",
}  # fmt: skip


def commands(group=None, words=()):
    group = group or typer.main.get_command(APP)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


COMMANDS = dict(commands())


def test_the_commands_of_the_contract_are_there():
    assert set(COMMANDS) == CONTRACT


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_help_explains_the_command(words):
    told = CliRunner().invoke(APP, [*words.split(), "--help"], env={"COLUMNS": "200"})

    assert told.exit_code == 0
    assert COMMANDS[words].help.splitlines()[0] in told.output


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_every_option_has_a_sentence(words):
    unexplained = [
        each.name for each in COMMANDS[words].params if not getattr(each, "help", "") and each.name != "help"
    ]

    assert not unexplained


def test_without_a_command_the_help_is_shown():
    told = CliRunner().invoke(APP, [])

    assert "serve" in told.output
    assert told.exit_code != 0
