"""HAPI's own Java client, as its documentation uses it; the stories are in `java/HapiClient.java`.

The client comes with the HAPI server that `hapi/build` makes, so nothing else is fetched for it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping

import pytest

from tests.clients.conftest import HERE, Site
from tests.hapi_server import HAPI_TOOLS, ROOT, answers, leave_out
from tests.patience import PATIENCE_S

SOURCE = HERE / "java" / "HapiClient.java"
STORIES = re.findall(r'^    story\("(.+)", ', SOURCE.read_text(), re.MULTILINE)
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


@pytest.fixture(scope="session")
def class_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The stories, compiled, and the client."""
    tools = {**HAPI_TOOLS, "javac": "-version"}
    if missing := [tool for tool, asked in tools.items() if not answers(shutil.which(tool), asked)]:
        leave_out(f"HAPI's Java client needs Java 17 with its compiler and Maven ({', '.join(missing)} not found)")
    built = subprocess.run(
        [sys.executable, str(ROOT / "hapi" / "build")], stdout=subprocess.PIPE, text=True, check=True
    )
    client, classes = f"{built.stdout.strip()}/lib/*", tmp_path_factory.mktemp("java")
    compiler = ["javac", *(f"-J{flag}" for flag in QUICK_START), "-proc:none"]
    subprocess.run([*compiler, "-cp", client, "-d", str(classes), str(SOURCE)], check=True)
    return f"{classes}{os.pathsep}{client}"


@pytest.fixture(scope="module")
def outcomes(site: Site, class_path: str) -> Mapping[str, str | None]:
    """What came of each story; they run once on each store."""
    env = {**os.environ, "FHIR_BASE": site.fhir, "FHIR_TOKEN": site.token, "MARK": uuid.uuid4().hex[:12]}
    done = subprocess.run(
        ["java", *QUICK_START, "-cp", class_path, "HapiClient"],
        env=env,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {each["name"]: each["error"] for each in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("story", STORIES)
def test_the_client_does_as_its_documentation_says(story: str, outcomes: Mapping[str, str | None]) -> None:
    error = outcomes[story]

    assert error is None, error
