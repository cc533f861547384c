"""JSON Patch on resources; https://www.rfc-editor.org/rfc/rfc6902."""

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.errors import BadRequest, FacadeError, InvalidResource, TooLarge
from fhir_facade.fhir.document import decimal_loads
from fhir_facade.fhir.patch import json_patch
from fhir_facade.fhir.patch.json_patch import MAX_COPIED_BYTES, MAX_OPERATIONS

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "1",
    "active": True,
    "name": [{"family": "A", "given": ["B", "C"]}, {"family": "D"}],
}


def patched(*operations: Any) -> dict[str, Any]:
    return json_patch.apply(copy.deepcopy(PATIENT), list(operations))


@pytest.mark.parametrize(
    ("operations", "text"),
    [
        pytest.param({"op": "add"}, "array of operations", id="an object"),
        pytest.param([1], "Operation 0 of the patch needs an 'op'", id="a number"),
        pytest.param([{"path": "/a"}], "needs an 'op' out of: add, replace", id="no op"),
        pytest.param([{"op": "delete", "path": "/a"}], "needs an 'op'", id="unknown op"),
        pytest.param([{"op": ["add"], "path": "/a"}], "needs an 'op'", id="op a list"),
        pytest.param([{"op": "add", "value": 1}], "'add', needs 'path'", id="no path"),
        pytest.param([{"op": "add", "path": "/a"}], "'add', needs 'value'", id="no value"),
        pytest.param([{"op": "copy", "path": "/a"}], "'copy', needs 'from'", id="no from"),
        pytest.param([{"op": "copy", "path": "/a", "from": "/name/-"}], "nothing is there", id="a copy of no item"),
        pytest.param([{"op": "move", "path": "/a", "from": "/name/0/given/-"}], "nothing is there", id="no item moved"),
        pytest.param([{"op": "copy", "path": "/a", "from": "/b/-"}], "no such place", id="a copy from nowhere"),
        pytest.param([{"op": "copy", "path": "/a", "from": "/name/-/family"}], "no such place", id="behind no item"),
        pytest.param([{"op": "copy", "path": "/a", "from": "/active/b"}], "no such place", id="below a boolean"),
        pytest.param([{"op": "copy", "path": "/a", "from": "/a~2"}], "no such place", id="no pointer"),
        pytest.param([{"op": "remove", "path": "name"}], "must be a JSON Pointer", id="path without slash"),
        pytest.param([{"op": "remove", "path": 1}], "must be a JSON Pointer", id="path a number"),
        pytest.param([{"op": "move", "path": "/a", "from": None}], "'from' of operation 0", id="from null"),
        pytest.param([{"op": "add", "path": "", "value": {}}], "use PUT", id="add of everything"),
        pytest.param([{"op": "replace", "path": "", "value": {}}], "use PUT", id="replace of everything"),
        pytest.param([{"op": "remove", "path": ""}], "use PUT", id="remove of everything"),
        pytest.param([{"op": "copy", "from": "/name/0", "path": ""}], "use PUT", id="copy to everything"),
        pytest.param([{"op": "remove", "path": "/gender"}], "'remove' at /gender, does not fit", id="absent"),
        pytest.param([{"op": "replace", "path": "/name/9/family", "value": "X"}], "does not fit", id="index beyond"),
        pytest.param([{"op": "replace", "path": "/name/01/family", "value": "X"}], "does not fit", id="leading zero"),
        pytest.param([{"op": "add", "path": "/name/-1", "value": {}}], "does not fit", id="negative index"),
        pytest.param([{"op": "add", "path": "/name/x", "value": {}}], "does not fit", id="index a word"),
        pytest.param([{"op": "add", "path": "/active/x", "value": 1}], "does not fit", id="below a primitive"),
        pytest.param([{"op": "add", "path": "/contact/0", "value": {}}], "does not fit", id="array that is not there"),
        pytest.param([{"op": "add", "path": "/a~2b", "value": 1}], "does not fit", id="wrong escape"),
        pytest.param([{"op": "copy", "from": "/gender", "path": "/x"}], "'copy' at /x, does not fit", id="no source"),
        pytest.param([{"op": "move", "from": "/name", "path": "/name/0/x"}], "does not fit", id="into its own child"),
        pytest.param(
            [{"op": "remove", "path": "/active"}, {"op": "remove", "path": "/active"}], "Operation 1", id="second"
        ),
    ],
)
def test_an_operation_that_cannot_be_done_is_named(operations: Any, text: str) -> None:
    with pytest.raises(BadRequest, match=text) as caught:
        json_patch.apply(copy.deepcopy(PATIENT), operations)

    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("path", "value"),
    [("/active", 1), ("/active", False), ("/name/0/family", "B"), ("/name/0/given", ["B"]), ("", {}), ("/gender", "x")],
)
def test_a_failed_test_is_unprocessable(path: str, value: Any) -> None:
    with pytest.raises(FacadeError) as caught:
        patched({"op": "test", "path": path, "value": value})

    assert isinstance(caught.value, InvalidResource)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("operation", "member", "result"),
    [
        pytest.param({"op": "add", "path": "/gender", "value": "other"}, "gender", "other", id="add"),
        pytest.param(
            {"op": "add", "path": "/name/1/given", "value": ["E"]},
            "name",
            [PATIENT["name"][0], {"family": "D", "given": ["E"]}],
            id="add inside",
        ),
        pytest.param(
            {"op": "add", "path": "/name/-", "value": {"text": "Z"}},
            "name",
            [*PATIENT["name"], {"text": "Z"}],
            id="append",
        ),
        pytest.param(
            {"op": "add", "path": "/name/0", "value": {"text": "Z"}},
            "name",
            [{"text": "Z"}, *PATIENT["name"]],
            id="insert",
        ),
        pytest.param(
            {"op": "add", "path": "/name/0/given/-", "value": ["E"]},
            "name",
            [{"family": "A", "given": ["B", "C", ["E"]]}, {"family": "D"}],
            id="an array stays an array",
        ),
        pytest.param({"op": "remove", "path": "/name/0"}, "name", [{"family": "D"}], id="remove"),
        pytest.param({"op": "replace", "path": "/active", "value": False}, "active", False, id="replace"),
        pytest.param({"op": "move", "from": "/name/1", "path": "/name/0"}, "name", PATIENT["name"][::-1], id="move"),
        pytest.param(
            {"op": "copy", "from": "/name/1", "path": "/name/0"}, "name", [{"family": "D"}, *PATIENT["name"]], id="copy"
        ),
        pytest.param({"op": "test", "path": "/active", "value": True}, "active", True, id="test"),
    ],
)
def test_operations_do_what_they_say(operation: dict, member: str, result: Any) -> None:
    assert patched(operation)[member] == result


def test_a_test_compares_numbers_by_value() -> None:
    assert json_patch.apply({"a": 1}, decimal_loads(b'[{"op":"test","path":"/a","value":1.00}]')) == {"a": 1}


def test_too_many_operations_are_refused() -> None:
    with pytest.raises(TooLarge, match=str(MAX_OPERATIONS)):
        patched(*[{"op": "test", "path": "/active", "value": True}] * (MAX_OPERATIONS + 1))


def test_small_copies_beside_something_large_are_small() -> None:
    large = {**copy.deepcopy(PATIENT), "photo": [{"data": "x" * MAX_COPIED_BYTES}]}

    after = json_patch.apply(large, [{"op": "copy", "from": "/name/0", "path": "/name/-"}] * MAX_OPERATIONS)

    assert len(after["name"]) == MAX_OPERATIONS + 2


def test_copies_of_copies_cannot_fill_the_memory() -> None:
    with pytest.raises(TooLarge, match="all copies together"):
        patched(*({"op": "copy", "from": "/name", "path": f"/name/0/x{step}"} for step in range(60)))


pointers = st.sampled_from(
    ["", "/", "/name", "/name/0", "/name/-", "/name/1/given/0", "/active/x", "/~1", "/x/y", "/name/٣"]
)
operations = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": pointers},
        optional={"from": pointers, "value": st.sampled_from([1, "x", None, [], {"a": 1}])},
    ),
    max_size=4,
)


@given(operations)
def test_any_patch_is_applied_or_refused_with_a_reason(changes: list) -> None:
    with contextlib.suppress(FacadeError):
        assert isinstance(json_patch.apply(copy.deepcopy(PATIENT), changes), dict)
