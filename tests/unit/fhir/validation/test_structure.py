"""Faults that the schema finds, and what it says about them; https://hl7.org/fhir/R4/json.html."""

from collections import Counter
from typing import Any

import pytest

from fhir_facade.errors import Issue
from fhir_facade.fhir.document import known_types
from fhir_facade.fhir.validation import validate
from fhir_facade.fhir.validation.schema import MAX_ISSUES
from tests.unit.fhir.samples import BLOOD_PRESSURE, CONDITION, DROP, HEART_RATE, PATIENT, TRANSACTION, bent


def only_issue(resource: dict) -> Issue:
    issues = validate(resource, type=resource["resourceType"])
    assert len(issues) == 1, issues
    return issues[0]


WHY = [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]


@pytest.mark.parametrize(
    ("changes", "path", "code", "text"),
    [
        pytest.param(
            {"foo": 1}, ".foo", "structure", "no element 'foo' in FHIR R4; allowed are: basedOn", id="unknown"
        ),
        pytest.param(
            {"effectiveDatetime": "2026"}, ".effectiveDatetime", "structure", "mean 'effectiveDateTime'?", id="typo"
        ),
        pytest.param(
            {"valueQuantity": {"value": 1, "units": "x"}},
            ".valueQuantity.units",
            "structure",
            "mean 'unit'",
            id="unknown inside",
        ),
        pytest.param({"code": DROP}, ".code", "required", "is required and missing", id="code missing"),
        pytest.param({"status": DROP}, ".status", "required", "is required and missing", id="status missing"),
        pytest.param(
            {"status": "done"},
            ".status",
            "code-invalid",
            'is "done", but must be one of: amended, cancelled',
            id="status",
        ),
        pytest.param({"status": 5}, ".status", "code-invalid", "is 5, but must be one of", id="status a number"),
        pytest.param(
            {"effectiveDateTime": "21.11.2026"},
            ".effectiveDateTime",
            "value",
            "must be YYYY, YYYY-MM",
            id="date format",
        ),
        pytest.param(
            {"effectiveDateTime": "2026-02-30"}, ".effectiveDateTime", "value", "a day that exists", id="30 February"
        ),
        pytest.param(
            {"effectiveDateTime": "2026-11-21T08:15:30"}, ".effectiveDateTime", "value", "with a zone", id="no zone"
        ),
        pytest.param({"issued": "2026-11-21"}, ".issued", "value", "with a zone", id="instant without time"),
        pytest.param({"id": "a b"}, ".id", "value", "1 to 64 letters", id="id with a space"),
        pytest.param({"category": {}}, ".category", "structure", "must be an array", id="object for an array"),
        pytest.param({"subject": "Patient/1"}, ".subject", "structure", "must be a JSON object", id="subject a string"),
        pytest.param({"note": []}, ".note", "structure", "is empty", id="empty array"),
        pytest.param({"method": {}}, ".method", "structure", "ele-1", id="empty object"),
        pytest.param(
            {"valueQuantity": {"value": "37.4"}},
            ".valueQuantity.value",
            "structure",
            "a number, without quotes",
            id="number as string",
        ),
        pytest.param(
            {"valueQuantity": {"value": 1, "code": "%"}},
            ".valueQuantity",
            "invariant",
            "qty-3",
            id="code without system",
        ),
        pytest.param({"language": "de  AT"}, ".language", "value", "doubled spaces", id="code with two spaces"),
        pytest.param(
            {"implicitRules": "http://a b"}, ".implicitRules", "value", "without spaces", id="uri with a space"
        ),
        pytest.param({"bodySite": {"text": ""}}, ".bodySite.text", "value", "not empty", id="empty string"),
        pytest.param(
            {"bodySite": {"text": "a\u0007"}}, ".bodySite.text", "value", "control characters", id="control character"
        ),
        pytest.param({"bodySite": {"text": None}}, ".bodySite.text", "structure", "must be a string", id="null"),
        pytest.param({"bodySite": [None]}, ".bodySite", "structure", "must be a JSON object", id="array for an object"),
        pytest.param(
            {"category": [None]}, ".category[0]", "structure", "must be a JSON object", id="null in an array of objects"
        ),
        pytest.param(
            {"resourceType": "Patient"}, ".resourceType", "code-invalid", "must be one of: Observation", id="other type"
        ),
        pytest.param(
            {"extension": [{"valueString": "x"}]},
            ".extension[0].url",
            "required",
            "is required",
            id="extension without url",
        ),
        pytest.param(
            {"extension": [{"url": "http://a"}]}, ".extension[0]", "invariant", "ext-1", id="extension without value"
        ),
        pytest.param(
            {"extension": [{"url": "http://a", "valueString": "x", "valueCode": "y"}]},
            ".extension[0]",
            "invariant",
            "ext-1",
            id="extension with two values",
        ),
        pytest.param(
            {"extension": [{"url": "http://a", "valueString": "x", "extension": [{"url": "b", "valueCode": "y"}]}]},
            ".extension[0]",
            "invariant",
            "ext-1",
            id="extension with value and extensions",
        ),
    ],
)
def test_a_fault_of_an_observation_is_named_with_its_path(changes: dict, path: str, code: str, text: str) -> None:
    observation = bent(HEART_RATE, **changes)

    issues = validate(observation, type="Observation")

    assert [(issue.code, issue.expression, issue.severity) for issue in issues] == [
        (code, f"Observation{path}", "error")
    ]
    assert text in issues[0].diagnostics


@pytest.mark.parametrize(
    ("member", "value"),
    [
        pytest.param("birthDate", "2100-02-29", id="no leap year in 2100"),
        pytest.param("birthDate", "2026-04-31", id="31 April"),
        pytest.param("birthDate", "2026-13", id="month 13"),
        pytest.param("birthDate", "0000", id="year 0"),
        pytest.param("birthDate", "2026-1-1", id="short month"),
        pytest.param("birthDate", "2026-01-01T00:00:00Z", id="date with time"),
        pytest.param("birthDate", "2026-01-01\n", id="line feed at the end"),
        pytest.param("multipleBirthInteger", 2.0, id="integer with a fraction"),
        pytest.param("multipleBirthInteger", 2**31, id="integer of 33 bits"),
        pytest.param("multipleBirthInteger", True, id="integer true"),
        pytest.param("active", "true", id="boolean as a string"),
        pytest.param("active", 1, id="boolean as a number"),
        pytest.param("photo", [{"contentType": "image/png", "data": "abc"}], id="base64 without padding"),
        pytest.param("photo", [{"contentType": "image/png", "data": "ab=c"}], id="base64 padded inside"),
        pytest.param("photo", [{"contentType": "image/png", "data": "a-_="}], id="base64 for URLs"),
        pytest.param("photo", [{"url": ""}], id="empty url"),
        pytest.param("photo", [{"size": -1}], id="negative unsignedInt"),
        pytest.param("telecom", [{"system": "phone", "value": "1", "rank": 0}], id="positiveInt 0"),
        pytest.param("extension", [{"url": "a", "valueOid": "1.2.3"}], id="oid without urn"),
        pytest.param("extension", [{"url": "a", "valueUuid": "urn:uuid:1"}], id="uuid"),
        pytest.param("extension", [{"url": "a", "valueTime": "24:00:00"}], id="time 24:00"),
        pytest.param("extension", [{"url": "a", "valueInstant": "2026-01-01T00:00:00"}], id="instant without zone"),
        pytest.param("extension", [{"url": "a", "valueDateTime": "2026-01-01T00:00:00+15:00"}], id="zone +15"),
        pytest.param("extension", [{"id": "a b", "url": "a", "valueCode": "x"}], id="element id with a space"),
        pytest.param("text", {"status": "generated", "div": "Ada"}, id="narrative without div"),
        pytest.param("text", {"div": "<div>Ada</div>"}, id="narrative without status"),
        pytest.param("gender", "f", id="code of another system"),
        pytest.param("managingOrganization", {"id": "x"}, id="element with nothing but an id"),
        pytest.param("photo", [{"contentType": "png", "data": "QUJD"}], id="media type without a slash"),
        pytest.param("extension", [{"url": "a", "valueMoney": {"currency": "Euro"}}], id="currency in words"),
    ],
)
def test_a_malformed_primitive_is_refused(member: str, value: object) -> None:
    patient = bent(PATIENT, **{member: value})

    issue = only_issue(patient)

    assert issue.expression is not None
    assert issue.expression.startswith(f"Patient.{member}")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        pytest.param("birthDate", "2000-02-29", id="leap day in 2000"),
        pytest.param("birthDate", "2024-02-29", id="leap day"),
        pytest.param("birthDate", "1815", id="year"),
        pytest.param("photo", [{"contentType": "image/png", "data": "QUJD\nQQ=="}], id="base64 with a line break"),
        pytest.param("multipleBirthInteger", -(2**31), id="smallest integer"),
        pytest.param("extension", [{"url": "a", "valueDecimal": 1e-9}], id="decimal with exponent"),
        pytest.param("extension", [{"url": "a", "valueMeta": {"versionId": "1"}}], id="meta as a value"),
        pytest.param(
            "extension", [{"url": "a", "_valueString": {"extension": WHY}}], id="value that is an extension only"
        ),
        pytest.param("extension", [{"url": "a", "valueInstant": "2026-01-01T00:00:60Z"}], id="leap second"),
        pytest.param("name", [{"text": "a\u00a0b\r\n\tc"}], id="no-break space and tab"),
        pytest.param(
            "name", [{"given": [None, "B"], "_given": [{"extension": WHY}, None]}], id="null beside an extension"
        ),
        pytest.param("name", [{"given": ["A"], "_given": [{"id": "g"}]}], id="id of a value in an array"),
        pytest.param("_birthDate", {"id": "x"}, id="id of a value"),
        pytest.param("meta", {"profile": [None], "_profile": [{"extension": WHY}]}, id="extension of a canonical"),
        pytest.param("_birthDate", {"extension": [{"url": "a", "valueCode": "x"}]}, id="birth time extension"),
    ],
)
def test_an_unusual_but_right_value_is_accepted(member: str, value: object) -> None:
    assert validate(bent(PATIENT, **{member: value}), type="Patient") == ()


@pytest.mark.parametrize(
    "resource",
    [HEART_RATE, BLOOD_PRESSURE, PATIENT, CONDITION, TRANSACTION],
    ids=lambda resource: resource["resourceType"],
)
def test_the_samples_are_valid(resource: dict) -> None:
    assert validate(resource, type=resource["resourceType"]) == ()


def test_a_required_primitive_may_be_an_extension_only() -> None:
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }

    assert validate(bent(HEART_RATE, status=DROP, _status=absent), type="Observation") == ()


def test_a_required_choice_names_its_ways() -> None:
    request = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/1"},
    }

    issue = only_issue(request)

    assert issue.diagnostics == "MedicationRequest needs one of: medicationCodeableConcept, medicationReference."


def test_a_long_list_of_codes_is_cut() -> None:
    graph = {"resourceType": "GraphDefinition", "name": "x", "status": "draft", "start": "Patients"}

    assert "(148 codes)" in only_issue(graph).diagnostics


def test_a_long_value_is_cut() -> None:
    assert "xxx…" in only_issue(bent(PATIENT, birthDate="x" * 99)).diagnostics


def test_the_number_of_issues_is_bounded() -> None:
    names = [{"family": 1}] * (MAX_ISSUES + 10)

    assert len(validate(bent(PATIENT, name=names), type="Patient")) == MAX_ISSUES


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({f"k{number}": 1 for number in range(1000)}, id="elements that are not there"),
        pytest.param({"contained": [{"resourceType": "Patient", "k": 1}] * 1000}, id="contained resources"),
        pytest.param({"contact": [{"gender": "male"}] * 1000}, id="rules that are broken"),
    ],
)
def test_what_is_wrong_everywhere_is_told_a_few_times(changes: dict[str, Any]) -> None:
    """An answer of 15 MB to a body of 300 kB took nine seconds, in which nobody else was answered."""
    assert len(validate(bent(PATIENT, **changes), type="Patient")) == MAX_ISSUES


def test_many_warnings_hide_no_error() -> None:
    percent = {"value": 97, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
    code = {"coding": [{"system": "http://loinc.org", "code": "59408-5"}]}
    warned = bent(HEART_RATE, meta=DROP, code=code, valueQuantity=percent)
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": warned}] * (MAX_ISSUES + 10)}
    bundle["entry"].append({"resource": {**warned, "k": 1}})

    severities = Counter(issue.severity for issue in validate(bundle, type="Bundle"))

    assert severities == {"warning": MAX_ISSUES, "error": 1}


def test_a_long_name_is_cut() -> None:
    assert "'xxx" in only_issue(bent(PATIENT, **{"x" * 5000: 1})).diagnostics
    assert len(only_issue(bent(PATIENT, **{"x" * 5000: 1})).diagnostics) < 1000


@pytest.mark.parametrize("kind", sorted(known_types()))
def test_every_type_of_r4_has_its_schema(kind: str) -> None:
    issues = validate({"resourceType": kind, "id": "1", "nonsense": 1}, type=kind)

    assert f"{kind}.nonsense" in [issue.expression for issue in issues]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        pytest.param({"gender": DROP, "_gender": {"id": "x"}}, "Patient._gender", id="no value"),
        pytest.param({"name": [{"_given": [{"id": "x"}]}]}, "Patient.name[0]._given[0]", id="no array of values"),
        pytest.param(
            {"name": [{"given": [None, "B"], "_given": [{"id": "x"}]}]},
            "Patient.name[0]._given[0]",
            id="null in an array",
        ),
        pytest.param(
            {"name": [{"given": ["A"], "_given": [None, {"id": "x"}]}]},
            "Patient.name[0]._given[1]",
            id="behind an array",
        ),
        pytest.param(
            {"contained": [{"resourceType": "Basic", "id": "a", "code": {"text": "x"}, "_created": {"id": "x"}}]},
            "Patient.contained[0]._created",
            id="in a contained resource",
        ),
    ],
)
def test_an_id_alone_stands_for_no_value(changes: dict[str, object], path: str) -> None:
    reference = {"extension": [{"url": "urn:x", "valueReference": {"reference": "#a"}}]}

    (issue,) = validate(bent(PATIENT, **reference if "contained" in changes else {}, **changes), type="Patient")

    assert (issue.code, issue.expression, "ele-1" in issue.diagnostics) == ("structure", path, True)


def test_ids_beside_values_leave_the_other_rules_in_force() -> None:
    patient = bent(PATIENT, _birthDate={"id": "x"}, contact=[{"gender": "male"}])

    assert [issue.expression for issue in validate(patient, type="Patient")] == ["Patient.contact[0]"]


@pytest.mark.parametrize("member", ["comparator", "_comparator"])
def test_a_quantity_that_is_simple_has_no_comparator(member: str) -> None:
    value = {"value": 1, member: "<"}

    (issue,) = validate(bent(HEART_RATE, referenceRange=[{"low": value}]), type="Observation")

    assert issue.expression == f"Observation.referenceRange[0].low.{member}"
    assert "sqty-1" in issue.diagnostics


def test_other_quantities_may_have_a_comparator() -> None:
    value = {"value": 1, "comparator": "<"}

    assert validate({**OBSERVATION, "valueQuantity": value}, type="Observation") == ()


OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
