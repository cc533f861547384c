"""What no answer may be, whatever was asked: one function, so that every way of asking is judged alike."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from tests.fuzz.alike import differences
from tests.fuzz.wire import GIVEN_UP, Answer, Request

SLOW_S: Final = 10.0
SAID: Final = frozenset((501, 503))
"""What we may say about ourselves: not built, or something we depend on is down (fhir_facade/errors.py)."""

_TRACE: Final = re.compile(rb"Traceback \(most recent call|File \\?\"[^\"]+\\?\", line \d+|\.py\b.{0,9}, line \d+")
_REPR: Final = re.compile(
    rb"<[\w.]+ object at 0x|<class '|NoneType|\b(?:Key|Type|Attribute|Index|Runtime|Recursion|Assertion|Unicode\w+)Error\b"
    rb"|\bb'[^']*'|\bDecimal\('|datetime\.datetime\(|frozenset\(|\bsqlite3\b|sqlalchemy|asyncpg|\[SQL:|site-packages"
)
_NOT_HTTP: Final = b"Invalid HTTP request received."
"""What the HTTP server itself says to bytes that are no request; no route of ours has seen them."""
_FOR_APPS: Final = re.compile(r"/oauth/(token|introspect|revoke|register(/.*)?|userinfo|jwks|style)")
"""Who sends no token is told no error (https://www.rfc-editor.org/rfc/rfc6750#section-3.1)."""
_CALLBACK: Final = "/api/v1/connections/callback"
"""Where a vendor sends a person's browser."""


def faults(request: Request, answer: Answer) -> list[str]:
    """Sentences that say what is wrong with an answer; the words before a colon name the kind."""
    if answer.status == GIVEN_UP:
        return []
    if answer.elsewhere is not None:
        alone = replace(answer, elsewhere=None)
        both = [*faults(request, alone), *faults(request, answer.elsewhere)]
        return both or differences(alone, answer.elsewhere)
    if answer.status == 0:
        return ["dropped: the connection ended without an answer"]
    found = []
    if answer.status >= 500 and answer.status not in SAID:
        found.append(f"{answer.status}: a defect")
    if answer.seconds > SLOW_S:
        found.append(f"slow: {answer.seconds:.1f} s")
    if _TRACE.search(answer.body):
        found.append("trace: the body shows where in the program it happened")
    if answer.status >= 400:
        found += _leaks(request, answer) + _shape(request, answer)
    elif answer.content_type == "application/fhir+json":
        found += _fhir(request, answer)
    return found


def _leaks(request: Request, answer: Answer) -> list[str]:
    """A Python object in an answer; what was sent may be repeated."""
    body = request.body or b""
    told = "".join(value for _, value in request.headers).encode("latin-1")
    sent = unquote_to_bytes(request.target.encode("latin-1")) + body + unquote_to_bytes(body) + told
    for text in _texts(answer):
        leak = _REPR.search(text)
        if leak is not None and leak[0] not in sent:
            return [f"repr: the body shows {leak[0].decode(errors='replace')}"]
    return []


def _texts(answer: Answer) -> Iterator[bytes]:
    """Each text of a document by itself, as it reads: JSON writes a backspace as `\\b`, and a quote behind it began what
    a quote in another text seemed to end. The whole body where it is no JSON."""
    document = _json(answer)
    if document is None:
        yield answer.body
        return
    nodes = [document]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            nodes += [*node.keys(), *node.values()]
        elif isinstance(node, list):
            nodes += node
        elif isinstance(node, str):
            yield node.encode()


def _shape(request: Request, answer: Answer) -> list[str]:
    """A refusal is told in the words of its endpoint."""
    if request.method == "HEAD" or (answer.status == 400 and answer.body == _NOT_HTTP):
        return []
    path, kind = request.path, answer.content_type
    if path == "/fhir" or (path.startswith("/fhir/") and not path.startswith("/fhir/.well-known/")):
        document = _json(answer) if kind == "application/fhir+json" else None
        good = _is_outcome(document)
        return [] if good else ["shape: not an OperationOutcome"]
    if kind == "text/html":
        page = b"<html" in answer.body and b"<main" in answer.body
        return [] if page and (path == _CALLBACK or not path.startswith("/api/")) else ["shape: not a page of ours"]
    document = _json(answer)
    if kind == "application/problem+json":
        good = isinstance(document, dict) and document.get("status") == answer.status and "detail" in document
        return [] if good else ["shape: not a problem document"]
    if _FOR_APPS.fullmatch(path) and kind == "application/json":
        unasked = answer.status == 401 and document == {} and "www-authenticate" in answer.headers
        good = unasked or (isinstance(document, dict) and isinstance(document.get("error"), str))
        return [] if good else ["shape: not an OAuth error"]
    return [f"shape: {kind or 'nothing'} for a {answer.status}"]


def _fhir(request: Request, answer: Answer) -> list[str]:
    """What says it is FHIR can be read, and no entry of a Bundle is a defect."""
    if request.method == "HEAD" or not answer.body or answer.headers.get("content-encoding"):
        return []
    document = _json(answer)
    if not isinstance(document, dict) or "resourceType" not in document:
        return ["shape: not a resource"]
    statuses = [entry.get("response", {}).get("status", "") for entry in document.get("entry", ())]
    bad = [status for status in statuses if status[:1] == "5" and status[:3] not in ("501", "503")]
    return [f"entry: {status}" for status in bad[:1]]


def _is_outcome(document: Any) -> bool:
    return isinstance(document, dict) and document.get("resourceType") == "OperationOutcome" and bool(document["issue"])


def _json(answer: Answer) -> Any:
    """The document, or None; a lone surrogate or NaN is no JSON that others can read."""
    try:
        document = json.loads(answer.body, parse_constant=_no_number)
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return document


def _no_number(text: str) -> None:
    raise ValueError(text)
