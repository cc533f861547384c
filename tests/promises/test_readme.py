"""The README's commands and curl lines do what it says, its links lead somewhere, and its commands are all there are."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fhir_facade.cli.root import COMMANDS, GROUPS
from tests.facade import facade_env, served
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOT_FOR_A_SCRIPT = ("make install", ".venv/bin/fhir-facade serve", "alias ")


def chapter(title):
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


def commands(title):
    lines = [line[4:] for line in chapter(title).splitlines() if line.startswith("    ")]
    return "\n".join(line for line in lines if not line.startswith(NOT_FOR_A_SCRIPT))


def curl_lines():
    """Each line with the id of the newest alert for ID, printing its status code only; streams are left after 3 s."""
    for line in re.findall(r"`(curl [^`]*)`", chapter("Ask it")):
        yield line.replace("curl ", "curl -s -o answer -w '%{http_code}\\n' --max-time 3 ", 1).replace("/ID/", "/$ID/")


def script(url):
    alert = 'curl -s -H "Authorization: Bearer $TOKEN" $FACADE/api/v1/alerts | sed \'s/.*"id":"\\([^"]*\\)".*/\\1/\''
    lines = [f'fhir-facade() {{ "{sys.executable}" -m fhir_facade "$@"; }}', commands("Run it"), commands("Ask it")]
    for line in curl_lines():
        lines += [f"ID=$({alert})"] * ("$ID" in line) + [line]
    return "\n".join(lines).replace("http://127.0.0.1:8000", url)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: its lines in the README are not tried")
def test_every_line_that_can_be_pasted_works(tmp_path):
    with served(facade_env(tmp_path / "data"), tmp_path / "log") as server:
        told = subprocess.run(
            ["bash", "-c", script(server.url)],
            cwd=tmp_path, env=dict(server.env), capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip

    expected = ["201" if "/vitals" in line else "200" for line in curl_lines()]
    assert "anna can sign in as patient" in told.stdout, told.stderr
    assert "my-app is registered" in told.stdout
    assert re.findall(r"^\d{3}$", told.stdout, re.MULTILINE) == expected


def test_every_link_leads_to_a_file():
    links = re.findall(r"\]\(([^)]+)\)", README)

    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() | GROUPS.keys()))
def test_every_command_is_named(name):
    assert re.search(rf"`(fhir-facade )?{name}\b", chapter("Operate it"))
