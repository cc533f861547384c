"""Searches behind more references than SQLite can read at once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fhir_facade.access.check import Deny
from fhir_facade.access.searches import search_within
from fhir_facade.adapters.embedded.depth import hop_by_hop, is_wide
from fhir_facade.errors import TooLarge
from fhir_facade.fhir.query import MAX_HOPS, parse_query
from fhir_facade.ports import FhirStore
from fhir_facade.values import AnyOf, Criterion, Has, PatientId, Principal, Ref, Scope, SearchQuery, Write
from tests.facade import embedded_facade
from tests.unit.adapters.embedded.corner import Corner, empty_corner

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FhirStore]:
    """Organization 0 is part of 1, that of 2, and so on; the Patient `p` is of 0."""
    async with embedded_facade(tmp_path) as facade:
        parts = [organization(number) for number in range(MAX_HOPS + 1)]
        patient = {"resourceType": "Patient", "id": "p", "managingOrganization": {"reference": "Organization/o0"}}
        await facade.ports.store.write([put(each) for each in (*parts, patient)])
        yield facade.ports.store


def organization(number: int) -> dict[str, Any]:
    above = {"partOf": {"reference": f"Organization/o{number + 1}"}} if number < MAX_HOPS else {}
    return {"resourceType": "Organization", "id": f"o{number}", "name": f"Number {number}"} | above


def put(resource: dict[str, Any]) -> Write:
    return Write("put", Ref(resource["resourceType"], resource["id"]), json.dumps(resource).encode(), resource)


async def found(store: FhirStore, type: str, name: str, value: str) -> list[str]:
    page = await store.search(parse_query(type, [(name, value)], now=NOW).query)
    return [entry.id for entry in page.entries]


@pytest.mark.parametrize("hops", [3, 4, MAX_HOPS])
async def test_a_chain_is_followed_to_its_end(store: FhirStore, hops: int) -> None:
    name = "organization." + "partof." * (hops - 1) + "name"

    assert await found(store, "Patient", name, f"Number {hops - 1}") == ["p"]
    assert await found(store, "Patient", name, f"Number {hops - 2}") == []


@pytest.mark.parametrize("hops", [3, 4, MAX_HOPS])
async def test_what_refers_here_over_others_is_followed_to_its_end(store: FhirStore, hops: int) -> None:
    name = "_has:Organization:partof:" * (hops - 1) + "_has:Patient:organization:_id"

    assert await found(store, "Organization", name, "p") == [f"o{hops - 1}"]
    assert await found(store, "Organization", name, "q") == []


async def test_ways_that_part_behind_a_reference_are_all_followed(store: FhirStore) -> None:
    name = "subject.organization." + "partof." * 4 + "name"
    about = {"subject": {"reference": "Patient/p"}, "status": "final", "code": {"text": "x"}}
    await store.write([put({"resourceType": "Observation", "id": "r", **about})])

    assert await found(store, "Observation", name, "Number 4") == ["r"]


# --- what there is too much of ------------------------------------------------------------------------------------------

MOST = 3
ANNA = Principal("patient", patient=PatientId("anna"), scopes=(Scope("patient", "*", frozenset("rs")),))


@pytest.fixture
def corner() -> Iterator[Corner]:
    """A hospital with more male patients, visits and readings than a hop may find; `anna` is a woman with few."""
    corner = empty_corner()
    corner.add({"resourceType": "Patient", "gender": "female"}, "anna")
    corner.add({"resourceType": "Organization", "name": "House"}, "house")
    ward = {"resourceType": "Organization", "name": "Ward", "partOf": {"reference": "Organization/house"}}
    corner.add(ward, "ward")
    corner.add({"resourceType": "PractitionerRole", "organization": {"reference": "Organization/ward"}}, "role")
    corner.add({"resourceType": "Encounter", "subject": {"reference": "Patient/anna"}}, "first")
    role = {"performer": [{"reference": "PractitionerRole/role"}]}
    for number in range(MOST + 1):
        corner.add({"resourceType": "Patient", "gender": "male"}, f"m{number}")
        subject = {"subject": {"reference": f"Patient/m{number}"}}
        corner.add({"resourceType": "Encounter", **subject}, f"e{number}")
        corner.add({"resourceType": "Observation", **subject, **role}, f"o{number}")
    yield corner
    corner.connection.close()


def as_anna(type: str, name: str, value: str) -> SearchQuery:
    query = search_within(ANNA, parse_query(type, [(name, value)], now=NOW).query)
    assert not isinstance(query, Deny)
    return query


@pytest.mark.parametrize(
    ("type", "name", "value"),
    [
        ("Observation", "encounter.part-of.part-of.subject:Patient.gender", "male"),
        ("Observation", "encounter.part-of.subject:Patient.gender", "male"),
        ("Patient", "_has:Observation:patient:performer:PractitionerRole.organization.partof.name", "House"),
    ],
)
def test_that_too_much_is_behind_a_hop_does_not_tell_how_much_others_have(
    corner: Corner, type: str, name: str, value: str
) -> None:
    """With records of the own to come close to the limit, one more of somebody else's would have been told."""
    shallow = hop_by_hop(corner.connection, corner.catalogue, as_anna(type, name, value), most=MOST)

    assert corner.find(shallow) == []


def test_whoever_sees_everything_is_told_that_too_much_is_behind_a_hop(corner: Corner) -> None:
    query = parse_query("Observation", [("encounter.part-of.subject:Patient.gender", "male")], now=NOW).query

    with pytest.raises(TooLarge):
        hop_by_hop(corner.connection, corner.catalogue, query, most=MOST)


# --- what parts into very many ways -------------------------------------------------------------------------------------


def plan(label: str, *parts: str) -> dict[str, Any]:
    related = [{"type": "composed-of", "resource": f"http://o/{part}"} for part in parts]
    return {
        "resourceType": "PlanDefinition",
        "id": label,
        "status": "active",
        "url": f"http://o/{label}",
        "name": f"Plan{label}",
        **({"relatedArtifact": related} if related else {}),
    }


@pytest.mark.parametrize("hops", [1, 2, 5, MAX_HOPS])
async def test_a_chain_that_may_lead_anywhere_is_followed_to_its_end(store: FhirStore, hops: int) -> None:
    await store.write([put(plan(f"a{number}", f"a{number + 1}")) for number in range(hops)])
    await store.write([put(plan(f"a{hops}"))])
    name = "composed-of." * hops + "name"

    assert await found(store, "PlanDefinition", name, f"Plana{hops}") == ["a0"]
    assert await found(store, "PlanDefinition", name, "Planb") == []


@pytest.mark.parametrize("hops", [3, MAX_HOPS])
def test_the_rights_of_a_chain_that_may_lead_anywhere_are_told_at_once(hops: int) -> None:
    everyone = Principal("backend", scopes=(Scope("system", "*", frozenset("rs")),))
    query = parse_query("PlanDefinition", [("composed-of." * hops + "name", "x")], now=NOW).query

    limited = search_within(everyone, query)

    assert isinstance(limited, SearchQuery)
    assert is_wide(limited)


def test_ways_that_part_within_a_filter_are_counted_too() -> None:
    chained = parse_query("PlanDefinition", [("composed-of.composed-of.name", "x")], now=NOW).query.criteria
    has = Has("PlanDefinition", "composed-of", chained[0])

    assert is_wide(SearchQuery("PlanDefinition", (AnyOf(((has,), chained)),)))
    assert not is_wide(SearchQuery("PlanDefinition", any_of=((AnyOf((parse_name(),)),),)))


def parse_name() -> tuple[Criterion, ...]:
    return parse_query("PlanDefinition", [("composed-of.name", "x"), ("name", "x")], now=NOW).query.criteria
