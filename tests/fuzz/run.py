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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from fhir_facade.demo.programs import serve, simulator_address
from fhir_facade.settings import environment_with
from tests.fuzz import schema
from tests.fuzz.both import Both, folders, records
from tests.fuzz.fitting import sweep
from tests.fuzz.judge import faults
from tests.fuzz.record import Finding, Record, say, tell
from tests.fuzz.stage import Stage, opened_stage
from tests.fuzz.walk import COMPARED, SUBJECTS, look, page_links, walk
from tests.fuzz.wire import readable
from tests.hapi_keeper import publish, start_hapi, start_postgres

SCHEMA_SHARE: Final = 0.4
"""Of the time; what no schema says is the larger part."""
ROUND_S: Final = 15.0
EXAMPLES: Final = 50
"""Before the clock is looked at."""
SECRET: Final = "a-secret-of-the-simulator"


def main(given: Sequence[str] | None = None) -> int:
    options = _options(given)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fhir-facade-fuzz-")))
        folder.chmod(0o755)
        if options.both:
            return _compare(stack, folder, options)
        stage = stack.enter_context(_started(folder, over_hapi=options.hapi))
        if options.again is not None:
            return ask_again(stage, options.again)
        progress = Progress(Record(options.out, stage.running.log))
        _all(stage, progress, options.minutes)
        return progress.end()


def _options(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--hapi", action="store_true", help="over HAPI and PostgreSQL, which are started for it")
    parser.add_argument(
        "--both", action="store_true", help="the same requests to both stores, whose answers must be alike"
    )
    parser.add_argument("--seed", type=int, help="of the records that both have; any when none is given")
    parser.add_argument("--again", type=Path, help="send the request of this finding and show the answer")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"))
    return parser.parse_args(given)


@contextmanager
def _started(folder: Path, *, over_hapi: bool) -> Iterator[Stage]:
    """A facade with a vendor to connect to, on the store that is asked for."""
    with ExitStack() as stack:
        settings = {}
        if over_hapi:
            url = stack.enter_context(_hapi(folder / "hapi"))
            settings = {"STORE": "hapi", "HAPI_URL": url, "KEYS_FILE": str(folder / "keys.json")}
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


@contextmanager
def _hapi(folder: Path) -> Iterator[str]:
    """HAPI as the tests have it, there in half the processor time that it takes with its compiler at full power."""
    folder.mkdir()
    folder.chmod(0o755)
    state, stop_postgres = start_postgres(folder)
    try:
        publish(folder / "postgres.json", state)
        said, stop_hapi = start_hapi(folder)
        publish(folder / "hapi.json", said)
        try:
            yield said["url"]
        finally:
            stop_hapi()
    finally:
        stop_postgres()


@dataclass
class Progress:
    """Tells what is new after each subject; `broke` are lines of the server's log about defects."""

    record: Record
    started: float = field(default_factory=time.monotonic)
    told: set[str] = field(default_factory=set)
    broke: list[str] = field(default_factory=list)

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self.started) / 60

    def tell(self, subject: str) -> None:
        for kind, finding in self.record.findings.items():
            if kind not in self.told:
                self.told.add(kind)
                tell(finding, self.record.path_of(finding))
        written = self.record.written()
        for line in written[:3]:
            say(f"THE SERVER WROTE {line[:4000]}")
        self.broke += written
        found = f"{len(self.told):3} findings {len(self.broke):3} lines in the log"
        say(f"{self.minutes:5.1f} min {self.record.requests:7} requests {found}  {subject}")

    def end(self) -> int:
        """The sum of it, and the exit code."""
        print(f"{self.minutes:.1f} minutes", *self.record.sums(), sep="\n")
        print(f"{len(self.told)} findings, {len(self.broke)} lines about defects in the server's log")
        for finding in self.record.findings.values():
            print(f"  {finding.kind}: {self.record.path_of(finding)}")
        return 1 if self.told or self.broke else 0


def _all(stage: Stage, progress: Progress, minutes: float) -> None:
    """Schemathesis for each caller, every search parameter, then one subject after another until the time is over."""
    record = progress.record
    for caller in schema.CALLERS:
        schema.run_schemathesis(stage, record, caller, minutes * 60 * SCHEMA_SHARE / len(schema.CALLERS))
        stage.renew()
        progress.tell(f"Schemathesis as {caller}")
    for request in sweep(random.randrange(2**32)):
        look(record, request, stage.ask(request))
    progress.tell("every search parameter")
    while (left := (minutes - progress.minutes) * 60) > 0:
        share = min(ROUND_S, max(1.0, left / (len(SUBJECTS) + 1)))
        for name, requests in {**SUBJECTS, "page links": page_links(stage)}.items():
            until = time.monotonic() + share
            while time.monotonic() < until:
                walk(stage, record, requests, EXAMPLES)
            stage.renew()
            progress.tell(name)


def _compare(stack: ExitStack, folder: Path, options: argparse.Namespace) -> int:
    """The records of a seed and what may be asked of them, to both stores, until the time is over."""
    seed = random.randrange(2**32) if options.seed is None else options.seed
    one, other = folders(folder)
    both = Both(
        stack.enter_context(_started(one, over_hapi=False)), stack.enter_context(_started(other, over_hapi=True))
    )
    progress = Progress(Record(options.out, both.running.log))
    say(f"--seed {seed}")
    for request in (*records(seed), *sweep(seed)):
        look(progress.record, request, both.ask(request))
    if options.again is not None:
        return ask_again(both, options.again)
    progress.tell("records of every type, every search parameter")
    while progress.minutes < options.minutes:
        for name in COMPARED:
            until = time.monotonic() + ROUND_S
            while time.monotonic() < until:
                walk(both, progress.record, SUBJECTS[name], EXAMPLES)
            both.renew()
            progress.tell(name)
    return progress.end()


def ask_again(stage: Stage | Both, path: Path) -> int:
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
