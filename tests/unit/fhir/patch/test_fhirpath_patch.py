"""FHIRPath Patch; https://hl7.org/fhir/R4/fhirpatch.html."""

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.patch import fhirpath_patch
from fhir_facade.fhir.patch.apply import without_empty
from fhir_facade.fhir.patch.fhirpath.tokens import MAX_LENGTH
from tests.unit.fhir.patch.told import NOW, PATIENT, add, integer, operation, patched

OFFICIAL = json.loads((Path(__file__).parents[3] / "data/patch/official.json").read_bytes())

# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param([], "Parameters resource", id="an array"),
        pytest.param({"resourceType": "Patient"}, "Parameters resource", id="another resource"),
        pytest.param({"resourceType": "Parameters", "parameter": {}}, "are an array", id="parameter an object"),
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
        fhirpath_patch.apply(copy.deepcopy(PATIENT), change, NOW)


VALUE = {"valueString": "x"}


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        pytest.param(
            operation("delete", "Patient.active", {"name": "path", "valueString": "Patient.name"}),
            "two parts of one name",
            id="path twice",
        ),
        pytest.param(
            operation("delete", "Patient.active.not()"),
            "gives a value, not an element",
            id="a value instead of a place",
        ),
        pytest.param(
            operation("insert", "Patient.identifier | name", index=integer(0), value=VALUE),
            "must end with the name",
            id="insert into a union",
        ),
        pytest.param(operation("delete", "%resource"), "below the resource", id="delete the resource by its variable"),
        pytest.param(operation("delete", "Patient.name.resolve()"), "no function resolve", id="another resource"),
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
        pytest.param(add("Patient", "gender", _valueCode="x"), "needs a value of type code", id="text beside a value"),
        pytest.param(add("Patient", "gender", valueColour="x"), "needs a value of type code", id="unknown type"),
        pytest.param(add("Patient", "gender", valuePeriod="x"), "needs a value of type code", id="text as a period"),
        pytest.param(add("Patient", "gender", valueCode=["x"]), "needs a value of type code", id="several values"),
        pytest.param(add("Patient", "gender", valueCode=None), "needs a value of type code", id="null"),
        pytest.param(add("Patient", "gender", part=[]), "members can be made of parts", id="primitive out of parts"),
        pytest.param(add("Patient", "name", valueString="x"), "a value of type HumanName", id="text for a name"),
        pytest.param(add("Patient", "name", valueHumanName="x"), "a value of type HumanName", id="name a text"),
        pytest.param(add("Patient", "address", valueHumanName={}), "a value of type Address", id="name for an address"),
        pytest.param(
            add("Patient", "photo", valueAttachment={"url": "x"}, _valueAttachment={"id": "x"}),
            "a value of type Attachment",
            id="beside an object",
        ),
        pytest.param(add("Patient", "contact", valueHumanName={}), "'contact' needs a list of parts", id="no parts"),
        pytest.param(add("Patient", "contained", valueString="x"), "needs a resource", id="text for a resource"),
        pytest.param(add("Patient", "contained", resource={"id": "x"}), "needs a resource", id="resource of no type"),
        pytest.param(add("Patient", "contained", part=[]), "members can be made of parts", id="resource out of parts"),
        pytest.param(add("Patient", "resourceType", valueCode="x"), "no element 'resourceType'", id="resourceType"),
        pytest.param(
            add("Patient", "multipleBirthBoolean", valueBoolean=True), "is there already", id="another type of a choice"
        ),
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
        pytest.param(
            add("Patient.active", "x", valueString="y"), "Element has no element 'x'", id="add to a primitive"
        ),
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
            "no repeating element of Patient",
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
        "Patient.name.where(use = )",
        "Patient.name.where(use = 'x'",
        "Patient.name.exists()",
        "Patient.name.first(",
        "Patient.extension()",
        "Patient.name | Patient.telecom",
        "Patient.name.where(family.matches('(a'))",
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


def test_the_official_cases_have_their_results() -> None:
    for case in OFFICIAL["cases"]:
        change = {"resourceType": "Parameters", "parameter": [*map(as_parameter, case["operations"])]}
        resource = {"resourceType": "Patient", **case["before"]}
        if "error" in case:
            with pytest.raises(BadRequest, match=case["error"]):
                fhirpath_patch.apply(resource, change, NOW)
        else:
            after = without_empty(fhirpath_patch.apply(resource, change, NOW))
            assert after == {"resourceType": "Patient", **case["after"]}, case["name"]


def as_parameter(told: dict[str, Any]) -> dict[str, Any]:
    parts = {name: part for name, part in told.items() if name not in ("type", "path")}
    kinds = {str: "valueString", int: "valueInteger"}
    named = {name: part if isinstance(part, dict) else {kinds[type(part)]: part} for name, part in parts.items()}
    return operation(told["type"], told["path"], **named)


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
    name = without_empty(patched(operation("delete", "Patient.name[0].given[0]")))["name"][0]

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


# --- primitives and what is said about them ---------------------------------------------------------------------------


def test_replace_of_a_primitive_takes_what_was_said_about_it_along() -> None:
    result = patched(operation("replace", "Patient.birthDate", value={"valueDate": "1816"}))

    assert result["birthDate"] == "1816"
    assert "_birthDate" not in result


def test_a_value_brings_what_is_said_about_it() -> None:
    said = {"extension": [{"url": "http://a", "valueCode": "x"}]}

    replaced = patched(operation("replace", "Patient.birthDate", value={"valueDate": "1816", "_valueDate": said}))
    added = patched(add("Patient", "gender", _valueCode=said))
    appended = patched(add("Patient.name[1]", "given", valueString="Z", _valueString=said))

    assert (replaced["birthDate"], replaced["_birthDate"]) == ("1816", said)
    assert "gender" not in added
    assert added["_gender"] == said
    assert (appended["name"][1]["given"], appended["name"][1]["_given"]) == (["Z"], [said])


@pytest.mark.parametrize(
    ("path", "member", "beside"),
    [
        pytest.param(
            "Patient.birthDate", "_birthDate", {"id": "x", "extension": [{"url": "http://c"}]}, id="with an id"
        ),
        pytest.param("Patient.active", "_active", {"extension": [{"url": "http://c"}]}, id="without"),
    ],
)
def test_an_extension_is_added_to_a_primitive(path: str, member: str, beside: dict) -> None:
    result = patched(add(path, "extension", valueExtension={"url": "http://c"}))

    assert result[member] == beside
    assert result[member[1:]] == PATIENT[member[1:]]


def test_an_extension_may_be_told_in_parts() -> None:
    parts = [{"name": "url", "valueUri": "http://c"}, {"name": "value", "valueDecimal": Decimal("1.50")}]

    assert patched(add("Patient", "extension", part=parts))["extension"][2] == {
        "url": "http://c",
        "valueDecimal": Decimal("1.50"),
    }


def test_an_extension_is_added_to_an_item_of_a_list_of_primitives() -> None:
    result = patched(add("Patient.name[0].given[1]", "extension", valueExtension={"url": "http://c"}))

    assert result["name"][0]["_given"] == [{"id": "b"}, {"extension": [{"url": "http://c"}]}]


def test_an_extension_of_a_primitive_is_found_changed_and_deleted() -> None:
    add_one = add("Patient.birthDate", "extension", valueExtension={"url": "http://c", "valueString": "x"})
    change = operation("replace", "Patient.birthDate.extension('http://c').value", value={"valueInteger": 1})
    delete = operation("delete", "Patient.birthDate.extension.where(url = 'http://c')")

    assert patched(add_one, change)["_birthDate"]["extension"] == [{"url": "http://c", "valueInteger": 1}]
    assert without_empty(patched(add_one, change, delete)) == PATIENT


def test_a_primitive_of_extensions_only_is_an_element_too() -> None:
    said = {"extension": [{"url": "http://a"}]}
    path = "Patient.gender.where(extension('http://a').exists())"

    assert "_gender" not in patched(add("Patient", "gender", _valueCode=said), operation("delete", path))
    with pytest.raises(BadRequest, match="is there already"):
        patched(add("Patient", "gender", _valueCode=said), add("Patient", "gender", valueCode="other"))


def test_an_item_that_has_nothing_left_is_gone() -> None:
    said = {"extension": [{"url": "http://a"}]}
    only = add("Patient.name[0]", "given", _valueString=said)
    path = "Patient.name[0].given[2]"

    assert patched(only)["name"][0]["given"] == ["B", "C", None]
    left = without_empty(patched(only, operation("delete", f"{path}.extension[0]")))["name"][0]
    assert (left["given"], left["_given"][:1]) == (["B", "C"], [{"id": "b"}])
    assert patched(only, operation("replace", path, value={"valueString": "D"}))["name"][0]["given"] == ["B", "C", "D"]


def test_members_of_a_list_that_is_none_are_refused() -> None:
    wrong = add(
        "Patient", "name", valueHumanName={"given": "x", "_prefix": {"id": "x"}, "suffix": ["x"], "_suffix": {}}
    )

    for member, text in (("given", "'given' is no array"), ("suffix", "'suffix' is no array")):
        with pytest.raises(BadRequest, match=text):
            patched(wrong, add("Patient.name[2]", member, valueString="y"))


# --- what may be put in -----------------------------------------------------------------------------------------------


def test_a_contained_resource_is_added_changed_and_moved() -> None:
    device = {"resourceType": "Device", "id": "d"}

    result = patched(
        operation("insert", "Patient.contained", index=integer(0), value={"resource": device}),
        add("Patient.contained.ofType(Device)", "lotNumber", valueString="7"),
        operation("move", "Patient.contained", source=integer(0), destination=integer(1)),
    )

    assert result["contained"] == [*PATIENT["contained"], {**device, "lotNumber": "7"}]


def test_a_kind_of_quantity_may_be_told_as_a_quantity() -> None:
    low = add("Observation.referenceRange[0]", "low", valueQuantity={"value": 1})
    change = {"resourceType": "Parameters", "parameter": [add("Observation", "referenceRange", part=[]), low]}

    result = fhirpath_patch.apply({"resourceType": "Observation"}, change, NOW)

    assert result["referenceRange"] == [{"low": {"value": 1}}]


def test_an_element_with_a_type_may_be_told_in_parts_of_parts() -> None:
    coding = {"name": "coding", "part": [{"name": "code", "valueCode": "M"}]}

    result = patched(add("Patient", "maritalStatus", part=[coding, {"name": "text", "valueString": "married"}]))

    assert result["maritalStatus"] == {"coding": [{"code": "M"}], "text": "married"}


def test_a_part_that_does_not_repeat_is_told_once() -> None:
    text = {"name": "text", "valueString": "x"}

    with pytest.raises(BadRequest, match="'text' is there already"):
        patched(add("Patient", "maritalStatus", part=[text, text]))


def test_a_place_that_is_found_twice_is_one_place() -> None:
    result = patched(operation("delete", "Patient.name[0].combine(Patient.name[0])"))

    assert result["name"] == PATIENT["name"][1:]
