"""The same requests to a facade on each store, whose answers must be alike."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fhir_facade.fhir.definitions import resource_types
from tests.facade import Served
from tests.fuzz.alike import differences
from tests.fuzz.resources import made
from tests.fuzz.stage import Stage
from tests.fuzz.wire import GIVEN_UP, Answer, Request

OF_EACH_TYPE: Final = 3
MOST_PAGES: Final = 6
FHIR: Final = (("Content-Type", "application/fhir+json"),)
_FULL_TEXT: Final = ("_content", "_text")
_NEWEST: Final = Request("GET", "/fhir/_history?_count=20", "system")


@dataclass
class Both:
    """Asks as a `Stage` does. An answer of `here` carries the one of `there`. Where a page has a next one, the first
    page that differs is the answer; where what a write left differs, that is. What has no index over HAPI is not asked."""

    here: Stage
    there: Stage
    newest: bytes = b""

    @property
    def running(self) -> Served:
        return self.here.running

    def message(self, request: Request) -> bytes:
        return self.here.message(request)

    def ask(self, request: Request) -> Answer:
        if any(word in request.target or word.encode() in (request.body or b"") for word in _FULL_TEXT):
            return Answer(GIVEN_UP)
        answer = self._asked(request, request)
        if request.method not in ("GET", "HEAD") and not _differ(answer):
            left = self._asked(_NEWEST, _NEWEST)
            before, self.newest = self.newest, _entries(left)
            return left if self.newest != before and _differ(left) else answer
        for _ in range(MOST_PAGES):
            following = [_following(each) for each in (answer, answer.elsewhere or answer)]
            if _differ(answer) or None in following:
                break
            answer = self._asked(*(Request("GET", str(target), request.caller) for target in following))
        return answer

    def ask_at_once(self, requests: Sequence[Request]) -> list[Answer]:
        """One after another: who wins a race is not the store's to say."""
        return [self.ask(request) for request in requests]

    def renew(self) -> None:
        for stage in (self.here, self.there):
            stage.renew()

    def _asked(self, here: Request, there: Request) -> Answer:
        return replace(self.here.ask(here), elsewhere=self.there.ask(there))


def _differ(answer: Answer) -> bool:
    return bool(differences(answer, answer.elsewhere or answer))


def _entries(answer: Answer) -> bytes:
    """Those of both, to tell whether something was written."""
    both = (answer, answer.elsewhere or answer)
    return json.dumps([json.loads(each.body).get("entry") for each in both if each.status == 200]).encode()


def _following(answer: Answer) -> str | None:
    """The next link of a page, from its path on."""
    if answer.status != 200 or b'"next"' not in answer.body:
        return None
    links = json.loads(answer.body).get("link", ())
    url = next((str(link["url"]) for link in links if link.get("relation") == "next"), None)
    return None if url is None else url[url.index("/", len("http://")) :]


def records(seed: int) -> Iterator[Request]:
    """What both are to hold: resources of every type, of which the gate refuses some."""
    chance = random.Random(seed)
    for kind in resource_types():
        for number in range(OF_EACH_TYPE):
            body = {**made(kind, chance.randrange(2**32)), "id": f"r{number}"}
            yield Request("PUT", f"/fhir/{kind}/r{number}", "system", FHIR, json.dumps(body).encode())


def folders(below: Path) -> tuple[Path, Path]:
    """A place for each of the two."""
    both = below / "sqlite", below / "over-hapi"
    for folder in both:
        folder.mkdir()
        folder.chmod(0o755)
    return both
