"""References, chains and reverse chains: https://hl7.org/fhir/R4/search.html#reference, #chaining, #has."""

from __future__ import annotations

import pytest

from fhir_facade.values import Chain, Has, Match, ReferenceValue, TokenValue
from tests.contract.case import Case


@pytest.fixture
async def ward(case: Case) -> Case:
    doctor, anna, bert = (case.ref(*named) for named in (("Practitioner", "doc"), ("Patient", "a"), ("Patient", "b")))
    await case.store.write(
        [
            case.put_of(case.resource("Practitioner", "doc")),
            case.put_of(
                case.resource(
                    "Patient",
                    "a",
                    gender="female",
                    birthDate="1990-05-01",
                    generalPractitioner=[{"reference": str(doctor)}],
                )
            ),
            case.put_of(case.resource("Patient", "b", gender="male")),
            case.put_of(case.resource("Observation", "oa", subject={"reference": str(anna)})),
            case.put_of(case.resource("Observation", "ob", subject={"reference": str(bert)})),
            case.put_of(case.resource("Observation", "on")),
            case.put_of(
                case.resource("Group", "g", type="person", actual=True, member=[{"entity": {"reference": str(bert)}}])
            ),
        ]
    )
    return case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("subject=Patient/{0}-nobody", [], id="nobody"),
        pytest.param("subject=Patient/{0}-a", ["oa"], id="type and id"),
        pytest.param("subject={0}-a", ["oa"], id="an id alone"),
        pytest.param("subject=Patient/{0}-a/_history/7", ["oa"], id="whichever version is named"),
        pytest.param("subject:Patient=Patient/{0}-a/_history/7", ["oa"], id="the type as modifier, and a version"),
        pytest.param("subject:Patient={0}-a", ["oa"], id="the type as modifier"),
        pytest.param("patient={0}-a", ["oa"], id="a parameter of one type"),
        pytest.param("subject=Patient/{0}-a,Patient/{0}-b", ["oa", "ob"], id="one of a list"),
        pytest.param("subject:missing=true", ["on"], id="missing"),
        pytest.param("subject:missing=false", ["oa", "ob"], id="present"),
        pytest.param("subject:Patient.gender=female", ["oa"], id="a chain"),
        pytest.param("patient.gender=male", ["ob"], id="a chain over a parameter of one type"),
        pytest.param("patient._id={0}-a", ["oa"], id="a chain to an id"),
        pytest.param("patient.birthdate=ge1990", ["oa"], id="a chain to a date"),
        pytest.param("patient.general-practitioner=Practitioner/{0}-doc", ["oa"], id="a chain to a reference"),
        pytest.param("patient.general-practitioner=Practitioner/{0}-doc/_history/1", ["oa"], id="a chain to a version"),
        pytest.param("patient.general-practitioner._id={0}-doc", ["oa"], id="two steps"),
        pytest.param("patient._has:Group:member:_id={0}-g", ["ob"], id="a chain to a reverse chain"),
    ],
)
async def test_a_reference_is_found(ward: Case, asked: str, found: list[str]) -> None:
    assert await ward.labels("Observation", f"{asked.format(ward.name)}&_sort=_id") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("_has:Observation:patient:status=final", ["a", "b"], id="whoever has one"),
        pytest.param("_has:Observation:patient:_id={0}-ob", ["b"], id="by id"),
        pytest.param("_has:Group:member:_id={0}-g", ["b"], id="members of a group"),
        pytest.param("_has:Observation:patient:status=preliminary", [], id="nobody"),
    ],
)
async def test_a_reverse_chain_is_found(ward: Case, asked: str, found: list[str]) -> None:
    assert await ward.labels("Patient", f"{asked.format(ward.name)}&_sort=_id") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("questionnaire=http://example.org/{0}/q", ["new", "old", "plain"], id="any version"),
        pytest.param("questionnaire=http://example.org/{0}/q|2", ["new"], id="one version"),
        pytest.param("questionnaire=http://example.org/{0}/q|3", [], id="a version that nobody names"),
        pytest.param("questionnaire=http://example.org/{0}", [], id="the beginning of an address"),
    ],
)
async def test_a_canonical_is_found_with_and_without_its_version(case: Case, asked: str, found: list[str]) -> None:
    mark = {"identifier": {"system": "urn:case", "value": case.name}, "status": "completed"}
    for label, version in (("old", "|1"), ("new", "|2"), ("plain", "")):
        await case.put(
            "QuestionnaireResponse", label, questionnaire=f"http://example.org/{case.name}/q{version}", **mark
        )

    assert await case.labels("QuestionnaireResponse", f"{asked.format(case.name)}&_sort=_id") == found


async def test_care_by_reference_or_by_group_are_alternatives(ward: Case) -> None:
    doctor = Match("general-practitioner", "reference", (ReferenceValue("Practitioner", f"{ward.name}-doc"),))
    group = Has("Group", "member", Match("_id", "token", (TokenValue(None, f"{ward.name}-g"),)))

    patients = await ward.labels("Patient", "_sort=_id", any_of=((doctor,), (group,)))
    readings = await ward.labels(
        "Observation",
        "_sort=_id",
        any_of=((Chain("patient", ("Patient",), doctor),), (Chain("patient", ("Patient",), group),)),
    )

    assert (patients, readings) == (["a", "b"], ["oa", "ob"])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("subject={0}-x", ["of-group", "of-patient"], id="of any type"),
        pytest.param("subject={0}-x,Patient/{0}-nobody", ["of-group", "of-patient"], id="in a list"),
        pytest.param("subject=Group/{0}-x,{0}-x", ["of-group", "of-patient"], id="beside itself with a type"),
        pytest.param("subject=Patient/{0}-y,{0}-y", ["in-doubt"], id="beside the only one with a type"),
        pytest.param("subject=Group/{0}-x,{0}-nobody", ["of-group"], id="beside one with a type"),
        pytest.param("focus={0}-x", ["of-group"], id="of a parameter that leads to all types"),
        pytest.param("encounter.subject={0}-x", ["of-group", "of-patient"], id="behind a reference"),
        pytest.param("_has:DiagnosticReport:result:subject={0}-x", ["of-patient"], id="behind a reverse chain"),
        pytest.param("subject={0}-y", ["in-doubt"], id="that one has only"),
        pytest.param("subject={0}-z", [], id="that none has"),
    ],
)
async def test_an_id_that_several_types_have_means_each_of_them(case: Case, asked: str, found: list[str]) -> None:
    group = {"type": "person", "actual": True}
    await case.store.write([case.put_of(case.resource("Patient", label)) for label in ("x", "y")])
    await case.store.write([case.put_of(case.resource("Group", "x", **group))])
    to = {kind: {"reference": str(case.ref(kind, "x"))} for kind in ("Patient", "Group", "Encounter", "Observation")}
    await case.put("Encounter", "x", subject=to["Group"], **{"class": {"code": "IMP"}}, status="finished")
    await case.put("Observation", "of-group", subject=to["Group"], focus=[to["Group"]], encounter=to["Encounter"])
    await case.put("Observation", "of-patient", subject=to["Patient"], encounter=to["Encounter"])
    await case.put("Observation", "in-doubt", subject={"reference": str(case.ref("Patient", "y"))})
    result = [{"reference": str(case.ref("Observation", "of-patient"))}]
    await case.put("DiagnosticReport", "r", subject=to["Group"], result=result, status="final", code={"text": "x"})

    assert await case.labels("Observation", f"{asked.format(case.name)}&_sort=_id") == found
