"""Token parameters, ids and tags: https://hl7.org/fhir/R4/search.html#token."""

from __future__ import annotations

import pytest

from fhir_facade.values import Match, TokenValue
from tests.contract.case import Case

LOINC = "http://loinc.org"
MANY = ",".join(
    [f"{LOINC}|718-7", "41950-7", "|718-7", *(f"{LOINC}|1-{number}" for number in range(20)), "urn:x|718-7"]
)


@pytest.fixture
async def readings(case: Case) -> Case:
    def of(label: str, system: str | None, code: str, category: str | None) -> bytes | dict[str, object]:
        coding = {"code": code} | ({"system": system} if system else {})
        elements: dict[str, object] = {"code": {"coding": [coding], "text": f"text of {label}"}}
        if category:
            elements["category"] = [{"coding": [{"system": "urn:category", "code": category}]}]
        return case.resource("Observation", label, **elements)

    await case.store.write(
        [
            case.put_of(of("heart", LOINC, "718-7", "vital-signs")),
            case.put_of(of("steps", LOINC, "41950-7", "activity")),
            case.put_of(of("local", "urn:local", "718-7", None)),
            case.put_of(of("plain", None, "718-7", "vital-signs")),
        ]
    )
    return case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("code=nothing", [], id="nothing"),
        pytest.param("code=718-7", ["heart", "local", "plain"], id="a code of any system"),
        pytest.param(f"code={LOINC}|718-7", ["heart"], id="system and code"),
        pytest.param("code=|718-7", ["plain"], id="a code without a system"),
        pytest.param(f"code={LOINC}|", ["heart", "steps"], id="any code of a system"),
        pytest.param(f"code={LOINC}|718-7,{LOINC}|41950-7", ["heart", "steps"], id="one of a list"),
        pytest.param(f"code={MANY}", ["heart", "plain", "steps"], id="one of many"),
        pytest.param(f"code:not={MANY}", ["local"], id="none of many"),
        pytest.param("code:not=718-7", ["steps"], id="not"),
        pytest.param("category:not=urn:category|activity", ["heart", "local", "plain"], id="not, also without any"),
        pytest.param("category:missing=true", ["local"], id="missing"),
        pytest.param("category:missing=false", ["heart", "plain", "steps"], id="present"),
        pytest.param("code:text=text of", ["heart", "local", "plain", "steps"], id="the beginning of a text"),
        pytest.param("code:text=TEXT OF S", ["steps"], id="a text without case"),
        pytest.param("code:text=heart", [], id="not the middle of a text"),
        pytest.param("code:text=text&category=vital-signs", ["heart", "plain"], id="a text and another parameter"),
        pytest.param("code=718-7&category=vital-signs", ["heart", "plain"], id="two parameters"),
        pytest.param("status=final&code=41950-7", ["steps"], id="a code element"),
    ],
)
async def test_a_token_is_found(readings: Case, asked: str, found: list[str]) -> None:
    assert await readings.labels("Observation", f"{asked}&_sort=_id") == found


async def test_ids_are_found_as_a_list(readings: Case) -> None:
    ids = ",".join(readings.ref("Observation", label).id for label in ("heart", "local", "nobody"))

    assert await readings.labels("Observation", f"_id={ids}&_sort=_id") == ["heart", "local"]


async def test_long_lists_are_no_problem(readings: Case) -> None:
    ids = ",".join([readings.ref("Observation", "heart").id, *(f"none-{number}" for number in range(400))])

    assert await readings.labels("Observation", f"_id={ids}") == ["heart"]


async def test_tags_and_labels_are_found(case: Case) -> None:
    await case.put("Patient", "a", meta={"tag": [{"system": "urn:t", "code": "x"}]})
    await case.put("Patient", "b", meta={"security": [{"system": "urn:s", "code": "R"}]})

    assert await case.labels("Patient", "_tag=urn:t|x") == ["a"]
    assert await case.labels("Patient", "_security=urn:s|R") == ["b"]


async def test_an_identifier_is_found_by_its_type(case: Case) -> None:
    kind = {"coding": [{"system": "urn:type", "code": "MR"}]}
    mark = {"system": "urn:case", "value": case.name}
    await case.put("Patient", "a", identifier=[mark, {"type": kind, "system": "urn:x", "value": "12"}])
    await case.put("Patient", "b", identifier=[mark, {"system": "urn:x", "value": "12"}])

    assert await case.labels("Patient", "identifier:of-type=urn:type|MR|12") == ["a"]


# --- one of several groups ------------------------------------------------------------------------------------


def token(name: str, code: str) -> Match:
    return Match(name, "token", (TokenValue(None, code),))


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        pytest.param([("none",), ("nothing",)], [], id="nothing"),
        pytest.param([("41950-7",), ("718-7",)], ["heart", "local", "plain", "steps"], id="values of one parameter"),
    ],
)
async def test_groups_of_one_parameter_are_alternatives(
    readings: Case, groups: list[tuple[str]], found: list[str]
) -> None:
    any_of = tuple((token("code", code),) for (code,) in groups)

    assert await readings.labels("Observation", "_sort=_id", any_of=any_of) == found


async def test_groups_of_different_parameters_are_alternatives(readings: Case) -> None:
    any_of = ((token("code", "41950-7"),), (token("code", "718-7"), token("category", "vital-signs")))

    assert await readings.labels("Observation", "_sort=-_id", any_of=any_of) == ["steps", "plain", "heart"]


async def test_alternatives_narrow_what_the_criteria_allow(readings: Case) -> None:
    any_of = ((token("code", "41950-7"),), (token("category", "vital-signs"),))

    assert await readings.labels("Observation", "code=718-7&_sort=_id", any_of=any_of) == ["heart", "plain"]


async def test_alternatives_are_counted(readings: Case) -> None:
    any_of = ((token("code", "41950-7"),), (token("category", "vital-signs"),))

    page = await readings.search("Observation", any_of=any_of, count=1, total=True)

    assert (len(page.entries), page.total, page.cursor is None) == (1, 3, False)


async def test_tags_and_labels_of_a_system_are_found(case: Case) -> None:
    await case.put("Patient", "a", meta={"tag": [{"system": "urn:t", "code": "x"}]})
    await case.put("Patient", "b", meta={"tag": [{"system": "urn:u", "code": "x"}]})
    await case.put("Patient", "c", meta={"security": [{"system": "urn:t", "code": "x"}]})
    expected = {
        "_tag=urn:t|": ["a"],
        "_tag=urn:t|,urn:u|": ["a", "b"],
        "_tag=urn:t|&_tag=urn:u|": [],
        "_tag:not=urn:t|": ["b", "c"],
        "_security=urn:t|": ["c"],
        "_security:not=urn:t|": ["a", "b"],
    }

    assert {asked: await case.labels("Patient", f"{asked}&_sort=_id") for asked in expected} == expected


async def test_the_text_of_a_tag_is_how_it_is_shown(case: Case) -> None:
    await case.put("Patient", "a", meta={"tag": [{"system": f"urn:{case.name}", "code": "x", "display": "Shown so"}]})
    await case.put("Patient", "b", meta={"tag": [{"system": "urn:t", "code": "shown"}]})

    assert await case.labels("Patient", "_tag:text=shown") == ["a"]
    assert await case.labels("Patient", "_tag:text=x") == []


async def test_a_source_above_is_any_text(case: Case) -> None:
    await case.put("Patient", "a", meta={"source": "http://example.org/a"})

    assert await case.labels("Patient", "_source:above=http://example.org/a/b") == ["a"]
    assert await case.labels("Patient", "_source:above=nowhere") == []


async def test_an_id_has_no_system(case: Case) -> None:
    own = await case.put("Patient", "a")

    assert await case.labels("Patient", f"_id:not=urn:t|{own.id}") == ["a"]
    assert await case.labels("Patient", f"_id:not=|{own.id}") == []
    assert await case.labels("Patient", "_id:not=urn:t|") == ["a"]


async def test_a_reference_is_no_id(case: Case) -> None:
    person = await case.put("Patient", "a")
    await case.put("Observation", "a", subject={"reference": f"Patient/{person.id}"})

    assert await case.labels("Patient", f"_id=Patient/{person.id}") == []
    assert await case.labels("Patient", f"_id=Patient/{person.id},{person.id}") == ["a"]
    assert await case.labels("Patient", f"_id:not=Patient/{person.id}") == ["a"]
    assert await case.labels("Observation", f"patient._id=Patient/{person.id}") == []


async def test_ids_that_are_not_wanted_stand_beside_those_that_are(case: Case) -> None:
    """HAPI alone forgets those that are wanted, and finds nothing where one of the others is not there."""
    for label, gender in {"a": "male", "b": "male", "c": "female"}.items():
        await case.put("Patient", label, gender=gender)
    a, b, c = (f"{case.name}-{label}" for label in "abc")
    expected = {
        "_id:not=absent": ["a", "b", "c"],
        f"_id:not=absent,{a}": ["b", "c"],
        f"_id:not={a}&_id:not={b}": ["c"],
        f"_id:not={a}&_id:not=absent": ["b", "c"],
        f"_id:not={a}&_id={a},{b}": ["b"],
        f"_id={b}&_id:not={a}&gender=male": ["b"],
        f"_id={a}&_id:not={a}": [],
        f"_id={a},{b}&_id={b},{c}&_id:not=absent": ["b"],
        f"_id:not={a},{b},{c}": [],
        f"_filter=_id ne {a}": ["b", "c"],
        f"_filter=not (_id eq {a}) and gender eq male": ["b"],
        f"_filter=not (_id ne {a})": ["a"],
    }

    found = {asked: await case.labels("Patient", f"{asked}&_sort=_id") for asked in expected}
    counted = {asked: (await case.search("Patient", asked, count=0, total=True)).total for asked in expected}

    assert found == expected
    assert counted == {asked: len(labels) for asked, labels in expected.items()}
