"""`hapi/start` on a Java server that is quicker than HAPI: what it leaves behind. HAPI itself is started by all tests on it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.hapi_server import ROOT, answers, leave_out
from tests.patience import PATIENCE_S

SOURCE = Path(__file__).with_name("StartedServer.java")
QUICK = "-J-XX:TieredStopAtLevel=1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `hapi/build` prints it."""
    if missing := [tool for tool in ("java", "javac", "jar") if not answers(shutil.which(tool))]:
        leave_out(f"a small server in place of HAPI needs Java 17 with its compiler ({', '.join(missing)} not found)")
    folder = tmp_path_factory.mktemp("server")
    subprocess.run(["javac", QUICK, "-proc:none", "-d", str(folder), str(SOURCE)], check=True)
    jar = ["jar", QUICK, "--create", "--file", "hapi-server.jar", "--main-class", "StartedServer", "-C", ".", "."]
    subprocess.run(jar, cwd=folder, check=True)
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """With a folder for temporary files in which there is nothing else."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return {**os.environ, "TMPDIR": str(scratch), "JAVA_OPTS": "-XX:TieredStopAtLevel=1"}


def start(server: Path) -> list[str]:
    return [sys.executable, str(ROOT / "hapi" / "start"), "--port", "0", "--server", str(server)]


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_what_the_server_unpacks_is_gone_when_it_was_told_to_end(
    server: Path, environment: Mapping[str, str], told: signal.Signals
) -> None:
    with subprocess.Popen(start(server), env=environment, stdout=subprocess.PIPE, text=True) as starting:
        assert starting.stdout is not None
        ready = json.loads(starting.stdout.readline())
        with urllib.request.urlopen(f"{ready['url']}/metadata", timeout=PATIENCE_S) as answer:
            unpacked = Path(answer.read().decode())
        assert unpacked.is_relative_to(environment["TMPDIR"])
        assert unpacked.is_dir()

        starting.send_signal(told)
        starting.wait(PATIENCE_S)

    assert list(Path(environment["TMPDIR"]).iterdir()) == []


def test_a_server_that_does_not_start_leaves_nothing(tmp_path: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(start(tmp_path), env=environment, capture_output=True, timeout=PATIENCE_S, check=False)

    assert done.returncode == 1
    assert b"hapi/start: the server ended" in done.stderr
    assert list(Path(environment["TMPDIR"]).iterdir()) == []
