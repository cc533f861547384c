"""What a FHIRPath Patch may cost, and what any path does; https://hl7.org/fhir/R4/fhirpatch.html."""

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.errors import BadRequest, TooLarge
from fhir_facade.fhir.document import decimal_dumps
from fhir_facade.fhir.patch import fhirpath_patch
from fhir_facade.fhir.patch.apply import without_empty
from tests.unit.fhir.patch.told import NOW, PATIENT, integer, operation, patched


def test_paths_that_take_too_long_together_are_refused_as_too_costly() -> None:
    look = operation("delete", "Patient.descendants().where(%resource.descendants().where($this = 'none').exists())")

    assert patched(look) == PATIENT
    with pytest.raises(BadRequest, match="too many elements") as caught:
        patched(*[look] * 40)

    (issue,) = caught.value.issues
    assert (caught.value.status, issue.code) == (400, "too-costly")
    assert issue.expression in [f"Parameters.parameter[{at}]" for at in range(2, 40)]


def test_too_many_operations_are_refused() -> None:
    with pytest.raises(TooLarge, match="1000 operations"):
        patched(*[operation("delete", "Patient.photo")] * 1001)


def test_a_path_cannot_write_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)

    assert "active" not in patched(operation("delete", "Patient.trace('all', name).active"))
    assert caplog.records == []


# --- any patch --------------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "Patient",
        "name",
        "given",
        "[0]",
        "[",
        "]",
        "(",
        ")",
        ".",
        ",",
        "where",
        "exists()",
        "first()",
        "=",
        "!=",
        "~",
        "<",
        ">",
        "|",
        "&",
        "+",
        "-",
        "*",
        "/",
        "div",
        "mod",
        "in",
        "contains",
        "is",
        "as",
        "and",
        "or",
        "not()",
        "implies",
        "xor",
        "'x'",
        "1",
        "1.5",
        "7'kg'",
        "@2026",
        "@T10:00",
        "true",
        "{}",
        "$this",
        "$index",
        "%resource",
        "%x",
        "HumanName",
        "integer",
        "ofType(",
        "descendants()",
        "repeat(",
        "children()",
        "matches(",
        "extension('http://a')",
        "birthDate",
        "multipleBirth",
        "value",
        "toString()",
        "`x`",
        "years",
    ]
)
PATHS = st.one_of(
    st.lists(WORDS, max_size=12).map("".join),
    st.lists(WORDS, max_size=12).map(" ".join),
    st.lists(WORDS, max_size=8).map(".".join),
    st.text(max_size=20),
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["add", "insert", "delete", "replace", "move"]), PATHS)
def test_any_path_is_taken_or_refused_with_a_reason(kind: str, path: str) -> None:
    rest = {"index": integer(0), "source": integer(0), "destination": integer(0), "name": {"valueString": "text"}}

    with contextlib.suppress(BadRequest):
        decimal_dumps(without_empty(patched(operation(kind, path, value={"valueString": "x"}, **rest))))


NAMES = st.fixed_dictionaries(
    {"family": st.sampled_from(["A", "B"])},
    optional={"given": st.lists(st.sampled_from("xyz"), min_size=1, max_size=3), "use": st.just("old")},
)


@settings(max_examples=50, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=4), st.data())
def test_a_place_named_in_any_way_is_the_place_that_is_changed(
    names: list[dict[str, Any]], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(names) - 1))
    alike = [index for index, one in enumerate(names) if one["family"] == names[at]["family"]]
    after, back = alike.index(at), len(names) - 1 - at
    way = data.draw(
        st.sampled_from(
            [
                f"Patient.name[{at}]",
                f"Patient.name.skip({at}).first()",
                f"Patient.name.take({at + 1}).last()",
                f"Patient.name.where($index = {at})",
                f"%resource.name.tail().skip({at - 1}).take(1)" if at else "name.first()",
                f"name[name.count() - {back + 1}]",
                f"Patient.name.where(family = '{names[at]['family']}')[{after}]",
                f"(Patient.name)[{at}]",
                f"Patient.name.select($this)[{at}]",
                f"Patient.children().where($this is HumanName)[{at}]",
                f"Patient.descendants().ofType(HumanName).skip({at}).take(1)",
                f"Patient.name.where(iif($index = {at}, true, false))",
            ]
        )
    )
    resource = {"resourceType": "Patient", "name": names}
    change = operation("replace", f"{way}.family", value={"valueString": "Z"})

    result = fhirpath_patch.apply(copy.deepcopy(resource), {"resourceType": "Parameters", "parameter": [change]}, NOW)

    names[at]["family"] = "Z"
    assert result == resource
