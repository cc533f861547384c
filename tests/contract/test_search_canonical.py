"""References by canonical URL: chains, `_has` and single values mean the resource with that `url`, and its version.

https://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

import pytest

from fhir_facade.errors import UnknownParameter
from tests.contract.case import Case


@pytest.fixture
async def forms(case: Case) -> Case:
    """One questionnaire in three versions, of which one does not say so, and answers to each."""
    url = f"http://example.org/{case.name}/q"
    for label, title, version in (("q1", "one", "1"), ("q2", "two", "2"), ("q0", "none", None)):
        said = {} if version is None else {"version": version}
        await case.put("Questionnaire", label, status="active", url=url, title=title, **said)
    mark = {"identifier": {"system": "urn:case", "value": case.name}}
    for label, status, version in (("old", "completed", "|1"), ("new", "amended", "|2"), ("plain", "completed", "")):
        await case.put("QuestionnaireResponse", label, status=status, questionnaire=f"{url}{version}", **mark)
    await case.put("QuestionnaireResponse", "other", status="stopped", questionnaire=f"{url}/of-others|1", **mark)
    return case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("questionnaire.title=one", ["old", "plain"], id="the first version"),
        pytest.param("questionnaire:Questionnaire.title=two", ["new", "plain"], id="the second, with the type"),
        pytest.param("questionnaire.title=none", ["plain"], id="the one without a version"),
        pytest.param("questionnaire.title=one,two", ["new", "old", "plain"], id="either"),
        pytest.param("questionnaire.title=three", [], id="none that there is"),
        pytest.param("questionnaire.status:not=draft", ["new", "old", "plain"], id="negated"),
        pytest.param("questionnaire=http://example.org/{0}/q|", ["plain"], id="without a version"),
        pytest.param("status=completed&questionnaire.title=two", ["plain"], id="beside another parameter"),
        pytest.param(
            "questionnaire._has:QuestionnaireResponse:questionnaire:status=amended",
            ["new", "plain"],
            id="there and back",
        ),
    ],
)
async def test_a_chain_over_a_canonical_leads_to_the_resource_with_its_url(
    forms: Case, asked: str, found: list[str]
) -> None:
    assert await forms.labels("QuestionnaireResponse", f"{asked.format(forms.name)}&_sort=_id") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("status=completed", ["q0", "q1", "q2"], id="a version or none"),
        pytest.param("status=amended", ["q2"], id="one version"),
        pytest.param("status=stopped", [], id="about another one"),
        pytest.param("status=in-progress", [], id="none that there is"),
    ],
)
async def test_has_over_a_canonical_finds_what_is_named(forms: Case, asked: str, found: list[str]) -> None:
    name, _, value = asked.partition("=")
    asked = f"_has:QuestionnaireResponse:questionnaire:{name}={value}"

    assert await forms.labels("Questionnaire", f"{asked}&_sort=_id") == found


async def test_a_canonical_lies_behind_a_reference_and_a_reference_behind_a_canonical(forms: Case) -> None:
    url = f"http://example.org/{forms.name}"
    await forms.put("ActivityDefinition", "walk", status="active", url=f"{url}/walk", name=f"Walk{forms.name}")
    await forms.put("CarePlan", "plan", **CARE, instantiatesCanonical=[f"{url}/walk"])
    await forms.put("CarePlan", "idle", **CARE)
    await forms.put("CarePlan", "part", **CARE, partOf=[{"reference": f"CarePlan/{forms.name}-plan"}])
    by_name = f"instantiates-canonical:ActivityDefinition.name=Walk{forms.name}"

    assert await forms.labels("CarePlan", by_name) == ["plan"]
    assert await forms.labels("CarePlan", f"part-of.{by_name}") == ["part"]
    assert await forms.labels("CarePlan", f"part-of.{by_name}x") == []
    assert await forms.labels("CarePlan", f"_has:CarePlan:part-of:part-of.{by_name}") == ["plan"]
    assert await forms.labels("CarePlan", f"_has:CarePlan:part-of:part-of.{by_name}x") == []
    assert await forms.labels("ActivityDefinition", "_has:CarePlan:instantiates-canonical:intent=plan") == ["walk"]


async def test_a_canonical_leads_to_no_type_without_a_canonical_url(case: Case) -> None:
    with pytest.raises(UnknownParameter, match=r"never points to Patient|knows 'subject\.name'"):
        await case.search("PlanDefinition", "composed-of.subject.name=saa")
    with pytest.raises(UnknownParameter, match="never points to Patient"):
        await case.search("PlanDefinition", "composed-of:Patient.name=saa")


CARE = {"status": "active", "intent": "plan", "subject": {"display": "somebody"}}


async def test_a_slash_at_the_end_of_an_address_belongs_to_it(case: Case) -> None:
    mark = {"identifier": {"system": "urn:case", "value": case.name}}
    url = f"http://example.org/{case.name}"
    await case.put("QuestionnaireResponse", "a", status="completed", questionnaire=url, **mark)
    await case.put("QuestionnaireResponse", "b", status="completed", questionnaire=f"{url}/", **mark)

    assert await case.labels("QuestionnaireResponse", f"questionnaire={url}") == ["a"]
    assert await case.labels("QuestionnaireResponse", f"questionnaire={url}/") == ["b"]
