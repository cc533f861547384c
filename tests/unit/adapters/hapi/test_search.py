"""How many requests a search becomes, and which."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl

import pytest
from aiohttp import web

from fhir_facade.adapters.hapi import open_store
from fhir_facade.adapters.hapi.gathering import AT_ONCE, MAX_GATHERED_IDS
from fhir_facade.adapters.hapi.search import search
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import TimedOut, TooLarge
from fhir_facade.fhir.match import CONTAINED
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import Match, SearchQuery, TokenValue
from tests.unit.adapters.hapi.test_answers import answering

ELSEWHERE = "http://public.example/fhir"


class Patients:
    """A HAPI with so many patients; it keeps what it was asked, and its links name a host where nobody reaches it."""

    def __init__(self, number: int, largest_page: int = AT_ONCE) -> None:
        self.number = number
        self.largest_page = largest_page
        self.asked: list[tuple[dict[str, str], str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        form = parse_qs(request.query_string or (await request.read()).decode())
        values = {name: each[0] for name, each in form.items()}
        self.asked.append((values, request.headers.get("Cache-Control", "")))
        start = int(values.get("_getpagesoffset", "0"))
        end = min(start + min(int(values.get("_count", AT_ONCE)), self.largest_page), self.number)
        found = values["_id"].split(",") if "_id" in values else [f"p{each}" for each in range(start, end)]
        bundle = {"resourceType": "Bundle", "entry": [{"resource": patient(name)} for name in found]}
        if end < self.number and "no-store" not in self.asked[-1][1]:
            url = f"{ELSEWHERE}?_getpages=x&_getpagesoffset={end}&_count={values['_count']}"
            bundle["link"] = [{"relation": "next", "url": url}]
        return web.Response(text=json.dumps(bundle))


def patient(name: str) -> dict[str, object]:
    meta = {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00.000Z"}
    return {"resourceType": "Patient", "id": name, "meta": meta}


def either() -> SearchQuery:
    """An OR between two parameters, which HAPI cannot do at once."""
    female = Match("gender", "token", (TokenValue(None, "female"),))
    active = Match("active", "token", (TokenValue(None, "true"),))
    return SearchQuery("Patient", any_of=((female,), (active,)), count=2)


async def test_more_than_can_be_gathered_is_refused() -> None:
    async with answering(Patients(MAX_GATHERED_IDS + 1).answer) as url, open_store(url) as store:
        with pytest.raises(TooLarge, match="narrow it"):
            await store.search(either())


async def test_ids_are_gathered_over_all_pages() -> None:
    hapi = Patients(2 * AT_ONCE + 500)

    async with answering(hapi.answer) as url, open_store(url) as store:
        await store.search(either())

    asked = hapi.asked[-1][0]
    assert len(asked["_id"].split(",")) == 2 * AT_ONCE + 500


async def test_of_records_that_may_contain_something_only_that_is_asked_for() -> None:
    hapi = Patients(MAX_GATHERED_IDS + 1)
    containing = Match(CONTAINED, "token", (TokenValue(None, "Organization"),))

    async with answering(hapi.answer) as url, open_store(url) as store:
        with pytest.raises(TooLarge, match=f"more than {MAX_GATHERED_IDS:,}"):
            await store.search(SearchQuery("Patient", (containing,)))

    assert {asked["_elements"] for asked, _ in hapi.asked if "_elements" in asked} == {"contained"}


async def test_few_ids_are_gathered_at_once() -> None:
    hapi = Patients(3)

    async with answering(hapi.answer) as url, open_store(url) as store:
        await store.search(either())

    assert ["no-store" in cache or "_offset" in asked for asked, cache in hapi.asked] == [True, True, True]


@pytest.mark.parametrize(
    ("asked", "total", "requests"),
    [
        pytest.param("value-quantity=5", False, 1, id="equal"),
        pytest.param("value-quantity=sa5", False, 1, id="starts after"),
        pytest.param("value-quantity=5,6", False, 3, id="one of two, whose ids are gathered"),
        pytest.param("value-quantity=gt5", True, 1, id="greater, counted"),
        pytest.param("value-quantity=le5", True, 1, id="less or equal, counted"),
        pytest.param("value-quantity=ap5", True, 1, id="around, counted"),
        pytest.param("value-quantity=5", True, 1, id="equal, counted on the page"),
        pytest.param("value-quantity=eb5&_count=0", True, 1, id="ends before, counted"),
        pytest.param("value-quantity=5&_count=0", True, 3, id="equal, counted: what is across both ends is asked for"),
        pytest.param(
            "subject:Patient._has:Observation:patient:value-quantity=5", True, 3, id="equal, one for each hop"
        ),
    ],
)
async def test_amounts_that_may_be_intervals_cost_requests_only_where_they_are_counted(
    asked: str, total: bool, requests: int
) -> None:
    hapi = Patients(1)
    query = parse_query("Observation", parse_qsl(asked), now=datetime(2026, 11, 21, tzinfo=UTC)).query

    async with answering(hapi.answer) as url, open_store(url) as store:
        await store.search(replace(query, total=total))

    assert len(hapi.asked) == requests


async def test_a_first_page_keeps_no_search_in_hapi_and_the_second_begins_one() -> None:
    hapi = Patients(5)

    async with answering(hapi.answer) as url, open_store(url) as store:
        pages = [await store.search(SearchQuery("Patient", count=2))]
        while pages[-1].cursor is not None:
            pages.append(await store.search(SearchQuery("Patient", count=2, cursor=pages[-1].cursor)))

    assert [[entry.id for entry in page.entries] for page in pages] == [["p0", "p1"], ["p2", "p3"], ["p4"]]
    assert ["no-store" in cache for _, cache in hapi.asked] == [True, False, False, False]


async def test_a_page_as_large_as_hapi_allows_begins_a_stored_search() -> None:
    hapi = Patients(AT_ONCE + 1)

    async with answering(hapi.answer) as url, open_store(url) as store:
        page = await store.search(SearchQuery("Patient", count=AT_ONCE))
        rest = await store.search(SearchQuery("Patient", count=AT_ONCE, cursor=page.cursor))

    assert (len(page.entries), [entry.id for entry in rest.entries], rest.cursor) == (AT_ONCE, [f"p{AT_ONCE}"], None)
    assert ["no-store" in cache for _, cache in hapi.asked] == [False, False]


@pytest.mark.parametrize("count", [7, AT_ONCE], ids=["some", "as many as HAPI gives at once"])
async def test_a_page_has_no_more_bytes_than_it_may_and_the_next_goes_on(count: int) -> None:
    hapi = Patients(20)
    room = len(json.dumps({"resourceType": "Bundle", "entry": [{"resource": patient("p10")}] * 4}))
    found: list[list[str]] = []
    async with answering(hapi.answer) as url, open_store(url, page_bytes=room) as store:
        query: SearchQuery | None = SearchQuery("Patient", count=count)
        while query is not None:
            page = await store.search(query)
            found.append([entry.id for entry in page.entries])
            query = None if page.cursor is None else replace(query, cursor=page.cursor)

    assert [one for page in found for one in page] == [f"p{number}" for number in range(20)]
    assert max(len(page) for page in found) <= 4


async def test_a_resource_larger_than_a_page_is_a_page() -> None:
    async with answering(Patients(3).answer) as url, open_store(url, page_bytes=10) as store:
        first = await store.search(SearchQuery("Patient", count=10))
        second = await store.search(SearchQuery("Patient", count=10, cursor=first.cursor))

    assert [len(page.entries) for page in (first, second)] == [1, 1]


async def test_a_later_page_has_as_many_as_it_is_asked_for_whatever_the_one_before_had() -> None:
    found: list[list[str]] = []
    async with answering(Patients(12).answer) as url, open_store(url) as store:
        query: SearchQuery | None = SearchQuery("Patient", count=4)
        for count in (3, 2, 1, 4, 4):
            page = await store.search(query)
            found.append([entry.id for entry in page.entries])
            query = replace(query, cursor=page.cursor, count=count)

    assert found == [["p0", "p1", "p2", "p3"], ["p4", "p5", "p6"], ["p7", "p8"], ["p9"], ["p10", "p11"]]


async def test_a_search_that_takes_too_long_is_told() -> None:
    asked_enough = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await asked_enough.wait()
        return web.Response()

    async with answering(slow) as url:
        session = HapiSession(url, pool_size=2)
        with pytest.raises(TimedOut, match=r"this search of Patient takes more than 0\.05 s") as refused:
            await search(session, either(), within_s=0.05)
        asked_enough.set()
        await session.close()

    assert (refused.value.status, refused.value.issues[0].code) == (503, "timeout")
