"""Tests that share a server share a process, however pytest is called: some of them empty the server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_several_workers_share_out_groups_of_tests_without_being_told() -> None:
    """Two workers that empty one HAPI for each other end in a 404, 409 or 412 that no test expects."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "FHIR_FACADE"))}
    words = [sys.executable, "-m", "pytest", "-n", "2", "-v", "-p", "no:cacheprovider", "-k", "nothing_is_called_so"]

    said = subprocess.run(
        [*words, str(Path(__file__).relative_to(ROOT))], cwd=ROOT, env=inherited, capture_output=True, text=True
    )

    assert "LoadGroupScheduling" in said.stdout, said.stdout + said.stderr
