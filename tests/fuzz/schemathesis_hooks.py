"""What Schemathesis loads: every answer it gets is judged as ours are. https://schemathesis.readthedocs.io

Counts go to FUZZ_COUNTS, a file, and findings to FUZZ_FOLDER when the run ends or finds something.
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import schemathesis

from tests.fuzz.judge import faults
from tests.fuzz.record import Counts, Record
from tests.fuzz.wire import Answer, Request

_UNTOLD = frozenset(("authorization", "cookie", "x-csrf-token", "content-length", "host"))
_record = Record(Path(os.environ["FUZZ_FOLDER"]), Path(os.environ["FUZZ_LOG"]))
_caller = os.environ["FUZZ_CALLER"]


@schemathesis.check
def judged(_context: Any, response: Any, _case: Any) -> None:
    """No defect, no trace, every refusal in the words of its endpoint, within ten seconds."""
    headers = {name.lower(): values[0] for name, values in response.headers.items()}
    answer = Answer(response.status_code, headers, response.content, response.elapsed)
    request = _request(response.request)
    _record.seen(request, answer)
    wrong = faults(request, answer)
    if wrong:
        raise AssertionError(_record.keep(request, answer, wrong).kind)


def _request(sent: Any) -> Request:
    parts = urlsplit(sent.url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body
    headers = tuple((_text(name), _text(value)) for name, value in sent.headers.items() if name.lower() not in _UNTOLD)
    return Request(sent.method, target, _caller, headers, body if isinstance(body, bytes) else None)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


@atexit.register
def _write() -> None:
    counts = Counts(_record.requests, _record.statuses, list(_record.named.items()), _record.slowest)
    Path(os.environ["FUZZ_COUNTS"]).write_bytes(msgspec.json.encode(counts))
