"""The link `previous` of a page leads to the page before it, as far as links remember. https://hl7.org/fhir/R4/http.html#paging"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.facade import Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


async def put(client: httpx.AsyncClient, address: str, **elements: Any) -> None:
    kind, id_ = address.split("/")
    answer = await client.put(f"/fhir/{address}", json={"resourceType": kind, "id": id_, **elements})
    assert answer.status_code in (200, 201), answer.text


async def admitted(client: httpx.AsyncClient, mark: str, readings: int = 7) -> None:
    await put(client, f"Patient/{mark}")
    for number in range(readings):
        await reading(client, mark, number)


async def reading(client: httpx.AsyncClient, mark: str, number: int) -> None:
    about = {"code": {"text": "x"}, "subject": {"reference": f"Patient/{mark}"}}
    day = f"2026-{number // 28 + 1:02}-{number % 28 + 1:02}"
    await put(client, f"Observation/{mark}-{number:03}", status="final", effectiveDateTime=day, **about)


async def page(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def linked(bundle: dict[str, Any], relation: str) -> str | None:
    return next((link["url"] for link in bundle["link"] if link["relation"] == relation), None)


def shown(bundle: dict[str, Any]) -> list[str]:
    """Each resource and its version, matches and what is included."""
    return [f"{e['fullUrl']}/{e['resource']['meta']['versionId']}" for e in bundle.get("entry", ())]


async def walked(client: httpx.AsyncClient, url: str | None, relation: str) -> list[dict[str, Any]]:
    """The page at an address, and all that the links of this relation lead to."""
    found, following = list[dict[str, Any]](), url
    while following is not None:
        found.append(await page(client, following))
        following = linked(found[-1], relation)
    return found


async def test_the_links_of_others_and_of_pages_that_are_none_lead_nowhere(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    await admitted(client, mark)
    third = (await walked(client, f"/fhir/Observation?patient={mark}&_count=2", "next"))[2]
    back = linked(third, "previous")
    assert back is not None

    assert (await client.get(f"{back}x")).status_code == 410
    assert (await client.get(f"{back}&status=final")).status_code == 400
    async with await facade.client("system/Observation.rs") as other:
        assert (await other.get(back)).status_code == 410


async def test_what_fits_on_one_page_has_no_page_before_it(client: httpx.AsyncClient, mark: str) -> None:
    await admitted(client, mark, 2)

    only = await page(client, f"/fhir/Observation?patient={mark}")

    assert [link["relation"] for link in only["link"]] == ["self"]


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param("Observation?patient={0}&_sort=-date&_count=2", id="sorted"),
        pytest.param("Observation?patient={0}&_count=2", id="as it was created"),
        pytest.param("Observation?patient={0}&_count=2&_include=Observation:subject&_total=accurate", id="includes"),
        pytest.param("Observation?patient={0}&_count=2&_sort=_tag", id="an order that the facade makes"),
        pytest.param("Patient/{0}/Observation?_count=2&_sort=date", id="compartment"),
        pytest.param("Patient/{0}/*?_count=2", id="all of a compartment"),
        pytest.param("?_type=Observation,Patient&_id={0},{0}-000,{0}-002,{0}-003,{0}-004&_count=2", id="several types"),
        pytest.param("Patient/{0}/$everything?_count=2", id="everything"),
        pytest.param("Observation/{0}-000/_history?_count=1", id="history"),
    ],
)
async def test_the_way_back_shows_the_pages_of_the_way_there(client: httpx.AsyncClient, mark: str, asked: str) -> None:
    await admitted(client, mark)
    for second in range(2):
        issued = {"issued": f"2026-01-01T00:00:0{second}Z"}
        changed = await client.patch(f"/fhir/Observation/{mark}-000", json=issued, headers=MERGE_PATCH)
        assert changed.status_code == 200, changed.text

    there = await walked(client, f"/fhir/{asked.replace('{0}', mark)}", "next")
    back = await walked(client, linked(there[-1], "previous"), "previous")

    assert len(there) >= 3
    assert [shown(one) for one in back] == [shown(one) for one in reversed(there[:-1])]
    assert [one.get("total") for one in back] == [one.get("total") for one in reversed(there[:-1])]
    again = await walked(client, linked(back[-1], "next"), "next")
    assert [shown(one) for one in again] == [shown(one) for one in there[1:]]


async def test_links_remember_many_pages_and_stay_short(client: httpx.AsyncClient, mark: str) -> None:
    await admitted(client, mark, 45)

    there = await walked(client, f"/fhir/Observation?patient={mark}&_sort=date&_count=1", "next")
    back = await walked(client, linked(there[-1], "previous"), "previous")

    assert len(there) == 45
    assert len(back) > 30
    assert [shown(one) for one in back] == [shown(one) for one in reversed(there[-1 - len(back) : -1])]
    assert all(len(link["url"]) < 5000 for one in there for link in one["link"])
