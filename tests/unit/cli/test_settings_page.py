"""docs/settings.md is what the command prints; a command gets the settings it is given and no others of ours."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from fhir_facade.cli.settings import page
from fhir_facade.settings import Settings

DOCS = Path(__file__).parents[3] / "docs" / "settings.md"


def rows():
    return {line.split("`")[1]: line for line in page().splitlines() if line.startswith("| `")}


def test_the_page_is_what_the_command_writes():
    told = "write it with: fhir-facade settings --markdown > docs/settings.md"

    assert DOCS.read_text(encoding="utf-8") == page() + "\n", told


def test_every_setting_has_a_row():
    assert set(rows()) == {f"FHIR_FACADE_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("STORE", "| `embedded`, `hapi` | `embedded` |"),
        ("PORT", "| number from 0 to 65,535 | `8000` |"),
        ("MAX_BODY_BYTES", "| number from 1,024 | `5242880` |"),
        ("KEYS_FILE", "| path | empty |"),
        ("GOOGLE_CLIENT_SECRET", "| secret | empty |"),
        ("AUDIT_REQUIRED", "| true or false | `true` |"),
    ],
    ids=lambda value: value if value.isupper() else "",
)
def test_a_row_tells_type_and_default(name, cells):
    assert cells in rows()[f"FHIR_FACADE_{name}"]


@pytest.mark.parametrize("token", ["short", "a" * 31, "a" * 31 + " ", "ä" * 32])
def test_a_token_for_metrics_that_can_be_guessed_or_not_be_sent_is_refused(token):
    with pytest.raises(ValidationError, match="openssl rand") as refused:
        Settings(metrics_token=token)

    assert token not in str(refused.value.errors()[0]["msg"])


def test_a_command_of_ours_gets_the_settings_it_is_given_and_no_inherited_ones():
    script = "from fhir_facade.settings import environment_with as e; print(e({'PORT': '0'}))"
    inherited = {"PATH": "/usr/bin", "FHIR_FACADE_STORE": "hapi"}

    told = subprocess.run([sys.executable, "-c", script], env=inherited, capture_output=True, text=True, check=True)

    environment = ast.literal_eval(told.stdout)
    assert {name: value for name, value in environment.items() if name.startswith("FHIR_FACADE_")} == {
        "FHIR_FACADE_PORT": "0"
    }
    assert environment["PATH"] == "/usr/bin"
