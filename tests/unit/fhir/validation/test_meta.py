"""How long what a resource is marked with may be: as long as an index has room for it on every store."""

from typing import Any

import pytest

from fhir_facade.fhir.validation import validate

MOST = 768


def faults(meta: dict[str, Any]) -> list[tuple[str, str | None]]:
    issues = validate({"resourceType": "Patient", "meta": meta}, type="Patient")
    return [(issue.code, issue.expression) for issue in issues]


def marked(part: str, text: str) -> dict[str, Any]:
    return {"tag": [{"code": "a"}, {"code": "b"} | {part: text}]}


@pytest.mark.parametrize(
    ("meta", "place"),
    [
        (marked("system", "urn:" + "x" * MOST), "tag[1].system"),
        (marked("version", "x" * (MOST + 1)), "tag[1].version"),
        (marked("code", "x" * (MOST + 1)), "tag[1].code"),
        (marked("code", "\u00e9" * (MOST // 2 + 1)), "tag[1].code"),
        ({"security": [{"code": "x" * (MOST + 1)}]}, "security[0].code"),
        ({"profile": ["http://example.org/" + "x" * MOST]}, "profile[0]"),
        ({"source": "urn:" + "x" * MOST}, "source"),
    ],
)
def test_what_has_no_room_in_an_index_is_refused(meta: dict[str, Any], place: str) -> None:
    assert faults(meta) == [("too-long", f"Patient.meta.{place}")]


def test_what_has_room_is_not() -> None:
    tag = {"system": "urn:" + "s" * (MOST - 4), "version": "v" * MOST, "code": "\u00e9" * (MOST // 2)}

    assert faults({"tag": [tag], "source": "urn:" + "x" * (MOST - 4)}) == []


def test_a_display_may_be_of_any_length() -> None:
    assert faults(marked("display", "x" * 10_000)) == []


def test_a_profile_that_is_left_out_for_a_reason_has_no_length() -> None:
    why = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}

    assert faults({"profile": [None], "_profile": [{"extension": [why]}]}) == []
