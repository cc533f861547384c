"""`make fuzz`: half an hour of requests that nobody should send, by Schemathesis and by Hypothesis.

A finding is an answer that `judge.py` does not accept. Each is told at once with its request, kept in build/fuzz and
asked again by `--again FILE`; the exit code says whether there were any.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from fhir_facade.demo.programs import serve, simulator_address
from fhir_facade.settings import environment_with
from tests.bench.servers import hapi
from tests.fuzz import schema
from tests.fuzz.fitting import sweep
from tests.fuzz.judge import faults
from tests.fuzz.record import Finding, Record, say, tell
from tests.fuzz.stage import Stage, opened_stage
from tests.fuzz.walk import SUBJECTS, look, page_links, walk
from tests.fuzz.wire import readable

SCHEMA_SHARE: Final = 0.4
"""Of the time; what no schema says is the larger part."""
ROUND_S: Final = 15.0
EXAMPLES: Final = 50
"""Before the clock is looked at."""
BROKE: Final = ("request.defect", "Traceback", '"level":"error"', '"level":"critical"')
SECRET: Final = "a-secret-of-the-simulator"


def main(given: Sequence[str] | None = None) -> int:
    options = _options(given)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fhir-facade-fuzz-")))
        folder.chmod(0o755)
        stage = stack.enter_context(_started(folder, over_hapi=options.hapi))
        if options.again is not None:
            return ask_again(stage, options.again)
        record = Record(options.out, stage.running.log)
        started = time.monotonic()
        _all(stage, record, options.minutes * 60, started)
        return _report(record, stage, (time.monotonic() - started) / 60)


def _options(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--hapi", action="store_true", help="over HAPI and PostgreSQL, which are started for it")
    parser.add_argument("--again", type=Path, help="send the request of this finding and show the answer")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"))
    return parser.parse_args(given)


@contextmanager
def _started(folder: Path, *, over_hapi: bool) -> Iterator[Stage]:
    """A facade with a vendor to connect to, on the store that is asked for."""
    with ExitStack() as stack:
        settings = {}
        if over_hapi:
            server = stack.enter_context(hapi(folder / "hapi"))
            settings = {"STORE": "hapi", "HAPI_URL": server.base_url, "KEYS_FILE": str(folder / "keys.json")}
        words = ["fhir_facade.simulator", "--port", "0", "--client-secret", SECRET]
        log = folder / "simulator.log"
        _, vendor = serve(stack, "simulator", lambda _port: (words, environment_with({})), log, simulator_address, 0)
        settings |= {
            "GOOGLE_AUTHORIZE_URL": f"{vendor}/o/oauth2/v2/auth",
            "GOOGLE_TOKEN_URL": f"{vendor}/token",
            "GOOGLE_REVOKE_URL": f"{vendor}/revoke",
            "GOOGLE_HEALTH_API_BASE": vendor,
            "GOOGLE_CLIENT_ID": "fhir-facade",
            "GOOGLE_CLIENT_SECRET": SECRET,
        }
        yield stack.enter_context(opened_stage(folder, **settings))


def _all(stage: Stage, record: Record, seconds: float, started: float) -> None:
    """Schemathesis for each caller, every search parameter, then one subject after another until the time is over."""
    told: set[str] = set()
    for caller in schema.CALLERS:
        schema.run_schemathesis(stage, record, caller, seconds * SCHEMA_SHARE / len(schema.CALLERS))
        stage.renew()
        _tell_new(record, told, f"Schemathesis as {caller}", started)
    for request in sweep(random.randrange(2**32)):
        look(record, request, stage.ask(request))
    _tell_new(record, told, "every search parameter", started)
    while (left := started + seconds - time.monotonic()) > 0:
        share = min(ROUND_S, max(1.0, left / (len(SUBJECTS) + 1)))
        for name, requests in {**SUBJECTS, "page links": page_links(stage)}.items():
            until = time.monotonic() + share
            while time.monotonic() < until:
                walk(stage, record, requests, EXAMPLES)
            stage.renew()
            _tell_new(record, told, name, started)


def _tell_new(record: Record, told: set[str], subject: str, started: float) -> None:
    for kind, finding in record.findings.items():
        if kind not in told:
            told.add(kind)
            tell(finding, record.path_of(finding))
    minutes = (time.monotonic() - started) / 60
    say(f"{minutes:5.1f} min  {record.requests:7} requests  {len(record.findings):3} findings  {subject}")


def _report(record: Record, stage: Stage, minutes: float) -> int:
    """The sum of it, and what the server wrote about defects that no answer showed."""
    statuses = ", ".join(f"{status}: {times}" for status, times in sorted(record.statuses.items()))
    broke = [line for line in stage.running.log.read_text(errors="replace").splitlines() if _says_it_broke(line)]
    print(f"{record.requests} requests in {minutes:.1f} minutes, {len(record.findings)} findings ({statuses})")
    for finding in record.findings.values():
        print(f"  {finding.kind}: {record.path_of(finding)}")
    if broke:
        print("the server wrote:", *broke[:20], sep="\n")
    return 1 if record.findings or broke else 0


def _says_it_broke(line: str) -> bool:
    return any(word in line for word in BROKE)


def ask_again(stage: Stage, path: Path) -> int:
    """Send the request of a finding; 1 when the answer is still none to accept."""
    request = msgspec.json.decode(path.read_bytes(), type=Finding).request
    answer = stage.ask(request)
    print(
        readable(stage.message(request)), "", f"{answer.status} {dict(answer.headers)}", readable(answer.body), sep="\n"
    )
    wrong = faults(request, answer)
    print(*wrong, stage.running.log.read_text(errors="replace")[-4000:] if wrong else "", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
