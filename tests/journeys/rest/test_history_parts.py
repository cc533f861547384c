"""Histories of some types, of a list, and of the records that a person may see: put together, page by page."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.facade import Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def put(client: httpx.AsyncClient, kind: str, id: str, **elements: Any) -> str:
    """When it was written."""
    await asyncio.sleep(0.002)  # lastUpdated counts milliseconds
    answer = await client.put(f"/fhir/{kind}/{id}", json={"resourceType": kind, "id": id, **elements})
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["meta"]["lastUpdated"])


async def reading(client: httpx.AsyncClient, id: str, patient: str, value: str) -> str:
    about = {"status": "final", "code": {"text": "x"}, "subject": {"reference": f"Patient/{patient}"}}
    return await put(client, "Observation", id, **about, valueString=value)


async def pages(client: httpx.AsyncClient, path: str) -> list[list[str]]:
    """What the entries of each page say, e.g. `PUT Patient/a 2`."""
    url: str | None = path
    found: list[list[str]] = []
    while url:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found.append([told(entry) for entry in page.get("entry", [])])
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return found


def told(entry: dict[str, Any]) -> str:
    address = "/".join(entry["fullUrl"].split("/")[-2:])
    return f"{entry['request']['method']} {address} {entry['response']['etag'][3:-1]}"


def plain(found: list[list[str]], mark: str) -> list[list[str]]:
    return [[one.replace(mark, "") for one in page] for page in found]


async def ward(client: httpx.AsyncClient, mark: str) -> str:
    """Two patients with readings; when the first was written."""
    since = await put(client, "Patient", f"{mark}own")
    await put(client, "Patient", f"{mark}other")
    for value in ("one", "two"):
        await reading(client, f"{mark}a", f"{mark}own", value)
        await reading(client, f"{mark}x", f"{mark}other", value)
    await reading(client, f"{mark}b", f"{mark}own", "one")
    await reading(client, f"{mark}moved", f"{mark}own", "one")
    await reading(client, f"{mark}moved", f"{mark}other", "two")
    await reading(client, f"{mark}came", f"{mark}other", "one")
    await reading(client, f"{mark}came", f"{mark}own", "two")
    await reading(client, f"{mark}gone", f"{mark}own", "one")
    await client.delete(f"/fhir/Observation/{mark}gone")
    return since


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("_history?_type=Heart", 400, "no resource type"),
        ("_history?_type=Parameters", 400, "no resource type"),
        ("_history?_type=Patient,AuditEvent", 400, "search for them"),
        ("Patient/_history?_type=Patient", 400, "the address names the type"),
        ("_history?_list=List/1/2", 400, "the id of a List"),
        ("Patient/_history?_list=$current-problems", 400, "the id of a List"),
    ],
)
async def test_what_no_history_knows_is_refused(client: httpx.AsyncClient, path: str, status: int, says: str) -> None:
    answer = await client.get(f"/fhir/{path}")

    assert answer.status_code == status, answer.text
    assert says in answer.json()["issue"][0]["diagnostics"]


async def test_some_types_have_a_history_together(client: httpx.AsyncClient, mark: str) -> None:
    since = quote(await ward(client, mark))
    await put(client, "Organization", f"{mark}c", name="x")

    found = plain(await pages(client, f"/fhir/_history?_type=Patient,Observation&_since={since}&_count=4"), mark)

    assert found == [
        ["DELETE Observation/gone 2", "POST Observation/gone 1", "PUT Observation/came 2", "POST Observation/came 1"],
        ["PUT Observation/moved 2", "POST Observation/moved 1", "POST Observation/b 1", "PUT Observation/x 2"],
        ["PUT Observation/a 2", "POST Observation/x 1", "POST Observation/a 1", "POST Patient/other 1"],
        ["POST Patient/own 1"],
    ]


async def test_a_list_has_the_history_of_its_members(client: httpx.AsyncClient, mark: str) -> None:
    since = quote(await ward(client, mark))
    members = [f"Observation/{mark}a", f"Patient/{mark}own"]
    entries = [{"item": {"reference": member}} for member in members]
    await put(client, "List", f"{mark}l", status="current", mode="working", entry=entries)

    async def found(path: str, asked: str = "") -> list[list[str]]:
        return plain(await pages(client, f"/fhir/{path}_history?_list={mark}l&_since={since}{asked}"), mark)

    changed = ["PUT Observation/a 2", "POST Observation/a 1"]
    assert await found("", "&_count=1") == [[changed[0]], [changed[1]], ["POST Patient/own 1"]]
    assert await found("Observation/") == [changed]
    assert await found("", "&_type=Patient") == [["POST Patient/own 1"]]
    assert await found(f"Observation/{mark}a/") == [changed]
    assert await found(f"Observation/{mark}x/") == [[]]
    assert await pages(client, f"/fhir/_history?_list={mark}none") == [[]]


async def test_a_person_is_told_the_own_part_and_nothing_of_others(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    """What went away is told by its own history, because a deletion does not say whose it was."""
    since = quote(await ward(client, mark))
    own = ["PUT Observation/came 2", "POST Observation/b 1", "PUT Observation/a 2", "POST Observation/a 1"]

    async with await facade.client(
        "patient/Patient.rs patient/Observation.rs patient/AuditEvent.rs", patient=f"{mark}own"
    ) as person:
        one_by_one = plain(await pages(person, f"/fhir/Observation/_history?_count=1&_since={since}"), mark)
        together = (await person.get("/fhir/Observation/_history")).json()
        everything = plain(await pages(person, "/fhir/_history"), mark)
        link = (await person.get("/fhir/Observation/_history?_count=1")).json()["link"][-1]["url"]
        refused = await person.get("/fhir/_history?_type=Condition")
        audit = await person.get("/fhir/AuditEvent/_history")
        empty = (await person.get("/fhir/Observation/_history?_count=0")).json()
    async with await facade.client("patient/*.rs", patient=f"{mark}other") as other:
        stolen = await other.get(link)
    async with await facade.client("patient/Observation.rs", patient=f"{mark}nobody") as nobody:
        nothing = (await nobody.get("/fhir/Observation/_history")).json()

    assert one_by_one == [[one] for one in own]
    assert together["total"] == 4
    assert everything == [[*own, "POST Patient/own 1"]]
    assert (refused.status_code, audit.status_code, stolen.status_code) == (403, 405, 410)
    assert "entry" not in empty
    assert (nothing["total"], "entry" in nothing) == (0, False)


async def test_the_own_part_of_a_time_is_what_stood_then(facade: Facade, client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", f"{mark}own")
    await reading(client, f"{mark}a", f"{mark}own", "one")
    moment = quote(await reading(client, f"{mark}b", f"{mark}own", "one"))
    await reading(client, f"{mark}a", f"{mark}own", "two")
    await reading(client, f"{mark}c", f"{mark}own", "one")

    async with await facade.client("patient/*.rs", patient=f"{mark}own") as person:
        then = plain(await pages(person, f"/fhir/Observation/_history?_at={moment}&_count=1"), mark)
        later = plain(await pages(person, f"/fhir/Observation/_history?_at=gt{moment}&_since={moment}"), mark)

    assert then == [["POST Observation/b 1"], ["POST Observation/a 1"]]
    assert later == [["POST Observation/c 1", "PUT Observation/a 2", "POST Observation/b 1"]]


async def test_a_page_stays_where_it_was_while_others_write(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    await put(client, "Patient", f"{mark}own")
    for name in "abc":
        await reading(client, f"{mark}{name}", f"{mark}own", "one")

    async with await facade.client("patient/*.rs", patient=f"{mark}own") as person:
        first = (await person.get("/fhir/Observation/_history?_count=2")).json()
        await reading(client, f"{mark}a", f"{mark}own", "two")
        await reading(client, f"{mark}d", f"{mark}own", "one")
        second = plain(await pages(person, first["link"][-1]["url"]), mark)

    assert plain([[told(entry) for entry in first["entry"]]], mark) == [
        ["POST Observation/c 1", "POST Observation/b 1"]
    ]
    assert second == [["POST Observation/a 1"]]
