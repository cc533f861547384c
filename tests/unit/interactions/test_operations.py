"""The operations as a table, and their parameters as they are read; https://hl7.org/fhir/R4/operations.html."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_facade.access.rights import operations
from fhir_facade.errors import BadRequest
from fhir_facade.fhir.operations import OPERATIONS, find_operation, read_inputs
from fhir_facade.interactions.operations.handlers import HANDLERS


def test_what_can_be_called_has_a_function_and_a_row_of_rights() -> None:
    assert set(HANDLERS) == {one.definition.rpartition("/")[2] for one in OPERATIONS}
    assert {name: frozenset(rule.types) for name, rule in operations().items()} == {
        name: frozenset(kind for one in OPERATIONS if one.name == name for kind in one.types)
        for name in {one.name for one in OPERATIONS}
    }
    assert {name for name, rule in operations().items() if rule.system} == {
        one.name for one in OPERATIONS if "system" in one.levels
    }


STATS = find_operation("$stats", "Observation", None)
LASTN = find_operation("lastn", "Observation", None)
ADD = find_operation("$meta-add", "Patient", "p")


def body(*parameters: Any) -> bytes:
    return json.dumps({"resourceType": "Parameters", "parameter": list(parameters)}).encode()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(b"{", "JSON", id="no JSON"),
        pytest.param(b'{"resourceType":"Parameters","parameter":7}', "array", id="no array"),
        pytest.param(b'{"resourceType":"Parameters","parameter":[7]}', "array of objects", id="no objects"),
        pytest.param(body({"valueString": "x"}), "parameter[0].name", id="no name"),
        pytest.param(body({"name": "subject"}), "needs a value", id="no value"),
        pytest.param(
            body({"name": "subject", "part": [{"name": "a", "valueString": "b"}]}), "needs a value", id="parts"
        ),
        pytest.param(body({"name": "subject", "valueUri": 7}), "valueUri", id="value of another type"),
        pytest.param(body({"name": "coding", "valueString": "x"}), "'coding' has to be a Coding", id="no object"),
        pytest.param(body({"name": "code", "valueCoding": {"code": "x"}}), "'code' has to be a value", id="no value"),
        pytest.param(b'{"resourceType":"Patient"}', "takes its parameters as a Parameters", id="another resource"),
    ],
)
def test_a_body_that_says_nothing_is_refused(sent: bytes, expected: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_inputs(STATS, (), sent)

    assert expected in str(refused.value)


def test_every_fault_is_named() -> None:
    with pytest.raises(BadRequest) as refused:
        read_inputs(STATS, [("limit", "0"), ("color", "red"), ("limit", "2"), ("include", "yes")])

    assert [(issue.expression, issue.code) for issue in refused.value.issues] == [
        ("limit", "value"),
        ("color", "not-supported"),
        ("include", "value"),
        ("subject", "required"),
        ("statistic", "required"),
        ("limit", "invalid"),
    ]


def test_values_keep_their_digits_and_their_order() -> None:
    sent = b'{"resourceType":"Parameters","parameter":[{"name":"duration","valueDecimal":1.50},'
    sent += b'{"name":"include","valueBoolean":true},{"name":"limit","valuePositiveInt":3},'
    sent += b'{"name":"coding","valueCoding":{"code":"x"}},{"name":"statistic","valueCode":"sum"}]}'

    inputs = read_inputs(STATS, [("_format", "json"), ("subject", "Patient/p"), ("statistic", "count,average")], sent)

    assert (inputs.text("duration"), inputs.flag("include"), inputs.whole("limit")) == ("1.50", True, 3)
    assert str(inputs.number("duration")) == "1.50"
    assert inputs.texts("statistic") == ("count", "average", "sum")
    assert (inputs.object("coding"), inputs.object("period")) == ({"code": "x"}, None)
    assert (inputs.text("system"), inputs.whole("max"), inputs.number("max")) == (None, None, None)
    assert [name for name, _ in inputs.said] == ["subject", "statistic", "duration", "include", "limit", "statistic"]


def test_an_operation_that_searches_takes_search_parameters_too() -> None:
    inputs = read_inputs(LASTN, [("patient", "1"), ("max", "2")], body({"name": "code", "valueString": "a"}))

    assert inputs.criteria == (("patient", "1"), ("code", "a"))


VALIDATE, EXPAND = find_operation("$validate", "Patient", None), find_operation("$expand", "ValueSet", None)


def test_a_bare_resource_is_the_parameter_that_takes_it() -> None:
    faulty = b'{"resourceType":"Patient","gender":5}'

    assert read_inputs(VALIDATE, (), faulty).object("resource") == {"resourceType": "Patient", "gender": 5}
    wrapped = b'{"resourceType":"Parameters","parameter":[{"name":"resource","resource":' + faulty + b"}]}"
    assert read_inputs(VALIDATE, (), wrapped).object("resource") == {"resourceType": "Patient", "gender": 5}


@pytest.mark.parametrize(
    "resource", [{}, {"resourceType": "Nothing"}, {"resourceType": ["Patient"]}], ids=["no type", "unknown", "a list"]
)
def test_a_resource_says_its_type(resource: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="resource of an R4 type"):
        read_inputs(VALIDATE, (), body({"name": "resource", "resource": resource}))


def test_a_value_set_that_is_sent_along_has_to_be_right() -> None:
    with pytest.raises(BadRequest) as refused:
        read_inputs(EXPAND, (), b'{"resourceType":"ValueSet","status":"active","compose":5}')

    assert [issue.expression for issue in refused.value.issues] == ["ValueSet.compose"]


@pytest.mark.parametrize(
    "parameter",
    [
        {"name": "valueSet", "valueCoding": {"code": "x"}},
        {"name": "valueSet", "resource": {"resourceType": "Patient"}},
    ],
)
def test_what_is_sent_is_of_the_type_of_its_parameter(parameter: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="'valueSet' has to be a ValueSet"):
        read_inputs(EXPAND, (), body(parameter))


def test_a_number_without_an_end_is_refused() -> None:
    with pytest.raises(BadRequest, match="duration"):
        read_inputs(STATS, [("duration", "1e99999999999999999999")])


def test_a_resource_of_another_type_does_not_fit() -> None:
    with pytest.raises(BadRequest, match="'meta' has to be a Meta"):
        read_inputs(ADD, (), body({"name": "meta", "resource": {"resourceType": "Patient"}}))


def test_no_parameters_at_all_are_no_fault_where_none_is_needed() -> None:
    assert read_inputs(LASTN, (), b'{"resourceType":"Parameters"}').said == ()
