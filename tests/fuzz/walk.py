"""Hypothesis over what no schema says, one subject after another; each fault it finds is made small."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyFailure
from msgspec.structs import replace

from tests.fuzz import bundles, operations, pages, patches, searches, sign_in, writes
from tests.fuzz.both import Both
from tests.fuzz.judge import SLOW_S, faults
from tests.fuzz.record import Finding, Record
from tests.fuzz.stage import AT_ONCE, Stage
from tests.fuzz.wire import Answer, Request

Requests = st.SearchStrategy[Request] | st.SearchStrategy[tuple[Request, ...]]

_WRITES: Final = st.one_of(writes.resources_sent(), patches.patches(), bundles.bundles(), writes.deletes())
_BODIES: Final = st.one_of(_WRITES, sign_in.oauth_requests(), sign_in.registrations(), pages.convenience_requests())

SUBJECTS: Final[Mapping[str, Requests]] = {
    "searches": searches.searches(),
    "query strings": searches.raw_queries(),
    "addresses": searches.addresses(),
    "resources": writes.resources_sent(),
    "patches": patches.patches(),
    "bundles": bundles.bundles(),
    "operations": operations.operations(),
    "headers": writes.headers_on_anything(),
    "deletes": writes.deletes(),
    "racing writes": st.lists(_WRITES, min_size=AT_ONCE, max_size=AT_ONCE).map(tuple),
    "one write at once": _WRITES.map(lambda request: (request,) * AT_ONCE),
    "sign-in": sign_in.oauth_requests(),
    "registrations": sign_in.registrations(),
    "portal": pages.portal_requests(),
    "convenience API": pages.convenience_requests(),
    "given up": _BODIES.map(lambda request: replace(request, given_up=True)),
}
COMPARED: Final = (
    "searches",
    "resources",
    "searches",
    "patches",
    "searches",
    "bundles",
    "operations",
    "searches",
    "deletes",
)
"""Subjects of which two stores must say the same: what only the facade does is not asked twice."""
_LINK: Final = re.compile(rb'"relation":"(?:next|previous|last)","url":"([^"]+)"')
_WITH_LINKS: Final = (
    "/fhir/Observation?_count=1",
    "/fhir/Observation?_count=1&_sort=-date",
    "/fhir/_history?_count=1",
    "/fhir/Patient/anna/$everything?_count=2",
)


class Found(Exception):
    """What a new finding ends an example with."""


def page_links(stage: Stage) -> Requests:
    """Requests for pages, from links that the facade gives now."""
    pages = [stage.ask(Request("GET", target, "system")).body for target in _WITH_LINKS]
    links = [urlsplit(link.decode()) for page in pages for link in _LINK.findall(page)]
    return searches.bent_links(tuple(f"{link.path}?{link.query}" for link in links) or _WITH_LINKS)


def look(record: Record, request: Request, answer: Answer) -> Finding | None:
    """Judge an answer; what is found is kept."""
    record.seen(request, answer)
    wrong = faults(request, answer)
    return record.keep(request, answer, wrong) if wrong else None


def walk(
    stage: Stage | Both, record: Record, requests: Requests, examples: int, *, always_the_same: bool = False
) -> None:
    """Send so many examples, or until something new is found, which is made small and then known."""
    known = set(record.findings)

    @settings(
        max_examples=examples,
        derandomize=always_the_same,
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(requests)
    def ask(asked: Request | tuple[Request, ...]) -> None:
        together = asked if isinstance(asked, tuple) else (asked,)
        answers = stage.ask_at_once(together) if isinstance(asked, tuple) else [stage.ask(asked)]
        for request, first in zip(together, answers, strict=True):
            if first.seconds > SLOW_S:  # a busy machine is slow now and then
                record.seen(request, first)
                first = stage.ask(request)
            finding = look(record, request, first)
            if finding is not None and finding.kind not in known:
                raise Found(finding.kind)

    with contextlib.suppress(Found, FlakyFailure):
        ask()
