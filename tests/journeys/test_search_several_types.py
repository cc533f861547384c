"""Searches of several types over HTTP on each store: of the whole system, of a compartment, and what points here.

https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/search.html#revinclude
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.facade import Facade
from tests.ward import facade_on

STORES = ["embedded", pytest.param("hapi", marks=pytest.mark.hapi)]
CODE = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}


@dataclass
class World:
    """Two patients, `p` and `q`; `p` has two readings and an encounter, and performed the reading of `q`."""

    facade: Facade
    client: httpx.AsyncClient
    mark: str

    async def put(self, kind: str, label: str, **elements: Any) -> None:
        body = {"resourceType": kind, "id": f"{self.mark}-{label}", "meta": self.tag, **elements}
        answer = await self.client.put(f"/fhir/{kind}/{body['id']}", json=body)
        assert answer.status_code == 201, answer.text

    @property
    def tag(self) -> dict[str, Any]:
        return {"tag": [{"system": "urn:world", "code": self.mark}]}

    def reference(self, kind: str, label: str) -> dict[str, str]:
        return {"reference": f"{kind}/{self.mark}-{label}"}

    async def bundle(self, url: str, client: httpx.AsyncClient | None = None) -> dict[str, Any]:
        answer = await (client or self.client).get(url.replace("{0}", self.mark))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def labels(self, url: str, client: httpx.AsyncClient | None = None) -> list[str]:
        """Every entry of every page, as `Type/label`, included ones with a plus."""
        found, seen = await self.bundle(url, client), []
        while True:
            for entry in found.get("entry", []):
                plus = "+" if entry["search"]["mode"] == "include" else ""
                own = entry["resource"]
                seen.append(f"{plus}{own['resourceType']}/{own['id'].removeprefix(f'{self.mark}-')}")
            following = [link["url"] for link in found["link"] if link["relation"] == "next"]
            if not following:
                return seen
            found = await self.bundle(following[0], client)


@pytest.fixture(params=STORES)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with facade_on(request.param, request, tmp_path) as facade, await facade.client() as client:
        world = World(facade, client, uuid.uuid4().hex[:12])
        patient = world.reference("Patient", "p")
        await world.put("Patient", "p", gender="female")
        await world.put("Patient", "q", gender="male")
        await world.put("Encounter", "e", status="finished", subject=patient, **{"class": {"code": "AMB"}})
        for label in "ab":
            await world.put("Observation", label, status="final", code=CODE, subject=patient)
        other = world.reference("Patient", "q")
        await world.put("Observation", "c", status="final", code=CODE, subject=other, performer=[patient])
        yield world


TAGGED = "_tag=urn:world|{0}"
ASKED = [
    (
        f"/fhir?_type=Patient,Observation&{TAGGED}",
        "Patient/p Patient/q Observation/a Observation/b Observation/c",
    ),
    (f"/fhir/?_type=Encounter,Patient&{TAGGED}&_sort=-_id", "Patient/q Patient/p Encounter/e"),
    (
        f"/fhir?_type=Encounter,Patient,Observation&{TAGGED}&_sort=_lastUpdated&_count=4",
        "Patient/p Patient/q Encounter/e Observation/a Observation/b Observation/c",
    ),
    (
        f"/fhir?_type=Encounter,Observation&{TAGGED}&_count=2",
        "Encounter/e Observation/a Observation/b Observation/c",
    ),
    (f"/fhir?{TAGGED}&_id={{0}}-a,{{0}}-e&_sort=_id", "Observation/a Encounter/e"),
    (
        f"/fhir?_type=Observation&{TAGGED}&_include=Observation:performer",
        "Observation/a Observation/b Observation/c +Patient/p",
    ),
    (f"/fhir?_type=Patient&{TAGGED}&gender=female", "Patient/p"),
    (
        f"/fhir?_type=Encounter,Observation&{TAGGED}&patient={{0}}-p&_count=1",
        "Encounter/e Observation/a Observation/b",
    ),
    (f"/fhir?status=final&subject:Patient.gender=male&_type=Encounter,Observation&{TAGGED}", "Observation/c"),
    (f"/fhir?_type=Encounter,Patient&{TAGGED}&_filter=_id eq {{0}}-p or _id eq {{0}}-e", "Encounter/e Patient/p"),
    ("/fhir/Patient/{0}-q/*?_type=Encounter,Observation&status=final", "Observation/c"),
    ("/fhir/Patient/{0}-p/Observation?_sort=_id", "Observation/a Observation/b Observation/c"),
    ("/fhir/Patient/{0}-p/Observation?_sort=-_id&_count=1&subject=Patient/{0}-p", "Observation/b Observation/a"),
    ("/fhir/Patient/{0}-q/Observation", "Observation/c"),
    ("/fhir/Patient/{0}-p/Patient", "Patient/p"),
    ("/fhir/Patient/{0}-none/Observation", ""),
    ("/fhir/Encounter/{0}-e/Encounter", "Encounter/e"),
    (
        "/fhir/Patient/{0}-p/*?_type=Encounter,Patient,Observation&_sort=_id&_count=3",
        "Observation/a Observation/b Observation/c Encounter/e Patient/p",
    ),
    ("/fhir/Patient/{0}-q/*?_count=1", "Observation/c Patient/q"),
    ("/fhir/Patient/{0}-q/Patient?_revinclude=Observation:*", "Patient/q +Observation/c"),
    ("/fhir/Observation?_id={0}-c&_include=*", "Observation/c +Patient/p +Patient/q"),
    ("/fhir/Observation?_id={0}-c&_include=Observation:*:Patient", "Observation/c +Patient/p +Patient/q"),
    (
        "/fhir/Patient?_id={0}-q&_revinclude=Observation:subject&_include:iterate=Observation:performer",
        "Patient/q +Observation/c +Patient/p",
    ),
    (
        "/fhir/Encounter?_id={0}-e&_include=Encounter:subject&_revinclude:iterate=Observation:performer",
        "Encounter/e +Patient/p +Observation/c",
    ),
]


async def test_several_types_are_found_in_one_order_over_all_pages(world: World) -> None:
    answers = {asked: (await world.labels(asked), expected.split()) for asked, expected in ASKED}

    assert {asked: answer for asked, answer in answers.items() if answer[0] != answer[1]} == {}


async def test_a_reference_to_one_version_includes_the_current_one(world: World) -> None:
    """Once, however many references lead to it; the other version is read at the address that the reference is."""
    reading = {"reference": f"Observation/{world.mark}-a/_history/1"}
    await world.put("Observation", "d", status="final", code=CODE, derivedFrom=[reading])
    await world.client.patch(
        f"/fhir/Observation/{world.mark}-a",
        json={"status": "amended"},
        headers={"Content-Type": "application/merge-patch+json"},
    )

    found = await world.bundle("/fhir/Observation?_id={0}-d&_include=Observation:derived-from")
    named = await world.client.get(f"/fhir/{reading['reference']}")

    assert [entry["resource"]["status"] for entry in found["entry"]] == ["final", "amended"]
    assert named.json()["status"] == "final"


async def test_a_star_includes_everything_that_points_here(world: World) -> None:
    found = await world.labels("/fhir/Patient?_id={0}-p&_revinclude=*")

    assert found[0] == "Patient/p"
    assert sorted(found[1:]) == ["+Encounter/e", "+Observation/a", "+Observation/b", "+Observation/c"]


async def test_the_total_of_several_types_is_their_sum(world: World) -> None:
    asked = f"/fhir?_type=Patient,Observation&{TAGGED}"

    bundles = [
        await world.bundle(f"{asked}&{how}") for how in ("_count=1&_total=accurate", "_summary=count", "_count=1")
    ]

    assert [bundle.get("total") for bundle in bundles] == [5, 5, None]
    assert (await world.bundle(asked))["total"] == 5


async def test_a_form_asks_like_an_address(world: World) -> None:
    form = {"_type": "Patient", "_tag": f"urn:world|{world.mark}", "_sort": "_id"}

    everywhere = await world.client.post("/fhir/_search", data=form)
    within = await world.client.post(f"/fhir/Patient/{world.mark}-q/Observation/_search", data={"code": "718-7"})

    assert [one["resource"]["id"][-1] for one in everywhere.json()["entry"]] == ["p", "q"]
    assert [one["resource"]["id"][-1] for one in within.json()["entry"]] == ["c"]


async def test_each_type_is_searched_within_the_rights_of_the_caller(world: World) -> None:
    own = await world.facade.client("patient/*.rs", patient=f"{world.mark}-p")
    everything = ["Encounter/e", "Observation/a", "Observation/b", "Patient/p"]

    async with own:
        assert sorted(await world.labels(f"/fhir?{TAGGED}", own)) == everything
        assert sorted(await world.labels("/fhir/Patient/{0}-p/*", own)) == everything
        assert await world.labels("/fhir/Patient/{0}-q/*", own) == []
        assert await world.labels("/fhir/Patient/{0}-q/Observation", own) == []
        assert (await world.bundle("/fhir/Patient/{0}-q/Observation?_summary=count", own))["total"] == 0
        assert (await world.bundle(f"/fhir?_type=Observation,Patient&{TAGGED}&_summary=count", own))["total"] == 3
        included = await world.labels("/fhir/Patient?_id={0}-p&_revinclude=*", own)
        assert sorted(included) == ["+Encounter/e", "+Observation/a", "+Observation/b", "Patient/p"]
        assert await world.labels(f"/fhir?_type=Observation,Encounter&{TAGGED}&subject={{0}}-q", own) == []
        assert await world.labels(f"/fhir?_type=Encounter&{TAGGED}&status=finished", own) == ["Encounter/e"]
        refused = await own.get("/fhir?_type=Patient,Group")
        assert refused.status_code == 403


REFUSED = {
    "/fhir?_type=Heart": 400,
    "/fhir?name=x": 400,
    "/fhir?_type=Patient,Encounter&name=x": 400,
    "/fhir?_type=Encounter,Patient&name=x": 400,
    "/fhir?_type=Patient&_sort=_tag": 400,
    "/fhir/Patient/p/*?_type=Organization": 400,
    "/fhir/Patient/p/Organization": 404,
    "/fhir/Organization/o/Observation": 404,
    "/fhir?_page=x": 410,
}


async def test_what_makes_no_sense_is_refused(client: httpx.AsyncClient) -> None:
    answers = {path: (await client.get(path)).status_code for path in REFUSED}

    assert answers == REFUSED
