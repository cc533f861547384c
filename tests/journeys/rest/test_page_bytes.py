"""Pages that would have more bytes than the deployment lets a page have: they are shorter, and the next link goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST = 20_000
SETTINGS = {"max_page_bytes": MOST}
LARGE = 6_000
"""Three of these fit on a page."""


async def put(client: httpx.AsyncClient, kind: str, id: str, size: int, **elements: Any) -> None:
    await asyncio.sleep(0.002)  # lastUpdated counts milliseconds
    ballast = [{"url": "urn:ballast", "valueString": "x" * size}]
    body = {"resourceType": kind, "id": id, "extension": ballast, **elements}
    answer = await client.put(f"/fhir/{kind}/{id}", json=body)
    assert answer.status_code in (200, 201), answer.text


async def readings(client: httpx.AsyncClient, mark: str, count: int, size: int = LARGE, **elements: Any) -> None:
    about = {"status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}}
    for number in range(count):
        day = {"effectiveDateTime": f"2026-01-{20 - number:02}"}
        subject = {"subject": {"reference": f"Patient/{mark}"}}
        await put(client, "Observation", f"{mark}-{number}", size, **about, **day, **subject, **elements)


async def pages(client: httpx.AsyncClient, path: str, mark: str) -> list[list[str]]:
    """What the entries of each page are called; a page has at most so many bytes, or one entry."""
    url: str | None = path
    found: list[list[str]] = []
    while url:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        entries = page.get("entry", [])
        assert len(entries) <= 1 or len(answer.content) < MOST * 1.2
        found.append([entry["fullUrl"].rpartition("/")[2].removeprefix(mark).removeprefix("-") for entry in entries])
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return found


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param("subject={0}&code=718-7&_sort=-date", ["0", "1", "2", "3", "4"], id="newest first"),
        pytest.param("subject={0}&_sort=date", ["4", "3", "2", "1", "0"], id="by date"),
        pytest.param("subject={0}&_sort=_id", ["0", "1", "2", "3", "4"], id="by id"),
        pytest.param("patient={0}&status=final&_sort=status,_id", ["0", "1", "2", "3", "4"], id="by two keys"),
    ],
)
async def test_a_search_goes_on_behind_what_fits(
    client: httpx.AsyncClient, mark: str, asked: str, expected: list[str]
) -> None:
    await put(client, "Patient", mark, 10)
    await readings(client, mark, 5)

    found = await pages(client, f"/fhir/Observation?{asked.replace('{0}', f'Patient/{mark}')}", mark)

    assert [one for page in found for one in page] == expected
    assert 2 <= len(found) <= 4


async def test_one_resource_that_is_larger_than_a_page_is_a_page(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark, 10)
    await readings(client, mark, 2, size=MOST + 1)

    assert await pages(client, f"/fhir/Observation?subject=Patient/{mark}&_sort=_id", mark) == [["0"], ["1"]]


async def test_a_page_has_fewer_matches_when_they_include_much(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark, 10)
    for number in range(4):
        await put(client, "Practitioner", f"{mark}-p{number}", LARGE)
    about = {"status": "final", "code": {"text": "x"}, "subject": {"reference": f"Patient/{mark}"}}
    for number in range(4):
        by = {"performer": [{"reference": f"Practitioner/{mark}-p{number}"}]}
        await put(client, "Observation", f"{mark}-{number}", 3_000, **about, **by)

    asked = f"subject=Patient/{mark}&_sort=_id&_include=Observation:performer"
    found = await pages(client, f"/fhir/Observation?{asked}", mark)

    assert found == [["0", "1", "p0", "p1"], ["2", "3", "p2", "p3"]]


async def test_one_match_that_includes_more_than_a_page_is_refused(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark, 10)
    await readings(client, mark, 5)

    answer = await client.get(f"/fhir/Patient?_id={mark}&_revinclude=Observation:subject")

    assert answer.status_code == 413
    assert "include less" in answer.json()["issue"][0]["diagnostics"]


async def test_several_types_keep_their_order(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark, 10)
    await readings(client, mark, 5)
    await put(client, "Basic", f"{mark}-00", 10, code={"text": "x"}, subject={"reference": f"Patient/{mark}"})
    await put(client, "Basic", f"{mark}-5", 10, code={"text": "x"}, subject={"reference": f"Patient/{mark}"})

    for sort in ("", "?_sort=_id"):
        found = await pages(client, f"/fhir/Patient/{mark}/*{sort}", mark)
        assert sorted(one for page in found for one in page) == ["", "0", "00", "1", "2", "3", "4", "5"]
        if sort:
            assert [one for page in found for one in page] == ["", "0", "00", "1", "2", "3", "4", "5"]


async def test_a_history_goes_on_behind_what_fits(client: httpx.AsyncClient, mark: str) -> None:
    for number in range(5):
        await put(client, "Organization", mark, LARGE + number, name="x")

    assert sum(map(len, await pages(client, f"/fhir/Organization/{mark}/_history", mark))) == 5
    listed = {"status": "current", "mode": "working", "entry": [{"item": {"reference": f"Organization/{mark}"}}]}
    await put(client, "List", f"{mark}l", 10, **listed)
    assert sum(map(len, await pages(client, f"/fhir/_history?_list={mark}l", mark))) == 5


async def test_the_whole_record_goes_on_behind_what_fits(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark, LARGE)
    await readings(client, mark, 5)
    for number in range(3):
        about = {"code": {"text": "x"}, "subject": {"reference": f"Patient/{mark}"}}
        await put(client, "Condition", f"{mark}-c{number}", LARGE, **about)

    found = await pages(client, f"/fhir/Patient/{mark}/$everything", mark)

    assert sorted(one for page in found for one in page) == ["", "0", "1", "2", "3", "4", "c0", "c1", "c2"]
    assert 3 <= len(found) <= 6
