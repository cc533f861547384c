"""FHIRPath Patch; https://hl7.org/fhir/R4/fhirpatch.html."""

import copy
from decimal import Decimal
from typing import Any

import pytest

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.patch import fhirpath_patch
from fhir_facade.fhir.patch.paths import MAX_LENGTH

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "1",
    "active": True,
    "identifier": [
        {"system": "urn:a", "value": "1"},
        {"system": "urn:b", "value": "2"},
        {"system": "urn:a", "value": "3"},
    ],
    "name": [
        {"use": "official", "family": "A", "given": ["B", "C"], "_given": [{"id": "b"}]},
        {"use": "nickname", "family": "D'E"},
    ],
    "birthDate": "1815-12-10",
    "_birthDate": {"id": "x"},
    "multipleBirthInteger": 2,
    "extension": [{"url": "http://a", "valueString": "x"}, {"url": "http://b", "valueCode": "y"}],
    "contained": [{"resourceType": "Observation", "id": "o", "valueQuantity": {"value": Decimal("1.50")}}],
    "telecom": [{"system": "phone", "rank": 1}, {"system": "email", "rank": 2}],
    "communication": [{"language": {"text": "de"}, "preferred": True}],
}


def operation(kind: str, path: str, *parts: dict[str, Any], **values: Any) -> dict[str, Any]:
    named = [{"name": name, **part} for name, part in values.items()]
    head = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    return {"name": "operation", "part": [*head, *named, *parts]}


def add(path: str, name: str, **value: Any) -> dict[str, Any]:
    return operation("add", path, name={"valueString": name}, value=value)


def patched(*operations: Any) -> dict[str, Any]:
    change = {"resourceType": "Parameters", "parameter": list(operations)}
    return fhirpath_patch.apply(copy.deepcopy(PATIENT), change)


def integer(value: int) -> dict[str, int]:
    return {"valueInteger": value}


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param([], "Parameters resource", id="an array"),
        pytest.param({"resourceType": "Patient"}, "Parameters resource", id="another resource"),
        pytest.param({"resourceType": "Parameters"}, "no parameter 'operation'", id="no parameter"),
        pytest.param(
            {"resourceType": "Parameters", "parameter": {}}, "no parameter 'operation'", id="parameter an object"
        ),
        pytest.param(
            {"resourceType": "Parameters", "parameter": ["x"]}, "'operation' with parts", id="parameter a text"
        ),
        pytest.param({"resourceType": "Parameters", "parameter": [{"name": "op"}]}, "with parts", id="other name"),
        pytest.param({"resourceType": "Parameters", "parameter": [{"name": "operation"}]}, "with parts", id="no parts"),
        pytest.param(
            {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [1]}]},
            "with parts",
            id="part a number",
        ),
        pytest.param(
            {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": []}]},
            "'type' with",
            id="no type",
        ),
    ],
)
def test_what_is_no_fhirpath_patch_is_refused(change: Any, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        fhirpath_patch.apply(copy.deepcopy(PATIENT), change)


VALUE = {"valueString": "x"}


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        pytest.param(operation("set", "Patient.active"), "must be one of: add, insert", id="unknown type"),
        pytest.param(
            {"name": "operation", "part": [{"name": "type", "valueCode": "add"}]}, "'path' with", id="no path"
        ),
        pytest.param(operation("add", "Patient", value=VALUE), "'name' with", id="add without name"),
        pytest.param(operation("add", "Patient", name=integer(1), value=VALUE), "'name' with", id="name a number"),
        pytest.param(
            operation("add", "Patient", name={"valueString": "gender"}), "'value' is missing", id="add without value"
        ),
        pytest.param(add("Patient", "gender", valueString="x", valueCode="y"), "exactly one value", id="two values"),
        pytest.param(add("Patient", "gender"), "exactly one value", id="empty value"),
        pytest.param(add("Patient", "gender", _valueCode={"id": "x"}), "exactly one value", id="extension as value"),
        pytest.param(add("Patient", "_gender", valueCode="x"), "no element '_gender'", id="companion as name"),
        pytest.param(
            add("Patient", "colour", valueString="x"),
            "Patient has no element 'colour'; allowed are: active",
            id="unknown element",
        ),
        pytest.param(
            add("Patient", "deceased", valueString="x"),
            "allowed are: deceasedBoolean, deceasedDateTime",
            id="unknown choice",
        ),
        pytest.param(add("Patient", "active", valueBoolean=False), "is there already", id="add of what is there"),
        pytest.param(
            add("Patient", "multipleBirth", valueBoolean=True), "is there already", id="add of a choice that is there"
        ),
        pytest.param(add("Patient.active", "x", valueString="y"), "primitive value", id="add to a primitive"),
        pytest.param(add("Patient.photo", "url", valueUrl="x"), "finds no element", id="add to nothing"),
        pytest.param(add("Patient.name", "text", valueString="x"), "finds 2 elements", id="add to several"),
        pytest.param(add("Patient", "contact", part={}), "array of objects", id="parts an object"),
        pytest.param(add("Patient", "contact", part=[1]), "array of objects", id="parts of numbers"),
        pytest.param(
            add("Patient", "contact", part=[{"name": "nope", "valueString": "x"}]),
            "Patient_Contact has no element",
            id="unknown part",
        ),
        pytest.param(operation("insert", "Patient.identifier", value=VALUE), "'index' with", id="insert without index"),
        pytest.param(
            operation("insert", "Patient.identifier", index=integer(-1), value=VALUE),
            "'index' with",
            id="negative index",
        ),
        pytest.param(
            operation("insert", "Patient.identifier", index=integer(4), value=VALUE),
            "beyond the end",
            id="insert beyond the end",
        ),
        pytest.param(
            operation("insert", "Patient.active", index=integer(0), value=VALUE),
            "no repeating element of Patient",
            id="insert into one",
        ),
        pytest.param(
            operation("insert", "Patient.colour", index=integer(0), value=VALUE),
            "no repeating element",
            id="insert into nothing",
        ),
        pytest.param(
            operation("insert", "Patient", index=integer(0), value=VALUE),
            "must end with the name",
            id="insert into the resource",
        ),
        pytest.param(
            operation("insert", "Patient.name[0]", index=integer(0), value=VALUE),
            "must end with the name",
            id="insert into an item",
        ),
        pytest.param(operation("delete", "Patient.name"), "must find one element", id="delete several"),
        pytest.param(operation("delete", "Patient"), "must find one element", id="delete the resource"),
        pytest.param(operation("replace", "Patient", value=VALUE), "use PUT", id="replace the resource"),
        pytest.param(operation("replace", "Patient.gender", value=VALUE), "finds no element", id="replace nothing"),
        pytest.param(
            operation("move", "Patient.identifier", source=integer(0), destination=integer(3)),
            "has 3 items",
            id="move beyond the end",
        ),
        pytest.param(
            operation("move", "Patient.identifier", source=integer(3), destination=integer(0)),
            "has 3 items",
            id="move from beyond",
        ),
        pytest.param(
            operation("move", "Patient.identifier", source={"valueInteger": True}, destination=integer(0)),
            "'source' with",
            id="source true",
        ),
    ],
)
def test_an_operation_that_cannot_be_done_is_refused(bad: dict, text: str) -> None:
    with pytest.raises(BadRequest, match=text) as caught:
        patched(operation("delete", "Patient.photo"), bad)

    assert caught.value.issues[0].expression == "Parameters.parameter[1]"


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "Patient.",
        "Patient..name",
        "Patient.name[",
        "Patient.name[x]",
        "Patient.name[-1]",
        "Patient.name[1.5]",
        "Patient.name[0",
        "Patient.name.where(use)",
        "Patient.name.where(use = )",
        "Patient.name.where(use = 'x'",
        "Patient.name.where(use = 'x' or use = 'y')",
        "Patient.name.where(use = official)",
        "Patient.name.where(use ~ 'x')",
        "Patient.name.exists()",
        "Patient.name.first(",
        "Patient.extension(1)",
        "Patient.name | Patient.telecom",
        "name.matches('^(a+)+$')",
        "Patient 'x'",
        "x" * (MAX_LENGTH + 1),
    ],
)
def test_a_path_that_is_more_than_a_place_is_refused(path: str) -> None:
    with pytest.raises(BadRequest, match="path"):
        patched(operation("delete", path))


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("Patient.active", "active"),
        ("active", "active"),
        ("Resource.active", "active"),
        ("`active`", "active"),
        ("Patient.multipleBirth", "multipleBirthInteger"),
        ("Patient.multipleBirth.ofType(integer)", "multipleBirthInteger"),
        ("Patient.multipleBirthInteger", "multipleBirthInteger"),
        ("Patient.communication", "communication"),
        ("Patient.communication.where(preferred = true)", "communication"),
    ],
)
def test_a_path_finds_a_member(path: str, member: str) -> None:
    result = patched(operation("delete", path))

    assert {name for name in PATIENT if not result.get(name)} == {member}


@pytest.mark.parametrize(
    ("path", "index"),
    [
        ("Patient.identifier[1]", 1),
        ("Patient.identifier.first()", 0),
        ("Patient.identifier.last()", 2),
        ("Patient.identifier.where(system = 'urn:b')", 1),
        ("Patient.identifier.where(system='urn:a' and value='3')", 2),
        ("Patient.identifier.where(system='urn:a')[1]", 2),
        ("Patient.identifier.ofType(Identifier)[0]", 0),
        (" Patient . identifier [ 2 ] ", 2),
    ],
)
def test_a_path_finds_an_item(path: str, index: int) -> None:
    items = list(PATIENT["identifier"])
    del items[index]

    assert patched(operation("delete", path))["identifier"] == items


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("Patient.telecom.where(rank = 1)", ["email"]),
        ("Patient.telecom.where(rank = 2.0)", ["phone"]),
        ("Patient.telecom.where(rank = '1')", ["phone", "email"]),
        ("Patient.telecom.where(rank = true)", ["phone", "email"]),
        ("Patient.telecom.where(period.start = '2020')", ["phone", "email"]),
        ("Patient.telecom[7]", ["phone", "email"]),
        ("Patient.active.x", ["phone", "email"]),
    ],
)
def test_a_condition_compares_like_with_like(path: str, left: list[str]) -> None:
    assert [one["system"] for one in patched(operation("delete", path))["telecom"]] == left


def test_a_quote_in_a_literal_is_escaped() -> None:
    result = patched(operation("delete", r"Patient.name.where(family = 'D\'E')"))

    assert len(result["name"]) == 1


def test_an_extension_is_found_by_its_url_and_its_value_by_name() -> None:
    change = operation("replace", "Patient.extension('http://a').value", value={"valueInteger": 7})

    assert patched(change)["extension"][0] == {"url": "http://a", "valueInteger": 7}


def test_a_contained_resource_has_the_elements_of_its_own_type() -> None:
    change = operation("replace", "Patient.contained.where(id='o').value", value={"valueString": "none"})

    assert patched(change)["contained"] == [{"resourceType": "Observation", "id": "o", "valueString": "none"}]


# --- operations -------------------------------------------------------------------------------------------------------


def test_add_makes_a_missing_element() -> None:
    assert patched(add("Patient", "gender", valueCode="other"))["gender"] == "other"


def test_add_makes_a_choice() -> None:
    assert patched(add("Patient", "deceased", valueBoolean=True))["deceasedBoolean"] is True


def test_add_appends_to_a_repeating_element() -> None:
    result = patched(add("Patient", "identifier", valueIdentifier={"value": "4"}))

    assert result["identifier"][3] == {"value": "4"}


def test_add_makes_a_missing_array() -> None:
    assert patched(add("Patient", "address", valueAddress={"city": "Wien"}))["address"] == [{"city": "Wien"}]


def test_add_builds_an_element_without_a_type_out_of_parts() -> None:
    relationship = [{"name": "relationship", "valueCodeableConcept": {"text": text}} for text in ("a", "b")]
    name = {"name": "name", "valueHumanName": {"text": "Charles"}}

    result = patched(add("Patient", "contact", part=[name, *relationship]))

    assert result["contact"] == [{"name": {"text": "Charles"}, "relationship": [{"text": "a"}, {"text": "b"}]}]


def test_insert_puts_an_item_before_another() -> None:
    change = operation("insert", "Patient.identifier", index=integer(1), value={"valueIdentifier": {"value": "new"}})

    assert [one["value"] for one in patched(change)["identifier"]] == ["1", "new", "2", "3"]


def test_insert_keeps_extensions_beside_their_values() -> None:
    change = operation("insert", "Patient.name[0].given", index=integer(0), value={"valueString": "Z"})

    name = patched(change)["name"][0]

    assert (name["given"], name["_given"]) == (["Z", "B", "C"], [None, {"id": "b"}, None])


def test_insert_takes_the_end() -> None:
    change = operation("insert", "Patient.photo", index=integer(0), value={"valueAttachment": {"url": "http://a"}})

    assert patched(change)["photo"] == [{"url": "http://a"}]


def test_delete_of_nothing_is_no_error() -> None:
    assert patched(operation("delete", "Patient.gender")) == PATIENT


def test_delete_takes_the_extension_of_a_primitive_along() -> None:
    assert not {"birthDate", "_birthDate"} & patched(operation("delete", "Patient.birthDate")).keys()


def test_delete_of_an_item_keeps_extensions_beside_their_values() -> None:
    name = patched(operation("delete", "Patient.name[0].given[1]"))["name"][0]

    assert (name["given"], name["_given"]) == (["B"], [{"id": "b"}])


def test_delete_of_the_only_item_with_an_extension_drops_the_extensions() -> None:
    name = patched(operation("delete", "Patient.name[0].given[0]"))["name"][0]

    assert name["given"] == ["C"]
    assert "_given" not in name


def test_replace_changes_an_item() -> None:
    change = operation("replace", "Patient.name.where(use='official').given[1]", value={"valueString": "Z"})

    assert patched(change)["name"][0]["given"] == ["B", "Z"]


def test_replace_may_change_the_type_of_a_choice() -> None:
    result = patched(operation("replace", "Patient.multipleBirth", value={"valueBoolean": True}))

    assert result["multipleBirthBoolean"] is True
    assert "multipleBirthInteger" not in result


def test_replace_keeps_the_type_of_a_choice() -> None:
    result = patched(operation("replace", "Patient.multipleBirth", value={"valueInteger": 3}))

    assert result["multipleBirthInteger"] == 3


@pytest.mark.parametrize(
    ("source", "destination", "order"), [(0, 2, "231"), (2, 0, "312"), (1, 1, "123"), (0, 1, "213")]
)
def test_move_changes_the_order(source: int, destination: int, order: str) -> None:
    change = operation("move", "Patient.identifier", source=integer(source), destination=integer(destination))

    assert "".join(one["value"] for one in patched(change)["identifier"]) == order


def test_move_keeps_extensions_beside_their_values() -> None:
    change = operation("move", "Patient.name[0].given", source=integer(0), destination=integer(1))

    name = patched(change)["name"][0]

    assert (name["given"], name["_given"]) == (["C", "B"], [None, {"id": "b"}])
