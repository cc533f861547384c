"""What holds for every kind of patch; https://hl7.org/fhir/R4/http.html#patch."""

import json
from datetime import UTC, datetime

import pytest

from fhir_facade.errors import BadRequest, UnsupportedFormat
from fhir_facade.fhir.patch import PATCH_FORMATS, apply_patch

CURRENT = (
    b'{"resourceType":"Observation","id":"o1","status":"final","valueQuantity":{"value":1.50,"unit":"g"},'
    b'"component":[{"valueQuantity":{"value":1e2}},{"valueQuantity":{"value":0.1234567890123456789012345}}]}'
)
AMENDED = CURRENT.replace(b'"final"', b'"amended"')

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
JSON_PATCH = b'[{"op":"replace","path":"/status","value":"amended"}]'
MERGE_PATCH = b'{"status":"amended"}'
FHIRPATH_PATCH = json.dumps(
    {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "operation",
                "part": [
                    {"name": "type", "valueCode": "replace"},
                    {"name": "path", "valueString": "Observation.status"},
                    {"name": "value", "valueCode": "amended"},
                ],
            }
        ],
    }
).encode()


@pytest.mark.parametrize(
    ("patch", "content_type"),
    [
        pytest.param(JSON_PATCH, "application/json-patch+json", id="JSON Patch"),
        pytest.param(JSON_PATCH, "application/json", id="JSON Patch as application/json"),
        pytest.param(FHIRPATH_PATCH, "application/fhir+json; charset=utf-8", id="FHIRPath Patch"),
        pytest.param(FHIRPATH_PATCH, "application/json", id="FHIRPath Patch as application/json"),
        pytest.param(MERGE_PATCH, "application/merge-patch+json", id="merge patch"),
        pytest.param(MERGE_PATCH, "Application/JSON;charset=utf-8", id="merge patch as application/json"),
    ],
)
def test_every_kind_changes_what_it_names_and_keeps_all_digits(patch: bytes, content_type: str) -> None:
    assert apply_patch(CURRENT, patch, content_type, NOW) == AMENDED


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/fhir+xml", "application/xml-patch+xml"])
def test_another_content_type_is_refused_with_the_known_ones(content_type: str) -> None:
    with pytest.raises(UnsupportedFormat, match="application/merge-patch"):
        apply_patch(CURRENT, MERGE_PATCH, content_type, NOW)


@pytest.mark.parametrize("patch", [b"", b"{", b'{"status":"a","status":"b"}', b'{"status":"\\u0000"}'])
def test_a_patch_that_is_no_proper_json_is_refused(patch: bytes) -> None:
    with pytest.raises(BadRequest):
        apply_patch(CURRENT, patch, "application/merge-patch+json", NOW)


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        ({"resourceType": "Patient"}, "resourceType"),
        ({"resourceType": None}, "resourceType"),
        ({"id": "o2"}, "id"),
        ({"id": None}, "id"),
    ],
)
def test_type_and_id_cannot_be_changed(patch: dict, text: str) -> None:
    with pytest.raises(BadRequest, match=f"cannot change the {text}"):
        apply_patch(CURRENT, json.dumps(patch).encode(), "application/merge-patch+json", NOW)


def test_what_a_patch_leaves_empty_is_left_out() -> None:
    current = b'{"resourceType":"Patient","name":[{"given":["A"]}],"active":true}'

    patched = apply_patch(current, b'[{"op":"remove","path":"/name/0/given/0"}]', "application/json-patch+json", NOW)

    assert patched == b'{"resourceType":"Patient","active":true}'


def test_the_digits_of_a_new_number_are_kept() -> None:
    patched = apply_patch(CURRENT, b'{"valueQuantity":{"value":37.00}}', "application/merge-patch+json", NOW)

    assert b'"value":37.00,"unit":"g"' in patched


def test_the_formats_that_are_announced_are_taken() -> None:
    assert PATCH_FORMATS == ("application/json-patch+json", "application/fhir+json", "application/merge-patch+json")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            '{"given":["A","B"],"_given":[{},{"id":"b"}]}', '{"given":["A","B"],"_given":[null,{"id":"b"}]}', id="place"
        ),
        pytest.param('{"given":["A"],"_given":[{"extension":[]}]}', '{"given":["A"]}', id="nothing beside"),
        pytest.param(
            '{"given":["A",null,"C"],"_given":[null,{},{"id":"c"}]}',
            '{"given":["A","C"],"_given":[null,{"id":"c"}]}',
            id="gap",
        ),
        pytest.param('{"_given":[null,{"id":"b"}]}', '{"_given":[{"id":"b"}]}', id="only beside"),
        pytest.param('{"given":[null],"_given":[null],"use":"old"}', '{"use":"old"}', id="nothing at all"),
        pytest.param(
            '{"given":["A","B"],"_given":[{"id":"a"}]}', '{"given":["A","B"],"_given":[{"id":"a"}]}', id="shorter"
        ),
        pytest.param('{"given":"A","_given":[{"id":"a"}]}', '{"given":"A","_given":[{"id":"a"}]}', id="no array"),
    ],
)
def test_what_is_said_beside_primitives_stays_beside_them(before: str, after: str) -> None:
    current = b'{"resourceType":"Patient","name":[%s],"active":true}'

    patched = apply_patch(current % before.encode(), b'{"active":false}', "application/merge-patch+json", NOW)

    assert patched == b'{"resourceType":"Patient","name":[%s],"active":false}' % after.encode()


def test_a_patch_cannot_nest_without_end() -> None:
    deep = {"url": "deep"}
    for _ in range(26):
        deep = {"url": "x", "extension": [deep]}
    path = "Observation.descendants().where(url = 'deep' and extension.empty())"
    parts = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": path},
        {"name": "name", "valueString": "extension"},
        {"name": "value", "valueExtension": deep},
    ]
    told = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}] * 12}
    current = CURRENT[:-1] + b',"extension":[{"url":"deep"}]}'

    with pytest.raises(BadRequest, match="nested deeper than 64 levels"):
        apply_patch(current, json.dumps(told).encode(), "application/fhir+json", NOW)


def test_a_json_patch_cannot_nest_without_end() -> None:
    deep: dict = {}
    for _ in range(50):
        deep = {"a": deep}
    operations = [{"op": "add", "path": "/a" * (51 * step + 1), "value": deep} for step in range(40)]

    with pytest.raises(BadRequest, match="nested deeper than 64 levels"):
        apply_patch(CURRENT, json.dumps(operations).encode(), "application/json-patch+json", NOW)
