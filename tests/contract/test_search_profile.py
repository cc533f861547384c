"""A profile is found by its address, whichever version of it a resource names.

https://hl7.org/fhir/R4/search.html#all, https://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

import pytest

from tests.contract.case import Case

ADDRESS = "http://example.org/{0}/p_q"


@pytest.fixture
async def ward(case: Case) -> Case:
    """`a` names the profile, `b` a version of it, `c` another version and another profile, `d` one that begins alike,
    `e` one that differs in a sign that databases take for any, `f` none. Each has a reading and a place of care."""
    address = ADDRESS.format(case.name)
    named = {
        "a": [address],
        "b": [f"{address}|2"],
        "c": [f"{address}|2.1", "http://example.org/other"],
        "d": [f"{address}r"],
        "e": [address.replace("_", "-") + "|2"],
        "f": [],
    }
    written = []
    for label, profiles in named.items():
        house, patient = case.ref("Organization", label), case.ref("Patient", label)
        meta = {"meta": {"profile": profiles}} if profiles else {}
        written += [
            case.resource("Organization", label, name="House"),
            case.resource("Patient", label, **meta, managingOrganization={"reference": str(house)}),
            case.resource("Observation", label, subject={"reference": str(patient)}),
        ]
    await case.store.write([case.put_of(resource) for resource in written])
    return case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param(f"_profile={ADDRESS}/none", "", id="another"),
        pytest.param(f"_profile={ADDRESS}|1", "", id="a version that nobody names"),
        pytest.param(f"_profile={ADDRESS}", "abc", id="any version"),
        pytest.param(f"_profile={ADDRESS}|2", "b", id="one version"),
        pytest.param(f"_profile={ADDRESS}|2,{ADDRESS}r", "bd", id="one of a list"),
        pytest.param(f"_profile={ADDRESS}&_profile=http://example.org/other", "c", id="both"),
        pytest.param(f"_profile:below={ADDRESS}", "abcd", id="below"),
        pytest.param(f"_profile:below={ADDRESS}|2", "bc", id="below a version"),
        pytest.param(f"_profile:above={ADDRESS}/x", "abc", id="above"),
        pytest.param("_profile:missing=true", "f", id="none at all"),
        pytest.param("_profile:missing=false", "abcde", id="any at all"),
        pytest.param(f'_filter=_profile eq "{ADDRESS}"', "abc", id="by a filter"),
        pytest.param(f'_filter=_profile eq "{ADDRESS}" or _profile pr false', "abcf", id="or none"),
        pytest.param(f'_filter=not (_profile eq "{ADDRESS}")', "def", id="not by a filter"),
    ],
)
async def test_whichever_version_is_named(ward: Case, asked: str, found: str) -> None:
    assert "".join(await ward.labels("Patient", f"{asked.format(ward.name)}&_sort=_id")) == found


async def test_behind_a_chain_and_behind_has(ward: Case) -> None:
    by_address = f"_profile={ADDRESS.format(ward.name)}"

    assert await ward.labels("Observation", f"patient.{by_address}&_sort=_id") == ["a", "b", "c"]
    assert await ward.labels("Observation", f"patient.{by_address}|2&_sort=_id") == ["b"]
    assert await ward.labels("Organization", f"_has:Patient:organization:{by_address}&_sort=_id") == ["a", "b", "c"]
    assert await ward.labels("Organization", f"_has:Patient:organization:{by_address}|2&_sort=_id") == ["b"]


async def test_pages_and_totals_are_those_of_all_versions(ward: Case) -> None:
    asked = f"_profile={ADDRESS.format(ward.name)}&_sort=_id&_total=accurate"
    first = await ward.search("Patient", asked, count=2)
    second = await ward.search("Patient", asked, count=2, cursor=first.cursor)

    assert (first.total, ward.labels_of(first), ward.labels_of(second)) == (3, ["a", "b"], ["c"])
    assert second.cursor is None
    assert (await ward.search("Patient", asked, count=0)).total == 3


async def test_an_order_is_by_the_address_of_all_versions(ward: Case) -> None:
    asked = f"_profile={ADDRESS.format(ward.name)}"

    assert await ward.labels("Patient", f"{asked}&_sort=-_profile,_id") == ["c", "b", "a"]
    assert await ward.labels("Patient", f"{asked}&_sort=_profile,-_id") == ["c", "b", "a"]
