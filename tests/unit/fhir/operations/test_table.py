"""Which operation is where; https://hl7.org/fhir/R4/operationslist.html."""

from __future__ import annotations

import pytest

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.definitions import resource_types
from fhir_facade.fhir.operations import OPERATIONS, announced, find_operation, level_of
from fhir_facade.fhir.validation.primitives import FORMATS, PRIMITIVES

DEFINITIONS = "http://hl7.org/fhir/OperationDefinition/"


@pytest.mark.parametrize(
    ("name", "type", "id", "text"),
    [
        pytest.param(
            "$expand", None, None, "$expand is no operation of the whole server: there are $meta", id="the whole server"
        ),
        pytest.param(
            "brew",
            "Observation",
            None,
            "brew is no operation of the type Observation: there are $lastn, $stats, $meta, $validate",
            id="a type",
        ),
        pytest.param(
            "$lastn",
            "Observation",
            "o",
            "$lastn is no operation of one Observation: there are $meta, $meta-add, $meta-delete, $validate",
            id="one resource",
        ),
    ],
)
def test_an_operation_that_is_not_there_is_answered_with_those_that_are(
    name: str, type: str | None, id: str | None, text: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        find_operation(name, type, id)

    assert [(issue.code, issue.diagnostics) for issue in refused.value.issues] == [("not-supported", text)]


@pytest.mark.parametrize(
    ("type", "id", "level"),
    [
        pytest.param(None, None, "system", id="the whole server"),
        pytest.param("Patient", None, "type", id="a type"),
        pytest.param("Patient", "p", "instance", id="one resource"),
    ],
)
def test_the_address_says_the_level(type: str | None, id: str | None, level: str) -> None:
    assert level_of(type, id) == level


@pytest.mark.parametrize("name", ["$meta", "meta"])
@pytest.mark.parametrize(("type", "id"), [(None, None), ("Basic", None), ("Basic", "b")], ids=["system", "type", "one"])
def test_an_operation_of_every_type_is_found_at_each_of_its_levels(name: str, type: str | None, id: str | None) -> None:
    assert find_operation(name, type, id).definition == f"{DEFINITIONS}Resource-meta"


@pytest.mark.parametrize("type", ["CodeSystem", "ValueSet"])
def test_one_name_is_another_operation_on_another_type(type: str) -> None:
    assert find_operation("$validate-code", type, None).definition == f"{DEFINITIONS}{type}-validate-code"


def test_what_changes_something_is_not_called_by_get() -> None:
    assert find_operation("$meta-add", "Patient", "p").methods == ("POST",)
    assert find_operation("$meta", "Patient", "p").methods == ("GET", "POST")


def test_each_kind_of_parameter_is_one_that_can_be_checked() -> None:
    parameters = [one for operation in OPERATIONS for one in operation.parameters]

    assert {one.kind for one in parameters if one.primitive} <= PRIMITIVES.keys() & FORMATS.keys()
    assert {one.kind for one in parameters if not one.primitive} == {
        *("CodeSystem", "CodeableConcept", "Coding", "Meta", "Period", "Resource", "ValueSet")
    }


@pytest.mark.parametrize(
    ("name", "required", "many"),
    [
        pytest.param("subject", True, False, id="exactly once"),
        pytest.param("statistic", True, True, id="at least once"),
        pytest.param("period", False, False, id="at most once"),
        pytest.param("coding", False, True, id="as often as wanted"),
    ],
)
def test_the_table_says_how_often_a_parameter_is_sent(name: str, required: bool, many: bool) -> None:
    stats = find_operation("$stats", "Observation", None)

    (parameter,) = (one for one in stats.parameters if one.name == name)

    assert (parameter.required, parameter.many) == (required, many)


def test_each_type_announces_its_own_operations_and_those_of_all_types() -> None:
    offered = {kind: [name for name, _ in listed] for kind, listed in announced().items()}
    everywhere = ["meta", "meta-add", "meta-delete", "validate"]

    assert offered.keys() == {"", *resource_types()}
    assert offered[""] == ["meta"]
    assert offered["Basic"] == everywhere
    assert offered["Encounter"] == ["everything", *everywhere]
    assert offered["ValueSet"] == [*everywhere, "expand", "validate-code"]
    assert dict(announced()["Encounter"])["everything"] == f"{DEFINITIONS}Encounter-everything"
