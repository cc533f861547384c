"""Words of resources, and questions about them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.words import MAX_WORDS, Joined, Phrase, all_words, narrative_words, parse_words, says, words_of


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "()",
        "(a",
        "a)",
        "a or",
        "or a",
        "and",
        "a and",
        "--",
        '""',
        "a (",
        " ".join("a" * (MAX_WORDS + 1)),
        "(" * 90,
    ],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="_text: allowed are at most 50 words"):
        parse_words("_text", text)


A, B, C = (Phrase((word,)) for word in "abc")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        ("a b", Joined((A, B), all=True)),
        ("a and b", Joined((A, B), all=True)),
        ("a OR b", Joined((A, B), all=False)),
        ("a or b c", Joined((A, Joined((B, C), all=True)), all=False)),
        ("(a or b) and c", Joined((Joined((A, B), all=False), C), all=True)),
        ('"Ä b"', Phrase(("a", "b"))),
        ('"a b', Phrase(("a", "b"))),
        ("x-ray*", Phrase(("x", "ray"), begins=True)),
        ("metastas*", Phrase(("metastas",), begins=True)),
    ],
)
def test_words_are_joined(text: str, expected: Any) -> None:
    assert parse_words("_text", text) == expected


BONES = words_of("Fracture of the left hip-joint, Fémur")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("femur", True),
        ("FRACTURE femur", True),
        ("fracture arm", False),
        ("arm or hip", True),
        ("(arm or hip) and left", True),
        ("(arm or leg) and left", False),
        ('"left hip"', True),
        ('"hip left"', False),
        ("hip-joint", True),
        ("frac", False),
        ("frac*", True),
        ('"hip joi*"', True),
        ('"left of the universe and everything else"', False),
    ],
)
def test_a_question_is_answered_by_the_words(text: str, found: bool) -> None:
    assert says(BONES, parse_words("_text", text)) is found


RESOURCE = {
    "resourceType": "Condition",
    "text": {"status": "generated", "div": "<div>Broken&nbsp;<b>Arm</b></div>"},
    "code": {"text": "Fracture", "coding": [{"display": "Fémur"}]},
    "note": [{"text": "healing"}],
    "recordedDate": "2026",
    "content": [{"attachment": {"data": "c2VjcmV0"}}],
    "rank": 3,
}


def test_the_narrative_is_read_without_its_markup() -> None:
    assert narrative_words(RESOURCE) == ["broken", "arm"]
    assert narrative_words({"text": "no narrative"}) == narrative_words({"text": {"div": 1}}) == []


def test_all_words_are_those_of_every_string_but_data() -> None:
    assert {"broken", "arm", "fracture", "femur", "healing", "2026"} <= set(all_words(RESOURCE))
    assert not {"div", "b", "c2vjcmv0", "nbsp"} & set(all_words(RESOURCE))


@given(st.text(max_size=40))
def test_whatever_is_asked_the_only_errors_are_bad_requests(text: str) -> None:
    try:
        says(BONES, parse_words("_text", text))
    except BadRequest:
        return
