"""Schemathesis over everything that /openapi.json describes, for one caller. https://schemathesis.readthedocs.io"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from tests.fuzz.record import Counts, Finding, Record
from tests.fuzz.stage import Stage
from tests.fuzz.wire import Answer, Request

CALLERS: Final = ("system", "patient", "nobody", "root", "dora")
HOOKS: Final = "tests.fuzz.schemathesis_hooks"
LEFT_OUT: Final = "^/api/v1/alerts/stream$"
"""A stream ends with the patience of whoever listens; `walk.py` asks for it."""
GRACE_S: Final = 120.0


def run_schemathesis(stage: Stage, record: Record, caller: str, seconds: float, *words: str) -> None:
    """Ask for so many seconds; findings and counts are added to the record. `words` are options of Schemathesis."""
    record.folder.mkdir(parents=True, exist_ok=True)
    counts, said = record.folder / f"schemathesis-{caller}.counts", record.folder / f"schemathesis-{caller}.txt"
    counts.unlink(missing_ok=True)
    own = record.folder / f"schemathesis-{caller}"
    env = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": HOOKS,
        "FUZZ_FOLDER": str(own),
        "FUZZ_LOG": str(stage.running.log),
        "FUZZ_CALLER": caller,
        "FUZZ_COUNTS": str(counts),
        "PYTHONPATH": os.pathsep.join(filter(None, (".", os.environ.get("PYTHONPATH")))),
    }
    with said.open("wb") as stream:
        done = subprocess.run(
            _command(stage, caller, seconds, words), env=env, stdout=stream, stderr=stream, timeout=seconds + GRACE_S
        )
    _add(record, counts, own)
    if done.returncode != 0 and not list(own.glob("*.json")):
        request = Request("GET", "/openapi.json", caller)
        answer = Answer(0, body=said.read_bytes()[-4000:])
        record.keep(request, answer, [f"schemathesis: it ended with {done.returncode}, see {said}"])


def _command(stage: Stage, caller: str, seconds: float, words: tuple[str, ...]) -> list[str]:
    program = [sys.executable, "-m", "schemathesis.cli", "run", f"{stage.running.url}/openapi.json"]
    limits = ["--max-time", str(int(seconds)), "--workers", "1", "--request-timeout", "30", "--max-failures", "1000"]
    judged = ["--checks", "judged", "--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off"]
    chosen = ["--exclude-path-regex", LEFT_OUT, "--no-color", "--output-sanitize", "false"]
    if "--generation-deterministic" not in words:
        chosen += ["--generation-database", "none"]
    identity = [f"{name}: {value}" for name, value in stage.identities.get(caller, {}).items()]
    return [*program, *limits, *judged, *chosen, *(word for line in identity for word in ("-H", line)), *words]


def _add(record: Record, counts: Path, folder: Path) -> None:
    if counts.exists():
        record.add(msgspec.json.decode(counts.read_bytes(), type=Counts))
    for path in sorted(folder.glob("*.json")):
        finding = msgspec.json.decode(path.read_bytes(), type=Finding)
        record.findings.setdefault(finding.kind, finding)
