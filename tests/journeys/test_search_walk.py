"""Every kind of search over HTTP on each store: kinds, prefixes, order, pages, totals and includes.

https://hl7.org/fhir/R4/search.html. What each store promises in detail is asked in tests/contract.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from tests.ward import facade_on

UCUM = "http://unitsofmeasure.org"
STORES = ["embedded", pytest.param("hapi", marks=pytest.mark.hapi)]


@dataclass
class Walk:
    client: httpx.AsyncClient
    mark: str

    async def put(self, kind: str, label: str, **elements: Any) -> None:
        mark = {"identifier": [{"system": "urn:walk", "value": self.mark}]}
        body = {"resourceType": kind, "id": f"{self.mark}-{label}", **mark, **elements}
        answer = await self.client.put(f"/fhir/{kind}/{body['id']}", json=body)
        assert answer.status_code == 201, answer.text

    async def bundle(self, url: str) -> dict[str, Any]:
        answer = await self.client.get(url)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def ask(self, kind: str, asked: str) -> dict[str, Any]:
        return await self.bundle(f"/fhir/{kind}?identifier=urn:walk|{self.mark}&{asked.replace('{0}', self.mark)}")

    def labels(self, bundle: dict[str, Any], mode: str = "match") -> str:
        entries = [one["resource"]["id"] for one in bundle.get("entry", []) if one["search"]["mode"] == mode]
        return "".join(own.removeprefix(f"{self.mark}-") for own in entries)


@pytest.fixture(params=STORES)
async def walk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Walk]:
    """A patient `p` with readings `a` to `d`, one a day from 2026-01-01 on, of 1.0 to 4.0 g/L."""
    async with facade_on(request.param, request, tmp_path) as facade, await facade.client() as client:
        walk = Walk(client, uuid.uuid4().hex[:12])
        await walk.put("Patient", "p", name=[{"family": "Müller"}], birthDate="1980-02", gender="female")
        for number, label in enumerate("abcd", start=1):
            await walk.put(
                "Observation",
                label,
                status="final",
                code={"coding": [{"system": "http://loinc.org", "code": "718-7"}], "text": f"Haemoglobin {label}"},
                subject={"reference": f"Patient/{walk.mark}-p"},
                effectiveDateTime=f"2026-01-0{number}",
                valueQuantity={"value": float(number), "system": UCUM, "code": "g/L", "unit": "g/L"},
            )
        await walk.put(
            "RiskAssessment", "r", status="final", subject={"display": "x"}, prediction=[{"probabilityDecimal": 0.25}]
        )
        await walk.put("ValueSet", "v", status="active", url=f"http://example.org/{walk.mark}/v")
        yield walk


ASKED = [
    ("Patient", "family=mull", "p"),
    ("Patient", "family:exact=Muller", ""),
    ("Patient", "family:contains=LLER", "p"),
    ("Patient", "gender=female", "p"),
    ("Patient", "gender:not=female", ""),
    ("Patient", "birthdate=1980", "p"),
    ("Patient", "birthdate=gt1980", ""),
    ("Patient", "_id={0}-p,none", "p"),
    ("Patient", "_lastUpdated=gt2020", "p"),
    ("Patient", "_lastUpdated=lt2020", ""),
    ("Observation", "code=http://loinc.org|718-7", "abcd"),
    ("Observation", "code:text=haemoglobin c", "c"),
    ("Observation", "date=2026-01-02", "b"),
    ("Observation", "date=ne2026-01-02", "acd"),
    ("Observation", "date=gt2026-01-02", "cd"),
    ("Observation", "date=ge2026-01-02&date=lt2026-01-04", "bc"),
    ("Observation", "date=le2026-01-02", "ab"),
    ("Observation", "date=sa2026-01-03", "d"),
    ("Observation", "date=eb2026-01-02", "a"),
    ("Observation", f"value-quantity=2.0|{UCUM}|g/L", "b"),
    ("Observation", f"value-quantity=ge3|{UCUM}|g/L", "cd"),
    ("Observation", f"value-quantity=200|{UCUM}|mg/dL", "b"),
    ("Observation", f"value-quantity=ap2.1|{UCUM}|g/L", "b"),
    ("Observation", "patient={0}-p", "abcd"),
    ("Observation", "subject=Patient/{0}-p", "abcd"),
    ("Observation", "patient.gender=male", ""),
    ("Observation", "value-quantity:missing=true", ""),
    ("RiskAssessment", "probability=0.25", "r"),
    ("RiskAssessment", "probability=gt0.25", ""),
    ("RiskAssessment", "probability=le0.25", "r"),
    ("ValueSet", "url=http://example.org/{0}/v", "v"),
    ("ValueSet", "url:below=http://example.org/{0}", "v"),
    ("Observation", "_sort=-date", "dcba"),
    ("Observation", "_sort=value-quantity", "abcd"),
    ("Patient", "_has:Observation:patient:code=718-7", "p"),
]


async def test_each_kind_of_parameter_finds_what_it_should(walk: Walk) -> None:
    answers = {}
    for kind, asked, expected in ASKED:
        order = "" if "_sort" in asked else "&_sort=_id"
        answers[kind, asked] = (walk.labels(await walk.ask(kind, asked + order)), expected)

    assert {asked: answer for asked, answer in answers.items() if answer[0] != answer[1]} == {}


async def test_a_form_asks_like_an_address(walk: Walk) -> None:
    asked = f"identifier=urn:walk|{walk.mark}&date=ge2026-01-03&_sort=-date"

    answer = await walk.client.post("/fhir/Observation/_search", data=dict(parse_qsl(asked)))

    assert walk.labels(answer.json()) == "dc"


async def test_pages_totals_and_counts(walk: Walk) -> None:
    first = await walk.ask("Observation", "_sort=date&_count=3&_total=accurate")
    links = {link["relation"]: link["url"] for link in first["link"]}
    second = await walk.bundle(links["next"])
    counted = [await walk.ask("Observation", how) for how in ("_count=0", "_summary=count")]

    assert (walk.labels(first), walk.labels(second)) == ("abc", "d")
    assert "next" not in {link["relation"] for link in second["link"]}
    assert [one["total"] for one in (first, *counted)] == [4, 4, 4]
    assert [one.get("entry") for one in counted] == [None, None]


async def test_includes_come_with_their_matches(walk: Walk) -> None:
    forward = await walk.ask("Observation", "_include=Observation:subject&_count=2&_sort=_id")
    backward = await walk.ask("Patient", "_revinclude=Observation:subject")

    assert (walk.labels(forward), walk.labels(forward, "include")) == ("ab", "p")
    assert walk.labels(backward) == "p"
    assert sorted(walk.labels(backward, "include")) == list("abcd")


SUBSETTED = "SUBSETTED"
HEAD = {"resourceType", "id", "meta"}
SHAPES = [
    ("_summary=true", {*HEAD, "identifier", "status", "code", "subject", "effectiveDateTime", "valueQuantity"}),
    ("_summary=data", {*HEAD, "identifier", "status", "code", "subject", "effectiveDateTime", "valueQuantity", "note"}),
    ("_summary=text", {*HEAD, "text", "status", "code"}),
    ("_elements=subject,value", {*HEAD, "subject", "valueQuantity", "status", "code"}),
    ("_summary=false", None),
    ("", None),
]


async def test_matches_come_in_the_parts_that_are_asked_for(walk: Walk) -> None:
    narrative = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Four</div>'}
    whole = (await walk.ask("Observation", "_id={0}-d"))["entry"][0]["resource"]
    told = await walk.client.put(
        f"/fhir/Observation/{whole['id']}", json=whole | {"text": narrative, "note": [{"text": "fasting"}]}
    )
    assert told.status_code == 200, told.text

    for how, members in SHAPES:
        (entry,) = (await walk.ask("Observation", f"_id={{0}}-d&{how}"))["entry"]
        tags = [tag["code"] for tag in entry["resource"]["meta"].get("tag", [])]
        assert set(entry["resource"]) == (members or {*HEAD, *SHAPES[1][1], "text"}), how
        assert (SUBSETTED in tags) is (members is not None), how


async def test_the_members_of_a_list_are_found(walk: Walk) -> None:
    items = [{"item": {"reference": f"Observation/{walk.mark}-{label}"}} for label in "ac"]
    await walk.put("List", "l", status="current", mode="working", entry=items)

    assert walk.labels(await walk.ask("Observation", "_list={0}-l&_sort=_id")) == "ac"
    refused = await walk.client.get("/fhir/Observation?_list=$current-problems")
    assert refused.status_code == 400
