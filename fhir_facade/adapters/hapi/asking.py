"""One request for a page of a search, and what HAPI answered it.

https://hapifhir.io/hapi-fhir/docs/server_jpa/performance.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from fhir_facade.adapters.hapi.content import Bundle, bundle, stored
from fhir_facade.adapters.hapi.query import Parameter
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import Gone, UpstreamError
from fhir_facade.values import StoredResource

LONGEST_URL = 1500
_COUNT = re.compile(r"(?:^|&)_count=([0-9]+)")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FROM_THE_FIRST: Final = ("_offset", "0")
STRICT = {"Prefer": "handling=strict"}


async def ask_once(
    session: HapiSession, type: str, asked: Sequence[Parameter], count: int, *, repeated: bool
) -> Bundle:
    """Without a stored search, which halves the cost."""
    return await ask(session, type, *once(asked, count, repeated=repeated))


def once(asked: Sequence[Parameter], count: int, *, repeated: bool) -> tuple[list[Parameter], dict[str, str]]:
    """`repeated`: by several rows of its index for one resource perhaps, which HAPI takes together when it is asked for
    what begins at the first. Otherwise it is cheaper to take as many rows as there are to be resources."""
    limited = [*asked, ("_count", str(count))]
    if repeated:
        return [*limited, FROM_THE_FIRST], {}
    return limited, {"Cache-Control": f"no-cache, no-store, max-results={count}"}


async def ask(
    session: HapiSession, type: str, asked: Sequence[Parameter], headers: Mapping[str, str] | None = None
) -> Bundle:
    found = await asked_within(session, type, asked, headers, None)
    assert found is not None, "there was no limit"
    return found


async def asked_within(
    session: HapiSession,
    type: str,
    asked: Sequence[Parameter],
    headers: Mapping[str, str] | None,
    most: int | None,
) -> Bundle | None:
    """None when the answer has more than so many bytes."""
    form, sent = urlencode(asked, quote_via=quote, safe=":,/"), STRICT | dict(headers or {})
    if len(form) <= LONGEST_URL:
        answer = await session.send("GET", f"/{type}?{form}", headers=sent, most=most)
    else:
        answer = await session.send("POST", f"/{type}/_search", form.encode(), headers=sent | FORM, most=most)
    if answer.status != 200:
        raise answer.refusal(f"a search of {type}")
    return None if answer.overlong else bundle(answer.body)


async def follow(session: HapiSession, type: str, link: str, count: int | None = None) -> Bundle:
    """The page behind a link of HAPI, asked for where we reach HAPI; its links may name another host. Of `count`
    resources, whatever the page before had, and of fewer where it would have more bytes than a page may: HAPI's next
    link goes on behind them."""
    query = urlsplit(link).query
    asked = query if count is None else of_as_many(query, count)
    while True:
        fewer = halved(asked)
        found = await _behind(session, type, link, asked, session.page_bytes if fewer else None)
        if found is not None:
            return found
        assert fewer is not None, "there was no limit"
        asked = fewer


async def follow_once(session: HapiSession, type: str, link: str, count: int, most: int) -> Bundle | None:
    """So many resources behind a link of HAPI, whose next link goes on behind them. None where they have more than so
    many bytes, or the link does not say how many its page has."""
    query = urlsplit(link).query
    return await _behind(session, type, link, of_as_many(query, count), most) if _COUNT.search(query) else None


async def _behind(session: HapiSession, type: str, link: str, asked: str, most: int | None) -> Bundle | None:
    path = f"/{type}" if urlsplit(link).path.endswith(f"/{type}") else ""
    answer = await session.send("GET", f"{path}?{asked}", most=most)
    if answer.status == 410:
        raise Gone("this page link has expired: repeat the search")
    if answer.status != 200:
        raise answer.refusal("the next page of the search")
    return None if answer.overlong else bundle(answer.body)


def of_as_many(asked: str, count: int) -> str:
    """A query for so many; the same one where it does not say for how many."""
    said = _COUNT.search(asked)
    return asked if said is None else f"{asked[: said.start(1)]}{count}{asked[said.end(1) :]}"


def halved(asked: str) -> str | None:
    """A query for half as many; None for one that cannot ask for fewer."""
    count = _COUNT.search(asked)
    return None if count is None or int(count[1]) < 2 else of_as_many(asked, int(count[1]) // 2)


def resources(found: Bundle) -> list[StoredResource]:
    if any(not entry.resource for entry in found.entry):
        raise UpstreamError("HAPI answered a search with an entry that holds no resource")
    return [stored(bytes(entry.resource)) for entry in found.entry]
