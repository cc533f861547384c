"""The start is measured; how fast it was is no test, but what it loads is."""

import subprocess
import sys

import pytest

from tests.bench import start
from tests.bench.processes import Taken
from tests.bench.start import Start

LATER = (
    "sqlalchemy",
    "alembic",
    "fastapi",
    "starlette",
    "jinja2",
    "authlib",
    "joserfc",
    "cryptography",
    "httpx",
    "typer",
)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc of Linux")
def test_a_start_is_measured_until_the_first_answers_and_what_it_holds_idle(capsys):
    start.main(["--rounds", "1"])

    said = capsys.readouterr().out
    assert "first answer of the FHIR API" in said
    assert "RssAnon idle < 200 MiB in sum: holds." in said


def test_health_is_answered_before_what_is_slow_to_load():
    program = "import sys, fhir_facade.cli.serving; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert "fhir_facade.stores" in loaded
    assert set(LATER).isdisjoint(loaded)


@pytest.mark.parametrize(("seconds", "verdict"), [(0.9, "holds"), (1.1, "**missed**")], ids=["quick", "slow"])
def test_the_best_start_is_judged(seconds, verdict):
    held = [Taken(1, 90.0, 60.0, 1, 9), Taken(2, 60.0, 50.0, 4, 20)]

    said = start.report([Start(3.0, 3.5, 1.0), Start(seconds, 2.0, 0.5)], held)

    assert f"Start < 1 s: {verdict}" in said
    assert "150 MiB" in said
