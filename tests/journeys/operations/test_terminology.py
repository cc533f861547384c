"""Codes and value sets on both stores: those that ship with the server and those that are stored."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys.operations.world import Bedside, Resource, parameters

pytestmark = pytest.mark.asyncio(loop_scope="module")

GENDER = "http://hl7.org/fhir/ValueSet/administrative-gender"
GENDERS = "http://hl7.org/fhir/administrative-gender"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
SEVERITY: Resource = {"resourceType": "ValueSet", "status": "active", "compose": {"include": []}}


async def asked(bedside: Bedside, path: str, body: Any = None) -> Resource:
    client, address = bedside.world.system, f"/fhir/{path}"
    answer = await (client.get(address) if body is None else client.post(address, json=body))
    assert answer.status_code == 200, answer.text
    return answer.json()


def told(answer: Resource, name: str) -> list[Any]:
    return [
        next((value for member, value in one.items() if member.startswith("value")), one.get("part"))
        for one in answer["parameter"]
        if one["name"] == name
    ]


def codes(answer: Resource) -> list[str]:
    return [one["code"] for one in answer["expansion"].get("contains", [])]


@pytest.mark.parametrize(
    ("path", "status", "named"),
    [
        pytest.param("CodeSystem/$lookup?code=male", 400, "system", id="code without system"),
        pytest.param("CodeSystem/$lookup", 400, "code", id="nothing"),
        pytest.param(f"CodeSystem/$lookup?system={GENDERS}&code=nobody", 404, "nobody", id="unknown code"),
        pytest.param(
            "CodeSystem/$lookup?system=http://loinc.org&code=0-0", 404, "only a part", id="code of a fragment"
        ),
        pytest.param("CodeSystem/$lookup?system=urn:none&code=x", 404, "urn:none", id="unknown system"),
        pytest.param(f"CodeSystem/$lookup?system={GENDERS}&version=9&code=male", 404, "|9", id="another version"),
        pytest.param("CodeSystem/$validate-code?code=x", 400, "url", id="no system to look in"),
        pytest.param(f"CodeSystem/$validate-code?url={GENDERS}", 400, "codeableConcept", id="no code to look for"),
        pytest.param("ValueSet/$expand", 400, "url", id="no value set"),
        pytest.param("ValueSet/$expand?url=urn:none", 404, "urn:none", id="unknown value set"),
        pytest.param(f"ValueSet/$expand?url={GENDER}&count=-1", 400, "count", id="negative count"),
        pytest.param("ValueSet/nobody/$expand", 404, "nobody", id="nobody's value set"),
        pytest.param(f"ValueSet/$expand?url={GENDER}&language=de", 400, "language", id="unknown parameter"),
        pytest.param("ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/currencies", 501, "4217", id="codes of others"),
        pytest.param(f"ValueSet/$validate-code?url={GENDER}", 400, "coding", id="no code"),
    ],
)
async def test_what_cannot_be_answered_says_why(bedside: Bedside, path: str, status: int, named: str) -> None:
    answer = await bedside.world.system.get(f"/fhir/{path}")

    assert answer.status_code == status
    assert named in answer.json()["issue"][0]["diagnostics"]


async def test_a_code_is_looked_up_with_what_lies_around_it(bedside: Bedside) -> None:
    found = await asked(bedside, f"CodeSystem/$lookup?system={CLINICAL}&code=inactive")
    coding = parameters(coding=("valueCoding", {"system": "http://loinc.org", "code": "8867-4"}))
    heart = await asked(bedside, "CodeSystem/$lookup", coding)
    unit = await asked(bedside, "CodeSystem/$lookup?system=http://unitsofmeasure.org&code=mm[Hg]")
    narrow = await asked(bedside, f"CodeSystem/$lookup?system={CLINICAL}&code=inactive&property=parent")

    properties = [(code["valueCode"], next(iter(value.values()))) for code, value in told_parts(found)]
    assert (told(found, "display"), told(found, "version")) == (["Inactive"], ["4.0.1"])
    assert {("child", "remission"), ("child", "resolved")} <= {(code, last_value(part)) for code, part in listed(found)}
    assert properties
    assert (told(heart, "display"), told(unit, "display")) == (["Heart rate"], ["mmHg"])
    assert told(narrow, "property") == []


def told_parts(answer: Resource) -> list[list[Resource]]:
    return [one["part"] for one in answer["parameter"] if one["name"] == "property"]


def listed(answer: Resource) -> list[tuple[str, Resource]]:
    return [(code["valueCode"], value) for code, value in told_parts(answer)]


def last_value(part: Resource) -> Any:
    return next(value for name, value in part.items() if name.startswith("value"))


@pytest.mark.parametrize(
    ("path", "result", "text"),
    [
        pytest.param(f"CodeSystem/$validate-code?url={GENDERS}&code=male", True, "Male", id="there"),
        pytest.param(f"CodeSystem/$validate-code?url={GENDERS}&code=m", False, "'m' of", id="not there"),
        pytest.param(f"CodeSystem/$validate-code?url={GENDERS}&code=male&display=male", True, "Male", id="its name"),
        pytest.param(f"CodeSystem/$validate-code?url={GENDERS}&code=male&display=Man", False, "not called", id="name"),
        pytest.param("CodeSystem/$validate-code?url=http://loinc.org&code=0-0", False, "as far as", id="fragment"),
        pytest.param(
            f"ValueSet/$validate-code?url={GENDER}&system={GENDERS}&code=other", True, "Other", id="in the set"
        ),
        pytest.param(f"ValueSet/$validate-code?url={GENDER}&code=other", True, "Other", id="without its system"),
        pytest.param(
            f"ValueSet/$validate-code?url={GENDER}&system=urn:x&code=other", False, "urn:x", id="other system"
        ),
    ],
)
async def test_a_code_is_right_or_not(bedside: Bedside, path: str, result: bool, text: str) -> None:
    answer = await asked(bedside, path)

    assert told(answer, "result") == [result]
    assert text in (told(answer, "message") or told(answer, "display"))[0]


async def test_one_coding_of_several_is_enough(bedside: Bedside) -> None:
    codings = [{"system": "urn:x", "code": "male"}, {"system": GENDERS, "code": "male", "display": "Male"}]
    concept = parameters(url=("valueUri", GENDER), codeableConcept=("valueCodeableConcept", {"coding": codings}))
    foreign = parameters(url=("valueUri", GENDERS), coding=("valueCoding", codings[0]))
    empty = parameters(url=("valueUri", GENDER), codeableConcept=("valueCodeableConcept", {"text": "male"}))

    assert told(await asked(bedside, "ValueSet/$validate-code", concept), "result") == [True]
    assert told(await asked(bedside, "CodeSystem/$validate-code", foreign), "result") == [False]
    assert (await bedside.world.system.post("/fhir/ValueSet/$validate-code", json=empty)).status_code == 400


async def test_a_value_set_is_expanded_in_parts(bedside: Bedside) -> None:
    whole = await asked(bedside, f"ValueSet/$expand?url={GENDER}")
    part = await asked(bedside, f"ValueSet/$expand?url={GENDER}&offset=1&count=2&includeDefinition=true")
    text = await asked(bedside, f"ValueSet/$expand?url={GENDER}&filter=FEM")
    none = await asked(bedside, f"ValueSet/$expand?url={GENDER}&count=0")
    by_id = await asked(bedside, "ValueSet/administrative-gender/$expand?filter=unk")

    assert codes(whole) == ["male", "female", "other", "unknown"]
    assert (codes(part), codes(text), codes(none), codes(by_id)) == (["female", "other"], ["female"], [], ["unknown"])
    assert [one["expansion"]["total"] for one in (whole, part, text, none)] == [4, 4, 1, 4]
    assert ("compose" in whole, "compose" in part) == (False, True)
    assert {"name": "filter", "valueString": "FEM"} in text["expansion"]["parameter"]
    assert whole["url"] == GENDER


async def test_what_is_stored_is_known_too(bedside: Bedside) -> None:
    name = f"urn:own:{bedside.patient}"
    concepts: list[Resource] = [
        {"code": "a", "display": "Apfel", "designation": [{"language": "en", "value": "Apple"}]},
        {"code": "b", "display": "Birne", "property": [{"code": "inactive", "valueBoolean": True}]},
        {"code": "g", "display": "Obst", "property": [{"code": "notSelectable", "valueBoolean": True}]},
    ]
    system = {
        "resourceType": "CodeSystem",
        "id": bedside.patient,
        "url": name,
        "status": "active",
        "content": "complete",
    }
    await bedside.world.put(system | {"concept": concepts})
    include = [{"system": name}, {"valueSet": [GENDER], "system": GENDERS}]
    stored = SEVERITY | {"id": bedside.patient, "url": name, "compose": {"include": include}}
    await bedside.world.put(stored)

    by_url = await asked(bedside, f"ValueSet/$expand?url={name}&displayLanguage=en-GB&includeDesignations=true")
    by_id = await asked(bedside, f"ValueSet/{bedside.patient}/$expand?activeOnly=true&excludeNotForUI=true")
    inline = await asked(bedside, "ValueSet/$expand", {k: v for k, v in stored.items() if k not in ("id", "url")})
    code = await asked(bedside, f"CodeSystem/{bedside.patient}/$validate-code?code=a&displayLanguage=en&display=Apple")
    group = await asked(bedside, f"ValueSet/{bedside.patient}/$validate-code?code=g&abstract=false")
    german = await asked(bedside, f"CodeSystem/$lookup?system={name}&code=a")
    english = [
        await asked(bedside, f"CodeSystem/$lookup?system={name}&code=a&{parameter}=en")
        for parameter in ("displayLanguage", "language")
    ]
    async with await bedside.world.facade.client("system/ValueSet.r") as reader:
        unseen = await reader.get(f"/fhir/ValueSet/$expand?url={name}")

    assert codes(by_url) == ["a", "b", "g", "male", "female", "other", "unknown"]
    assert by_url["expansion"]["contains"][0]["display"] == "Apple"
    assert by_url["expansion"]["contains"][0]["designation"] == concepts[0]["designation"]
    assert [one.get("inactive", one.get("abstract")) for one in by_url["expansion"]["contains"][:3]] == [
        None,
        True,
        True,
    ]
    assert codes(by_id)[:2] == ["a", "male"]
    assert codes(inline) == codes(by_url)
    assert (told(code, "result"), told(code, "display")) == ([True], ["Apple"])
    assert (told(group, "result"), "abstract" in told(group, "message")[0]) == ([False], True)
    assert told(german, "display") == ["Apfel"]
    assert [told(each, "display") for each in english] == [["Apple"], ["Apple"]]
    assert [part["valueString"] for part in told(german, "designation")[0] if part["name"] == "value"] == ["Apple"]
    assert unseen.status_code == 404, "what may not be searched is not there"


async def test_terminology_asks_for_the_right_to_read_it(bedside: Bedside) -> None:
    async with await bedside.world.person(bedside.patient, "patient/Observation.rs") as person:
        refused = await person.get(f"/fhir/ValueSet/$expand?url={GENDER}")
    async with await bedside.world.facade.client("patient/ValueSet.rs", username=bedside.patient) as person:
        given = await person.get(f"/fhir/ValueSet/$expand?url={GENDER}")

    assert (refused.status_code, given.status_code) == (403, 200)
