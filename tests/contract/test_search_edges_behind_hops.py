"""Behind a chain and behind `_has` a period across the near edge of `ge` or `le` is not found, as without them.

https://hl7.org/fhir/R4/search.html#prefix, docs/decisions/009-what-a-prefix-means.md
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contract.case import Case
from tests.contract.test_search_behind_hops import found

DAY = "2031-05-03"
"""A day of this module alone: what stands across its edges decides how HAPI is asked."""
STAYS = {
    "a": {"start": "2031-05-02T20:00:00Z", "end": "2031-05-03T08:00:00Z"},
    "b": {"start": "2031-05-03T08:00:00Z", "end": "2031-05-03T20:00:00Z"},
    "c": {"start": "2031-05-03T20:00:00Z", "end": "2031-05-04T08:00:00Z"},
    "d": {"start": "2031-05-02T20:00:00Z", "end": "2031-05-04T08:00:00Z"},
    "e": {"start": "2031-05-04T08:00:00Z"},
    "f": {"end": "2031-05-02T20:00:00Z"},
}
"""Into the day, within it, out of it, all along it, after it, before it."""


@pytest.fixture
async def ward(case: Case) -> Case:
    """Patients `a` to `f`, each with a stay and a reading taken during it; `g` has none. All live in one house."""
    house = {"reference": str(case.ref("Organization", "o"))}
    written = [case.resource("Organization", "o", name="House"), case.resource("Patient", "g")]
    for label, stay in STAYS.items():
        patient, encounter = case.ref("Patient", label), case.ref("Encounter", label)
        subject = {"subject": {"reference": str(patient)}}
        written += [
            case.resource("Patient", label, managingOrganization=house, birthDate=DAY),
            case.resource("Encounter", label, **subject, period=stay),
            case.resource("Observation", label, **subject, encounter={"reference": str(encounter)}),
        ]
    await case.store.write([case.put_of(resource) for resource in written])
    return case


async def test_what_begins_before_the_day_is_not_at_or_after_it(ward: Case) -> None:
    of_readings = {
        f"encounter.date=ge{DAY}": ["b", "c", "d", "e"],
        f"encounter.date=le{DAY}": ["a", "b", "d", "f"],
        f"encounter.date=ge{DAY}&encounter.date=le{DAY}": ["b", "d"],
        f"encounter.date=ge{DAY},lt2031-05-01": ["b", "c", "d", "e", "f"],
        f"encounter.date=ge{DAY}T00:00:00Z": ["a", "b", "c", "d", "e"],
        "encounter.date=ge2031-05": ["a", "b", "c", "d", "e"],
        f"patient._has:Encounter:patient:date=le{DAY}": ["a", "b", "d", "f"],
        f'_filter=encounter.date ge {DAY} and status eq "final"': ["b", "c", "d", "e"],
    }
    of_patients = {
        f"_has:Encounter:patient:date=ge{DAY}": ["b", "c", "d", "e"],
        f"_has:Encounter:patient:date=le{DAY}": ["a", "b", "d", "f"],
        f"_has:Encounter:patient:date=ge{DAY}&_has:Encounter:patient:date=le{DAY}": ["b", "d"],
        f"_has:Observation:patient:encounter.date=ge{DAY}": ["b", "c", "d", "e"],
        f"_has:Encounter:patient:date=ge{DAY}&birthdate=ge{DAY}": ["b", "c", "d", "e"],
    }

    assert await found(ward, "Observation", of_readings) == of_readings
    assert await found(ward, "Patient", of_patients) == of_patients


async def test_several_hops_lead_to_what_is_meant(ward: Case) -> None:
    house, outside = f"_id={ward.name}-o", "_has:Patient:organization:_id={0}-{1}"

    async def houses(asked: str) -> list[str]:
        return await ward.labels("Organization", f"{asked}&{house}")

    assert await houses(f"_has:Patient:organization:_has:Encounter:patient:date=ge{DAY}") == ["o"]
    assert await houses(f"_has:Patient:organization:birthdate=ge{DAY}") == ["o"]
    assert await houses("_has:Patient:organization:_has:Encounter:patient:date=le2031-04") == ["o"]
    assert await houses(f"_has:Patient:organization:birthdate=gt{DAY}&{outside.format(ward.name, 'g')}") == []


async def test_pages_and_totals_count_what_is_meant(ward: Case) -> None:
    asked = f"encounter.date=ge{DAY}&_sort=_id&_total=accurate"
    first = await ward.search("Observation", asked, count=2)
    second = await ward.search("Observation", asked, count=2, cursor=first.cursor)

    assert (first.total, ward.labels_of(first), ward.labels_of(second)) == (4, ["b", "c"], ["d", "e"])
    assert (await ward.search("Observation", asked, count=0)).total == 4


async def test_what_was_written_since_may_be_asked_behind_a_hop(ward: Case) -> None:
    written = (await ward.search("Encounter", count=50)).entries
    since = min(one.last_updated for one in written) - timedelta(seconds=1)
    asked = f"encounter._lastUpdated=ge{since:%Y-%m-%dT%H:%M:%SZ}"

    assert await ward.labels("Observation", f"{asked}&_sort=_id") == list(STAYS)
