"""The pages of `$everything` on both stores: whole, each as large as asked for, whatever happens between two of them."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.facade import PUBLIC
from tests.journeys.operations.world import Bedside, Resource, ids, pages

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_S = 60
"""A page that takes longer never comes."""


async def following(client: httpx.AsyncClient, page: Resource) -> Resource:
    url = next(link["url"] for link in page["link"] if link["relation"] == "next").removeprefix(PUBLIC)
    answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("count", [3, 4])
async def test_a_page_may_end_within_what_a_store_keeps_for_the_next(bedside: Bedside, count: int) -> None:
    """More resources of a type than two pages hold, some of them found by two parameters."""
    performed = {"performer": [{"reference": bedside.reference}]}
    written = [
        await bedside.mass(each, f"2026-01-0{each}", "a", **performed if each % 2 else {}) for each in range(1, 9)
    ]
    goal = await bedside.post("Goal", lifecycleStatus="active", description={"text": "walk"})

    async with asyncio.timeout(PATIENCE_S):
        found = await pages(bedside.world.system, f"/fhir/Patient/{bedside.patient}/$everything?_count={count}")

    assert sorted(ids(*found)) == sorted([bedside.patient, goal["id"], *written])
    assert all(0 < len(ids(page)) <= count for page in found)


@pytest.mark.parametrize("count", [1, 3])
async def test_a_record_with_few_types_from_first_to_last_is_whole(bedside: Bedside, count: int) -> None:
    """What a record may have is asked for in stretches of its types."""
    written = [
        await bedside.post("Basic", code={"text": "note"}, subject={"reference": bedside.reference}),
        await bedside.post("Goal", lifecycleStatus="active", description={"text": "walk"}),
        await bedside.post("ServiceRequest", status="active", intent="order", code={"text": "walk"}),
    ]

    async with asyncio.timeout(PATIENCE_S):
        found = await pages(bedside.world.system, f"/fhir/Patient/{bedside.patient}/$everything?_count={count}")

    assert [id_ for page in found for id_ in ids(page)] == [bedside.patient, *(each["id"] for each in written)]
    assert all(0 < len(ids(page)) <= count for page in found)


@pytest.mark.parametrize(
    "path", ["Patient/{}/$everything?_count=2", "Observation?_count=2", "?_type=Observation&_count=2"]
)
async def test_what_became_somebody_elses_between_two_pages_is_left_out(bedside: Bedside, path: str) -> None:
    other = await bedside.world.new_patient()
    written = sorted([await bedside.mass(each, f"2026-01-0{each}", "a") for each in range(1, 7)])
    async with await bedside.world.person(bedside.patient) as person:
        first = (await person.get(f"/fhir/{path.format(bedside.patient)}".replace("/?", "?"))).json()
        second = await following(person, first)
        moved = next(each for each in reversed(written) if each not in ids(first, second))
        resource = (await bedside.world.system.get(f"/fhir/Observation/{moved}")).json()
        await bedside.world.put(resource | {"subject": {"reference": other.reference}})
        rest = await pages(person, next(link["url"] for link in second["link"] if link["relation"] == "next"))

    assert sorted({*ids(first, second, *rest)} - {bedside.patient}) == [each for each in written if each != moved]


async def test_what_is_deleted_between_two_pages_is_left_out(bedside: Bedside) -> None:
    written = sorted([await bedside.mass(each, f"2026-01-0{each}", "a") for each in range(1, 7)])
    system = bedside.world.system
    first = (await system.get(f"/fhir/Patient/{bedside.patient}/$everything?_count=2")).json()
    second = await following(system, first)
    gone = next(each for each in reversed(written) if each not in ids(first, second))
    assert (await system.delete(f"/fhir/Observation/{gone}")).status_code in (200, 204)
    rest = await pages(system, next(link["url"] for link in second["link"] if link["relation"] == "next"))

    assert sorted(ids(first, second, *rest)) == sorted({bedside.patient, *written} - {gone})


async def test_what_is_written_before_the_first_page_is_on_it_whatever_its_type(bedside: Bedside) -> None:
    await pages(bedside.world.system, f"/fhir/Patient/{bedside.patient}/$everything")
    goal = await bedside.post("Goal", lifecycleStatus="active", description={"text": "walk"})

    found = await pages(bedside.world.system, f"/fhir/Patient/{bedside.patient}/$everything")

    assert sorted(ids(*found)) == sorted([bedside.patient, goal["id"]])
