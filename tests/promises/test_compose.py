"""docker-compose.yml: valid by the schema of the command's own library, who can reach HAPI, and settings that are read.

https://github.com/compose-spec/compose-spec
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import yaml

from fhir_facade.settings import PREFIX, Settings
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SCHEMA = msgspec.json.decode((ROOT / "tests/data/compose/compose-spec.json").read_bytes())
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
EXAMPLE = {
    "POSTGRES_PASSWORD": "first",
    "HAPI_DB_PASSWORD": "second",
    "FACADE_DB_PASSWORD": "third",
    "FHIR_FACADE_PUBLIC_URL": "https://fhir.example.org",
}
"""What an operator puts into `.env`."""


def command(*words: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """What `docker compose` says of the file; it needs no container engine for that."""
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    return subprocess.run(
        ["docker", "compose", *words], cwd=ROOT, env=env, capture_output=True, check=False, timeout=PATIENCE_S
    )


def has_command() -> bool:
    return shutil.which("docker") is not None and command("version").returncode == 0


needs_command = pytest.mark.skipif(
    not has_command(), reason="docker compose is not installed: it does not read the file"
)


def loaded(env: dict[str, str]) -> Any:
    """The file with its variables filled in, as the command does: `:?` wants one that is set, `:-` has a default."""

    def value(found: re.Match[str]) -> str:
        name, kind, word = found.groups()
        if kind == "?" and not env.get(name):
            raise LookupError(word)
        return env.get(name) or (word if kind == "-" else "")

    return filled(yaml.safe_load(TEXT), lambda text: VARIABLE.sub(value, text))


def filled(node: Any, fill: Callable[[str], str]) -> Any:
    """After the file was read: what is filled in is text, whatever it looks like."""
    match node:
        case dict():
            return {key: filled(each, fill) for key, each in node.items()}
        case list():
            return [filled(each, fill) for each in node]
        case str():
            return fill(node)
    return node


@pytest.fixture
def services() -> dict[str, Any]:
    services: dict[str, Any] = loaded(EXAMPLE)["services"]
    return services


def complaints(document: Any) -> list[str]:
    return [each.message for each in jsonschema_rs.validator_for(SCHEMA).iter_errors(document)]


def test_a_file_that_the_command_refuses_is_noticed() -> None:
    document = loaded(EXAMPLE)
    document["services"]["facade"]["depend_on"] = ["hapi"]

    assert any("depend_on" in each for each in complaints(document))


def test_the_command_understands_the_file() -> None:
    assert complaints(loaded(EXAMPLE)) == []


@needs_command
def test_the_command_itself_fills_it_in_as_these_tests_do() -> None:
    answer = command("config", "--format", "json", **EXAMPLE)

    assert answer.returncode == 0, answer.stderr.decode()
    read = msgspec.json.decode(answer.stdout)["services"]
    here = loaded(EXAMPLE)["services"]
    assert {name: service["environment"] for name, service in read.items()} == {
        name: service["environment"] for name, service in here.items()
    }


@needs_command
@pytest.mark.parametrize("name", EXAMPLE)
def test_the_command_itself_refuses_to_start_without(name: str) -> None:
    answer = command("config", **EXAMPLE | {name: ""})

    assert (answer.returncode, f"set {name} in .env" in answer.stderr.decode()) == (1, True)


@pytest.mark.parametrize("name", EXAMPLE)
def test_nothing_starts_without(name: str) -> None:
    with pytest.raises(LookupError, match=f"set {name} in .env"):
        loaded(EXAMPLE | {name: ""})


def test_the_page_of_operation_names_what_has_to_be_set() -> None:
    page = (ROOT / "docs/run-on-hapi.md").read_text(encoding="utf-8")

    assert [name for name in EXAMPLE if f"    {name}=" not in page] == []


def test_only_the_facade_can_be_reached_and_it_alone_reaches_hapi(services: dict[str, Any]) -> None:
    networks = loaded(EXAMPLE)["networks"]

    assert [name for name, service in services.items() if "ports" in service] == ["facade"]
    assert [name for name, service in services.items() if "store" not in service["networks"]] == []
    assert networks["store"] == {"internal": True}
    assert [name for name, service in services.items() if set(service["networks"]) - {"store"}] == ["facade"]


def test_the_facade_listens_on_this_machine_unless_told_otherwise(services: dict[str, Any]) -> None:
    assert services["facade"]["ports"] == ["127.0.0.1:8000:8000"]


def test_the_facade_waits_for_the_health_of_both_stores(services: dict[str, Any]) -> None:
    waits = services["facade"]["depends_on"]

    assert waits == {store: {"condition": "service_healthy"} for store in ("hapi", "postgres")}
    assert "healthcheck" in services["postgres"]
    assert "\nHEALTHCHECK " in (ROOT / "hapi/Dockerfile").read_text(encoding="utf-8")


def test_every_setting_of_the_facade_is_one_that_it_reads(services: dict[str, Any]) -> None:
    env = services["facade"]["environment"]
    names = {name.removeprefix(PREFIX).lower(): value for name, value in env.items()}
    settings = Settings(**names)

    assert [name for name in names if name not in Settings.model_fields] == []
    assert settings.store == "hapi"
    assert settings.hapi_url == "http://hapi:8080/fhir"
    assert settings.database_url == "postgresql://facade:third@postgres:5432/facade"
    assert settings.public_url == "https://fhir.example.org"


@pytest.mark.parametrize("folder", [".", "hapi"])
def test_an_image_copies_files_that_are_there(folder: str) -> None:
    lines = (ROOT / folder / "Dockerfile").read_text(encoding="utf-8").splitlines()
    sources = [
        name for line in lines if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]
    ]

    assert sources
    assert [name for name in sources if not (ROOT / folder / name).exists()] == []


def test_what_a_service_mounts_from_here_is_there(services: dict[str, Any]) -> None:
    mounted = [each.split(":")[0] for each in services["postgres"]["volumes"] if each.startswith("./")]

    assert mounted == ["./hapi/postgres-init.sh"]
    assert (ROOT / mounted[0]).exists()
