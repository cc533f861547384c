"""References are told apart, found and made relative."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.fhir.references import Reference, parse_reference, reference_texts, references_in, relative_to

BASE = "https://facade.example/fhir"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Reference("unknown", url="")),
        ("Heart/1", Reference("unknown", url="Heart/1")),
        ("Patient/" + "x" * 65, Reference("unknown", url="Patient/" + "x" * 65)),
        ("Patient/1/extra", Reference("unknown", url="Patient/1/extra")),
        ("Heart?rate=1", Reference("unknown", url="Heart?rate=1")),
        ("#", Reference("contained", id="")),
        ("#p1", Reference("contained", id="p1")),
        ("urn:uuid:0b", Reference("urn", url="urn:uuid:0b")),
        ("Patient/1", Reference("relative", "Patient", "1")),
        ("Patient/1/_history/2", Reference("relative", "Patient", "1", "2")),
        (f"{BASE}/Patient/1", Reference("relative", "Patient", "1")),
        ("http://o.example/Patient/1", Reference("absolute", "Patient", "1", None, "http://o.example/Patient/1")),
        ("Patient?identifier=a|b", Reference("conditional", "Patient", query="identifier=a|b")),
        (
            "http://o.example/Questionnaire/q|2",
            Reference("canonical", url="http://o.example/Questionnaire/q", version="2"),
        ),
        ("http://o.example/x", Reference("canonical", url="http://o.example/x")),
    ],
)
def test_a_reference_is_told_apart_by_its_form(text, expected):
    assert parse_reference(text, base_url=BASE) == expected


def test_without_a_base_our_own_url_is_absolute():
    assert parse_reference(f"{BASE}/Patient/1").kind == "absolute"


@given(st.text())
def test_no_text_makes_parsing_fail(text):
    assert parse_reference(text, base_url=BASE).kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{BASE}/Patient/1", "Patient/1"),
        (f"{BASE}x/Patient/1", f"{BASE}x/Patient/1"),
        (f"{BASE}/", f"{BASE}/"),
        (BASE, BASE),
        ("Patient/1", "Patient/1"),
    ],
)
def test_only_urls_below_the_base_become_relative(text, expected):
    assert relative_to(BASE, text) == expected
    assert relative_to(BASE + "/", text) == expected


def test_references_are_found_in_contained_resources_and_extensions_in_order():
    resource = {
        "resourceType": "Observation",
        "contained": [{"resourceType": "Patient", "managingOrganization": {"reference": "Organization/o"}}],
        "extension": [{"url": "urn:x", "valueReference": {"reference": "#p"}}],
        "subject": {"reference": "Patient/1", "display": "P"},
        "performer": [{"display": "nobody"}, {"reference": "Practitioner/2"}],
        "note": [{"reference": 3}],
    }
    assert list(references_in(resource)) == [
        ("Observation.contained[0].managingOrganization.reference", "Organization/o"),
        ("Observation.extension[0].valueReference.reference", "#p"),
        ("Observation.subject.reference", "Patient/1"),
        ("Observation.performer[1].reference", "Practitioner/2"),
    ]


def test_paths_start_where_the_caller_says():
    assert list(references_in({"reference": "Patient/1"})) == [("reference", "Patient/1")]
    assert list(references_in({"reference": "Patient/1"}, "List.entry[0].item")) == [
        ("List.entry[0].item.reference", "Patient/1")
    ]
    assert list(references_in({"a": [{"reference": "A/1"}]})) == [("a[0].reference", "A/1")]
    assert list(references_in([{"reference": "A/1"}])) == [("[0].reference", "A/1")]
    assert list(references_in("Patient/1")) == []


def test_references_are_found_quickly_without_their_places():
    resource = {
        "resourceType": "Observation",
        "contained": [{"resourceType": "Patient", "managingOrganization": {"reference": "Organization/o"}}],
        "performer": [{"display": "nobody"}, {"reference": "Practitioner/2"}],
        "note": [{"reference": 3}, "text"],
    }

    assert sorted(reference_texts(resource)) == sorted(text for _, text in references_in(resource))
    assert reference_texts({}) == []


_names = st.sampled_from(["reference", "text", 'a"reference', "reference\\", "subject"])
_documents = st.recursive(
    st.one_of(st.none(), st.integers(), st.sampled_from(["Patient/1", "reference", '"reference":"x"', "é\\", ""])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_names, inner, max_size=3)),
)


@given(st.dictionaries(_names, _documents, max_size=3), st.booleans())
def test_the_bytes_of_a_resource_tell_the_same_references_as_a_walk_through_it(resource, pretty):
    body = json.dumps(resource, indent=2 if pretty else None, ensure_ascii=False).encode()

    assert sorted(reference_texts(resource, body)) == sorted(text for _, text in references_in(resource))


@pytest.mark.parametrize(
    "written",
    [
        r'{"div": "<p class=\"a\">", "reference" : "Patient/1"}',
        r'{"text": "\"reference\":\"Patient/1\"", "reference": "a\"b"}',
        r'{"a\"reference": "Patient/1"}',
        r'{"reference": "Patient\/1"}',
        r'{"refer\u0065nce": "Patient/1", "x": "\u003c"}',
    ],
)
def test_what_is_escaped_is_read_as_it_is_meant(written: str) -> None:
    resource = json.loads(written)

    assert reference_texts(resource, written.encode()) == [text for _, text in references_in(resource)]
