"""String parameters: https://hl7.org/fhir/R4/search.html#string."""

from __future__ import annotations

import pytest

from tests.contract.case import Case

NAMES = {"anna": "Müller", "bert": "Mueller-Lüdenscheidt", "carl": "Zumüller", "dora": "O'Brien, Sr. | $"}


@pytest.fixture
async def people(case: Case) -> Case:
    resources = [case.resource("Patient", label, name=[{"family": family}]) for label, family in NAMES.items()]
    await case.store.write([case.put_of(resource) for resource in resources])
    return case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("family=nobody", [], id="nothing"),
        pytest.param("family=Müller", ["anna"], id="the beginning"),
        pytest.param("family=MULL", ["anna"], id="without case and accents"),
        pytest.param("family= Müller ", ["anna"], id="without spaces around it"),
        pytest.param("family:contains=muller", ["anna", "carl"], id="contains"),
        pytest.param("family:exact=Müller", ["anna"], id="exact"),
        pytest.param("family:exact=müller", [], id="exact minds the case"),
        pytest.param("family=mul,zum", ["anna", "carl"], id="one of a list"),
        pytest.param("family=m&family=mue", ["bert"], id="both of two"),
        pytest.param("family:exact=O'Brien\\, Sr. \\| \\$", ["dora"], id="a comma, a bar and a dollar sign"),
        pytest.param("family=o'brien\\,", ["dora"], id="a comma in a beginning"),
        pytest.param("name=müll", ["anna"], id="any part of the name"),
        pytest.param("given:missing=true", ["anna", "bert", "carl", "dora"], id="missing"),
        pytest.param("family:missing=true", [], id="not missing"),
    ],
)
async def test_a_string_is_found(people: Case, asked: str, found: list[str]) -> None:
    assert await people.labels("Patient", f"{asked}&_sort=_id") == found


SIGNS = {
    "percent": "B%b",
    "line": "B_b",
    "letter": "Bxb",
    "slash": "B\\b",
    "both": "B\\_b",
    "first": "_B%",
    "other": "xB%",
}


async def test_no_character_stands_for_others(case: Case, request: pytest.FixtureRequest) -> None:
    """A database's own wildcards are characters like any other."""
    if "mirror" in request.node.name:
        pytest.skip("the mirror has no wildcards that could be escaped")
    for label, sign in SIGNS.items():
        await case.put("Patient", label, name=[{"family": sign}], communication=[{"language": {"text": sign}}])
        about = {"reference": f"Patient/{case.name}-{label}"}
        await case.put("Observation", label, subject=about, valueString=sign)

    for label in ("percent", "line", "slash", "both", "first"):
        text = SIGNS[label].replace("\\", "\\\\").replace("%", "%25")
        for words in (f"family={text}", f"family:contains={text}", f"family={text},zzz", f"language:text={text}"):
            assert await case.labels("Patient", words) == [label], words
        composite = f"code-value-string=http://loinc.org|718-7${text}"
        for words in (f"patient.family={text}", f"value-string={text}", f"value-string:exact={text}", composite):
            assert await case.labels("Observation", words) == [label], words
        assert await case.labels("Patient", f"_has:Observation:patient:value-string={text}") == [label]


async def test_white_space_of_any_length_and_kind_is_one_space(case: Case) -> None:
    """But for `:exact`, which compares what was written."""
    for label, name in {"one": "ten Have", "two": "ten  Have", "line": "ten\n\tHave ", "none": "tenHave"}.items():
        await case.put("Patient", label, name=[{"family": name}], communication=[{"language": {"text": name}}])
        about = {"reference": f"Patient/{case.name}-{label}"}
        await case.put("Observation", label, subject=about, valueString=name)

    for text in ("ten have", "ten  Have", " ten%09%0A have"):
        for words in (f"family={text}", f"family:contains={text}", f"language:text={text}", f"name={text},zzz"):
            assert await case.labels("Patient", words) == ["one", "two", "line"], words
        composite = f"code-value-string=http://loinc.org|718-7${text}"
        for words in (f"patient.family={text}", f"value-string={text}", composite):
            assert await case.labels("Observation", words) == ["one", "two", "line"], words
    assert await case.labels("Patient", "family:contains=n h") == ["one", "two", "line"]
    assert await case.labels("Patient", "family:exact=ten  Have") == ["two"]
