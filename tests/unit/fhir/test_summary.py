"""`_summary` and `_elements`; https://hl7.org/fhir/R4/search.html#summary."""

import json
from typing import Any

import pytest

from fhir_facade.fhir.summary import SUBSETTED, elements, summarise
from fhir_facade.fhir.validation import validate

PATIENT = (
    b'{"resourceType":"Patient","id":"1","meta":{"versionId":"2","tag":[{"code":"x"}]},'
    b'"text":{"status":"generated","div":"<div>Ada</div>"},"contained":[{"resourceType":"Group"}],'
    b'"implicitRules":"http://example.org/rules","extension":[{"url":"http://a","valueDecimal":1.50}],'
    b'"identifier":[{"value":"1","extension":[{"url":"http://b","valueDecimal":2.50}]}],"active":true,'
    b'"name":[{"family":"Lovelace","_family":{"id":"f"},"given":["Ada"]}],"birthDate":"1815","_birthDate":{"id":"b"},'
    b'"maritalStatus":{"text":"married"},"multipleBirthInteger":2,"deceasedBoolean":true,'
    b'"photo":[{"title":"a","data":"QUJD"}],"contact":[{"name":{"text":"C"}}],'
    b'"link":[{"other":{"reference":"Patient/2"},"type":"seealso"}]}'
)
OBSERVATION = (
    b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.50},'
    b'"component":[{"code":{"text":"y"},"valueQuantity":{"value":0.010},"interpretation":[{"text":"z"}]}],'
    b'"note":[{"text":"n"}]}'
)


def parts(body: bytes) -> dict[str, Any]:
    return json.loads(body)


@pytest.mark.parametrize("mode", ["count", "false"])
def test_a_resource_that_is_asked_for_whole_is_given_whole(mode: Any) -> None:
    assert summarise(PATIENT, mode) is PATIENT


def test_a_summary_has_the_summary_elements() -> None:
    summary = parts(summarise(PATIENT, "true"))

    assert list(summary) == [
        "resourceType", "id", "meta", "implicitRules", "identifier", "active", "name", "birthDate", "_birthDate",
        "deceasedBoolean", "link",
    ]  # fmt: skip


def test_a_summary_is_a_summary_inside_too() -> None:
    summary = parts(summarise(PATIENT, "true"))
    component = parts(summarise(OBSERVATION, "true"))["component"][0]

    assert summary["identifier"] == [{"value": "1"}]
    assert summary["name"] == [{"family": "Lovelace", "_family": {"id": "f"}, "given": ["Ada"]}]
    assert component.keys() == {"code", "valueQuantity"}


def test_a_summary_of_a_valid_resource_is_valid() -> None:
    assert validate(parts(summarise(OBSERVATION, "true")), type="Observation") == ()


def test_the_digits_of_numbers_are_kept() -> None:
    for body in (summarise(OBSERVATION, "true"), summarise(OBSERVATION, "data"), elements(OBSERVATION, ["value"])):
        assert b'"valueQuantity":{"value":1.50}' in body
    assert b'"value":0.010' in summarise(OBSERVATION, "true")


def test_the_text_mode_has_the_narrative_and_what_is_mandatory() -> None:
    assert list(parts(summarise(PATIENT, "text"))) == ["resourceType", "id", "meta", "text", *ALWAYS]
    assert list(parts(summarise(OBSERVATION, "text"))) == ["resourceType", "meta", "status", "code"]


def test_the_data_mode_leaves_out_the_narrative_only() -> None:
    assert parts(summarise(PATIENT, "data")).keys() == parts(PATIENT).keys() - {"text"}


ALWAYS = ["implicitRules", "active", "deceasedBoolean", "link"]
"""Of a Patient these modify the meaning of the rest, so they are never left out."""


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        pytest.param(["birthDate"], {"birthDate", "_birthDate"}, id="a primitive and its extensions"),
        pytest.param(["multipleBirth", "photo"], {"multipleBirthInteger", "photo"}, id="a choice"),
        pytest.param(["photos"], set(), id="no element"),
        pytest.param(["resourceType"], set(), id="what is there anyway"),
    ],
)
def test_elements_are_those_asked_for_and_those_that_must_be_there(names: list[str], kept: set[str]) -> None:
    assert parts(elements(PATIENT, names)).keys() == {"resourceType", "id", "meta", *ALWAYS, *kept}


@pytest.mark.parametrize("body", [summarise(PATIENT, "true"), summarise(PATIENT, "data"), elements(PATIENT, ["name"])])
def test_what_is_incomplete_says_so_beside_its_own_tags(body: bytes) -> None:
    assert parts(body)["meta"] == {"versionId": "2", "tag": [{"code": "x"}, SUBSETTED]}


def test_the_mark_is_there_once() -> None:
    assert parts(elements(summarise(PATIENT, "data"), ["name"]))["meta"]["tag"] == [{"code": "x"}, SUBSETTED]
