"""What a call of an operation sends along, as it is read; https://hl7.org/fhir/R4/operations.html#request."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.operations import Inputs, Operation, find_operation, read_inputs

STATS = find_operation("stats", "Observation", None)
LASTN = find_operation("lastn", "Observation", None)
META = find_operation("meta", None, None)
META_ADD = find_operation("meta-add", "Patient", "p")
VALIDATE = find_operation("validate", "Patient", None)
EXPAND = find_operation("expand", "ValueSet", None)

NEEDED = (("subject", "Patient/p"), ("statistic", "count"))
"""What `$stats` cannot do without."""


def body(*parameters: Any) -> bytes:
    return msgspec.json.encode({"resourceType": "Parameters", "parameter": parameters})


def refusal(operation: Operation, params: tuple[tuple[str, str], ...], sent: bytes = b"") -> list[tuple[str, str]]:
    """The code and the text of each issue."""
    with pytest.raises(BadRequest) as refused:
        read_inputs(operation, params, sent)
    return [(issue.code, issue.diagnostics) for issue in refused.value.issues]


# --- refused: the body ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        pytest.param(b"{", "not valid JSON", id="no JSON"),
        pytest.param(b'{"resourceType":"Parameters","parameter":{}}', "must be an array of objects", id="no array"),
        pytest.param(body({"name": "limit", "valueInteger": 1}, 7), "must be an array of objects", id="no object"),
        pytest.param(body({"valueString": "x"}), "parameter[0].name", id="no name"),
        pytest.param(body({"name": "limit", "valueInteger": "3"}), "valueInteger must be a whole number", id="quoted"),
        pytest.param(body({"name": "code", "valueUri": "a", "valueString": "b"}), "only one value[x]", id="two values"),
        pytest.param(
            body({"name": "limit", "valueInteger": 1}, {"name": "code"}),
            "Parameters.parameter[1] needs a value or a resource",
            id="neither value nor resource",
        ),
        pytest.param(
            body({"name": "code", "resource": None}),
            "Parameters.parameter[0].resource must be a JSON object",
            id="a resource that is null",
        ),
        pytest.param(
            body({"name": "subject", "resource": 7}),
            "Parameters.parameter[0].resource must be a JSON object",
            id="a resource that is a number",
        ),
        pytest.param(
            body({"name": "x", "resource": {"resourceType": "Patient"}}, {"name": "subject", "valueUri": 7}),
            "Parameters.parameter[1].valueUri",
            id="a fault behind a resource has its own place",
        ),
        pytest.param(
            b'{"resourceType":"Patient"}',
            "$stats takes its parameters as a Parameters resource, not as Patient",
            id="bare",
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_what_is_wrong(sent: bytes, words: str) -> None:
    ((_, text),) = refusal(STATS, NEEDED, sent)

    assert words in text


# --- refused: one parameter -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        pytest.param("include", "yes", "it must be true or false", id="boolean"),
        pytest.param("limit", "3.0", "it must be a whole number from 1", id="integer with a fraction"),
        pytest.param("limit", "0", "it must be a whole number from 1", id="below the smallest"),
        pytest.param("limit", "2147483648", "it must be a whole number from 1", id="above the largest"),
        pytest.param("duration", "1e1000", "it must be a number", id="decimal out of all bounds"),
        pytest.param("system", "two words", "it must be a URI without spaces", id="uri"),
        pytest.param("statistic", "sum,,average", "it must be a code", id="nothing between two commas"),
    ],
)
def test_a_value_in_the_address_has_the_form_of_its_type(name: str, value: str, words: str) -> None:
    ((code, text),) = refusal(STATS, (*NEEDED, (name, value)))

    assert code == "value"
    assert text.startswith(f"{name}=")
    assert words in text


def test_what_is_no_primitive_does_not_fit_into_an_address() -> None:
    issues = refusal(STATS, (*NEEDED, ("period", "2026")))

    assert issues == [("invalid", "'period' has to be a Period, in the Parameters of a POST")]


@pytest.mark.parametrize(
    ("operation", "parameter", "text"),
    [
        pytest.param(
            STATS,
            {"name": "system", "valueCoding": {"code": "x"}},
            "'system' has to be a value",
            id="an object for a primitive",
        ),
        pytest.param(
            STATS,
            {"name": "coding", "valueString": "x"},
            "'coding' has to be a Coding, in the Parameters of a POST",
            id="a primitive for an object",
        ),
        pytest.param(
            STATS,
            {"name": "coding", "valuePeriod": {"start": "2026"}},
            "'coding' has to be a Coding",
            id="an object of another type",
        ),
        pytest.param(
            STATS,
            {"name": "coding", "resource": {"resourceType": "Patient"}},
            "'coding' has to be a Coding",
            id="a resource for an object",
        ),
        pytest.param(
            EXPAND,
            {"name": "valueSet", "resource": {"resourceType": "Patient"}},
            "'valueSet' has to be a ValueSet",
            id="a resource of another type",
        ),
        pytest.param(
            VALIDATE,
            {"name": "resource", "valueCoding": {"code": "x"}},
            "'resource' has to be a resource of an R4 type",
            id="an object for a resource",
        ),
        pytest.param(
            VALIDATE,
            {"name": "resource", "resource": {"resourceType": "Nothing"}},
            "'resource' has to be a resource of an R4 type",
            id="a type that R4 does not have",
        ),
        pytest.param(
            VALIDATE,
            {"name": "resource", "resource": {"resourceType": ["Patient"]}},
            "'resource' has to be a resource of an R4 type",
            id="a type that is no text",
        ),
    ],
)
def test_a_parameter_in_the_body_is_of_its_type(operation: Operation, parameter: dict[str, Any], text: str) -> None:
    needed = NEEDED if operation is STATS else ()

    assert refusal(operation, needed, body(parameter)) == [("invalid", text)]


def test_a_resource_that_the_operation_works_with_has_to_be_right() -> None:
    with pytest.raises(BadRequest) as refused:
        read_inputs(EXPAND, (), b'{"resourceType":"ValueSet","status":"active","compose":5}')

    assert [issue.expression for issue in refused.value.issues] == ["ValueSet.compose"]


@pytest.mark.parametrize(
    ("operation", "listed"),
    [pytest.param(EXPAND, "url, valueSet, ", id="with parameters"), pytest.param(META, "none", id="without any")],
)
def test_an_unknown_parameter_is_answered_with_those_there_are(operation: Operation, listed: str) -> None:
    ((code, text),) = refusal(operation, (("color", "red"),))

    assert code == "not-supported"
    assert text.startswith(f"${operation.name} has no parameter 'color': it takes {listed}")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("valueReference", {"display": "Anna"}),
        ("valueCoding", {"display": "a"}),
        ("valueCodeableConcept", {"text": "a"}),
        ("valueCodeableConcept", {"coding": [{"display": "a"}]}),
        ("valueIdentifier", {"use": "usual"}),
        ("valueReference", {"identifier": {"use": "usual"}}),
        ("valuePeriod", {"start": "2026"}),
        ("resource", {"resourceType": "Patient", "id": "p"}),
    ],
)
def test_a_value_without_anything_to_search_by_is_no_search_parameter(member: str, value: dict[str, Any]) -> None:
    ((code, text),) = refusal(LASTN, (), body({"name": "subject", member: value}))

    assert code == "invalid"
    assert "valueReference, valueCoding, valueCodeableConcept, valueIdentifier, or a text" in text


# --- refused: all of them together ------------------------------------------------------------------------------------


def test_all_faults_are_named_in_one_answer() -> None:
    with pytest.raises(BadRequest) as refused:
        read_inputs(STATS, (("statistic", "sum"), ("limit", "0"), ("color", "red"), ("limit", "2")))

    issues = refused.value.issues
    assert str(refused.value) == issues[0].diagnostics
    assert [(issue.expression, issue.code) for issue in issues] == [
        ("limit", "value"),
        ("color", "not-supported"),
        ("subject", "required"),
        ("limit", "invalid"),
    ]
    assert issues[2].diagnostics == "$stats needs the parameter 'subject'"
    assert issues[3].diagnostics == "'limit' may be given once, not 2 times"


def test_the_address_and_the_body_count_together() -> None:
    issues = refusal(LASTN, (("max", "1"),), body({"name": "max", "valuePositiveInt": 2}))

    assert issues == [("invalid", "'max' may be given once, not 2 times")]


# --- read -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="no body"),
        pytest.param(b'{"resourceType":"Parameters"}', id="Parameters without any"),
        pytest.param(b'{"resourceType":"Parameters","parameter":[]}', id="an empty list"),
    ],
)
def test_nothing_sent_is_no_fault_where_nothing_is_needed(sent: bytes) -> None:
    assert read_inputs(META, (), sent) == Inputs()


def test_what_was_not_sent_is_absent_in_every_form() -> None:
    inputs = Inputs()

    assert (inputs.text("a"), inputs.whole("a"), inputs.number("a"), inputs.object("a")) == (None, None, None, None)
    assert (inputs.texts("a"), inputs.objects("a"), inputs.flag("a")) == ((), (), False)


@pytest.mark.parametrize(
    ("name", "member", "written", "read"),
    [
        pytest.param("include", "valueBoolean", b"true", "true", id="true"),
        pytest.param("include", "valueBoolean", b"false", "false", id="false"),
        pytest.param("limit", "valuePositiveInt", b"2147483647", "2147483647", id="the largest integer"),
        pytest.param("duration", "valueDecimal", b"1.50", "1.50", id="a zero at the end"),
        pytest.param("duration", "valueDecimal", b"1e2", "1e2", id="an exponent"),
        pytest.param("duration", "valueDecimal", b"-0", "-0", id="the sign of a zero"),
        pytest.param("system", "valueUri", b'"http://loinc.org"', "http://loinc.org", id="a text"),
    ],
)
def test_a_primitive_of_the_body_is_the_text_it_was_written_as(
    name: str, member: str, written: bytes, read: str
) -> None:
    sent = b'{"resourceType":"Parameters","parameter":[{"name":"%b","%b":%b}]}'

    inputs = read_inputs(STATS, NEEDED, sent % (name.encode(), member.encode(), written))

    assert inputs.text(name) == read
    assert inputs.said == (*NEEDED, (name, read))


def test_values_are_given_in_the_form_the_operation_asks_for() -> None:
    inputs = read_inputs(STATS, (*NEEDED, ("limit", "3"), ("duration", "1.50"), ("include", "true")))

    assert (inputs.whole("limit"), inputs.number("duration")) == (3, Decimal("1.50"))
    assert (inputs.flag("include"), inputs.flag("subject")) == (True, False)


def test_codes_that_repeat_may_stand_in_one_list_with_commas_and_texts_may_not() -> None:
    inputs = read_inputs(STATS, (*NEEDED, ("statistic", "sum,average"), ("code", "a,b"), ("code", "c")))

    assert inputs.texts("statistic") == ("count", "sum", "average")
    assert inputs.texts("code") == ("a,b", "c")


def test_objects_are_kept_in_their_order_beside_the_texts() -> None:
    first, second = {"code": "a"}, {"system": "http://loinc.org", "code": "b"}

    inputs = read_inputs(
        STATS, NEEDED, body({"name": "coding", "valueCoding": first}, {"name": "coding", "valueCoding": second})
    )

    assert inputs.objects("coding") == (first, second)
    assert inputs.object("coding") == first
    assert (inputs.text("coding"), inputs.object("subject")) == (None, None)
    assert inputs.said == NEEDED


def test_a_type_that_is_no_resource_is_read_from_its_value() -> None:
    tagged = {"tag": [{"system": "https://example.org/tags", "code": "a"}]}

    assert read_inputs(META_ADD, (), body({"name": "meta", "valueMeta": tagged})).object("meta") == tagged


def test_how_the_answer_is_to_look_is_no_parameter() -> None:
    assert read_inputs(META, (("_format", "json"), ("_pretty", "true"))) == Inputs()


def test_an_operation_that_searches_takes_search_parameters_beside_its_own() -> None:
    inputs = read_inputs(LASTN, (("patient", "p"), ("max", "2")), body({"name": "code", "valueString": "a"}))

    assert inputs.criteria == (("patient", "p"), ("code", "a"))
    assert inputs.values == {"max": ("2",)}


@pytest.mark.parametrize(
    ("member", "value", "name", "text"),
    [
        ("valueReference", {"reference": "Patient/p"}, "subject", "Patient/p"),
        ("valueReference", {"identifier": {"system": "urn:x", "value": "1"}}, "subject:identifier", "urn:x|1"),
        ("valueString", "Patient/p,Patient/q", "subject", "Patient/p,Patient/q"),
        ("valueUri", "Patient/p", "subject", "Patient/p"),
        ("valueIdentifier", {"value": "1,2"}, "subject", "1\\,2"),
        ("valueCoding", {"system": "http://x|y", "code": "a$b"}, "subject", "http://x\\|y|a\\$b"),
        ("valueCoding", {"system": "http://x"}, "subject", "http://x|"),
        (
            "valueCodeableConcept",
            {"coding": [{"system": "urn:x", "code": "a"}, {"display": "a"}, {"code": "b"}]},
            "subject",
            "urn:x|a,b",
        ),
    ],
)
def test_search_parameters_come_as_values_too(member: str, value: Any, name: str, text: str) -> None:
    inputs = read_inputs(LASTN, (("max", "2"),), body({"name": "subject", member: value}))

    assert inputs.criteria == ((name, text),)
    assert inputs.said == (("max", "2"), (name, text))


@pytest.mark.parametrize(
    ("operation", "name", "resource"),
    [
        pytest.param(EXPAND, "valueSet", {"resourceType": "ValueSet", "status": "active"}, id="the type it asks for"),
        pytest.param(VALIDATE, "resource", {"resourceType": "Patient", "gender": 5}, id="any type, to be judged"),
    ],
)
def test_a_resource_may_be_the_body_or_a_parameter_in_it(
    operation: Operation, name: str, resource: dict[str, Any]
) -> None:
    bare = read_inputs(operation, (), msgspec.json.encode(resource))
    listed = read_inputs(operation, (), body({"name": name, "resource": resource}))

    assert bare == listed == Inputs({name: (resource,)})
