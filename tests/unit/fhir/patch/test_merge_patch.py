"""JSON Merge Patch; the cases of https://www.rfc-editor.org/rfc/rfc7396#appendix-A on members."""

import pytest

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.patch import merge_patch


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": "x"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_members_replace_members_and_null_removes(target: dict, patch: dict, result: dict) -> None:
    assert merge_patch.apply(target, patch) == result


@pytest.mark.parametrize("patch", [[], "a", 1, None])
def test_what_is_no_object_is_no_merge_patch(patch: object) -> None:
    with pytest.raises(BadRequest, match="merge patch is a JSON object"):
        merge_patch.apply({}, patch)
