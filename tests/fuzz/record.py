"""What was found: told at once, kept with a reproducer, and one of each kind only."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from tests.fuzz.wire import GIVEN_UP, Answer, Request, readable

_SEGMENT: Final = re.compile(r"[A-Za-z$_.-]{0,30}")
_MOST_TOLD: Final = 3000
_MOST_SLOW: Final = 5
_NAMED: Final = {0: "no answer", 503: "503", GIVEN_UP: "cut off by us on purpose"}
"""No defects that `judge` finds, or not at once: which requests they were is told in the sum."""
BROKE: Final = ("request.defect", "Traceback", '"level":"error"', '"level":"critical"')


class Finding(msgspec.Struct, frozen=True):
    """One kind of finding. `request` is what `--again` sends."""

    kind: str
    faults: tuple[str, ...]
    request: Request
    status: int
    body: str
    log: str = ""


class Counts(msgspec.Struct, frozen=True):
    """What a `Record` of another process counted."""

    requests: int
    statuses: dict[int, int]
    named: list[tuple[tuple[int, str], int]]
    slowest: list[tuple[float, str]]


@dataclass
class Record:
    """Counts answers and keeps findings in `folder`; `log` is where the server says what broke."""

    folder: Path
    log: Path | None = None
    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    findings: dict[str, Finding] = field(default_factory=dict)
    named: Counter[tuple[int, str]] = field(default_factory=Counter)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    read: int = 0

    def written(self) -> list[str]:
        """What the server wrote about defects since this was asked last; answers may not show them."""
        text = self.log.read_bytes()[self.read :] if self.log is not None else b""
        self.read += len(text)
        return [line for line in text.decode(errors="replace").splitlines() if any(word in line for word in BROKE)]

    def seen(self, request: Request, answer: Answer) -> None:
        self.requests += 1
        self.statuses[answer.status] += 1
        if answer.status in _NAMED:
            self.named[answer.status, _told(request, answer)] += 1
        told = f"{answer.seconds:6.2f} s {answer.status} {request.method} {request.target[:300]}"
        self._slow([(answer.seconds, told)])

    def _slow(self, more: Iterable[tuple[float, str]]) -> None:
        self.slowest = sorted([*self.slowest, *more], reverse=True)[:_MOST_SLOW]

    def add(self, counts: Counts) -> None:
        self.requests += counts.requests
        self.statuses.update(counts.statuses)
        self.named.update(dict(counts.named))
        self._slow(counts.slowest)

    def sums(self) -> list[str]:
        """How often each status came, what the requests were that have no answer to judge, and what took longest."""
        statuses = ", ".join(
            f"{_NAMED.get(status, status)}: {times}" for status, times in sorted(self.statuses.items())
        )
        named = [f"{times:7} {_NAMED[status]}: {request}" for (status, request), times in self.named.most_common()]
        return [f"{self.requests} requests ({statuses})", *named, *(told for _, told in self.slowest)]

    def keep(self, request: Request, answer: Answer, faults: Iterable[str]) -> Finding:
        """Keep the shortest request of its kind."""
        told = tuple(faults)
        trace = _trace(self.log, answer)
        kind = kind_of(request, told, trace)
        found = Finding(kind, told, request, answer.status, _shown(answer), trace)
        before = self.findings.get(kind)
        if before is None or _length(request) < _length(before.request):
            self.findings[kind] = found
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path_of(found).write_bytes(msgspec.json.format(msgspec.json.encode(found)))
        return found

    def path_of(self, finding: Finding) -> Path:
        number = list(self.findings).index(finding.kind) + 1
        slug = re.sub(r"[^A-Za-z0-9]+", "-", finding.kind)[:60].strip("-")
        return self.folder / f"{number:03}-{slug}.json"


def kind_of(request: Request, faults: tuple[str, ...], trace: str) -> str:
    """Findings alike in this are one: what is wrong, where, and the line of the program when the log names it."""
    lines = [line.strip() for line in trace.splitlines() if line.strip().startswith("File ")]
    if lines:
        return f"{faults[0].partition(':')[0]} in {lines[-1]}"
    return f"{'; '.join(sorted(faults))} for {_shortened(request)}"


def _shown(answer: Answer) -> str:
    """The body, and what another store answered."""
    other = answer.elsewhere
    return readable(answer.body) + ("" if other is None else f"\n-- over HAPI {other.status}:\n{readable(other.body)}")


def _told(request: Request, answer: Answer) -> str:
    """Whole where it is asked again to find out more."""
    if answer.status == GIVEN_UP:
        return _shortened(request)
    return f"{request.method} {request.target[:_MOST_TOLD]} {readable(answer.body, 300)}"


def _shortened(request: Request) -> str:
    """Method and path, without what is said once only."""
    path = "/".join(part if _SEGMENT.fullmatch(part) else "*" for part in request.path.split("/")[:6])
    return f"{request.method} {path}"


def tell(finding: Finding, path: Path) -> None:
    """A finding as a person reads it."""
    request = finding.request
    head = "".join(f"\n{name}: {value}" for name, value in request.headers)
    body = "" if request.body is None else f"\n\n{readable(request.body)}"
    again = f'make fuzz FUZZ="--again {path}"'
    say(
        f"\nFOUND {'; '.join(finding.faults)}\n{request.method} {request.target} as {request.caller}{head}{body}"[
            :_MOST_TOLD
        ]
    )
    say(f"-> {finding.status} {finding.body[:_MOST_TOLD]}\n{finding.log[-_MOST_TOLD:]}\nAgain: {again}\n")


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _length(request: Request) -> int:
    return len(request.target) + len(request.body or b"") + sum(len(name + value) for name, value in request.headers)


def _trace(log: Path | None, answer: Answer) -> str:
    """What the server wrote about this answer; it writes before it answers."""
    mark = answer.headers.get("x-request-id", "")
    if log is None or not mark or answer.status < 500:
        return ""
    for line in reversed(log.read_text(errors="replace").splitlines()):
        if mark in line:
            try:
                return str(msgspec.json.decode(line).get("exception") or line)
            except msgspec.DecodeError:
                return line
    return ""
