"""References exchanged inside the bytes; https://hl7.org/fhir/R4/http.html#trules."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.fhir.document import with_references

URN = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"
CONDITION = "Patient?identifier=http://example.org|1"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(
            b'{"identifier":[{"system":"urn:ietf:rfc:3986","value":"%s"}]}', "a string", id="identifier value"
        ),
        pytest.param(b'{"valueCanonical":"%s"}', "canonicals stay", id="canonical"),
        pytest.param(b'{"note":"\\"reference\\": \\"%s\\""}', "text", id="reference inside a text"),
        pytest.param(b'{"say \\"reference":"%s"}', "another member", id="name that ends in reference"),
        pytest.param(b'{"reference":"%s#part"}', "another value", id="longer value"),
        pytest.param(b'{"code":"reference","x":"%s"}', "a value", id="reference as a value"),
        pytest.param(b'{"div":"<div>%s</div>"}', "no link", id="text of the narrative"),
    ],
)
def test_what_is_no_reference_stays(body: bytes, why: str) -> None:
    body = body.replace(b"%s", URN.encode())

    assert with_references(body, {URN: "Patient/1"}) == body, why


def test_nothing_to_exchange_gives_the_same_bytes() -> None:
    body = b'{"subject":{"reference":"Patient/1"}}'

    assert with_references(body, {}) is body


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param('{"reference":"%s"}', '{"reference":"Patient/1"}', id="reference"),
        pytest.param(
            '{"reference" :\n "%s" , "v": 1.50}', '{"reference" :\n "Patient/1" , "v": 1.50}', id="white space"
        ),
        pytest.param('{"valueUri":"%s"}', '{"valueUri":"Patient/1"}', id="uri"),
        pytest.param('{"url":"%s"}', '{"url":"Patient/1"}', id="url"),
        pytest.param(r'{"referenc\u0065":"%s"}', '{"reference":"Patient/1"}', id="escaped name"),
        pytest.param(r'{"x":"\u00e9","reference":"%s"}', r'{"x":"\u00e9","reference":"Patient/1"}', id="escaped text"),
        pytest.param(
            r'{"div":"<div><a href=\"%s\">x</a> <img src=\"a.png\"/></div>"}',
            r'{"div":"<div><a href=\"Patient/1\">x</a> <img src=\"a.png\"/></div>"}',
            id="link of the narrative",
        ),
    ],
)
def test_a_urn_is_exchanged_wherever_it_links(before: str, after: str) -> None:
    assert with_references(before.replace("%s", URN).encode(), {URN: "Patient/1"}) == after.encode()


def test_an_escaped_value_is_recognised() -> None:
    body = rb'{"reference":"Patient\/7"}'

    assert with_references(body, {"Patient/7": "Patient/8"}) == b'{"reference":"Patient/8"}'


def test_conditional_and_absolute_references_are_exchanged_in_references_only() -> None:
    absolute = "http://example.org/fhir/Patient/1"
    body = f'{{"a":{{"reference":"{CONDITION}"}},"b":{{"reference":"{absolute}"}},"url":"{absolute}"}}'.encode()

    changed = json.loads(with_references(body, {CONDITION: "Patient/9", absolute: "Patient/1", URN: "Patient/2"}))

    assert changed == {"a": {"reference": "Patient/9"}, "b": {"reference": "Patient/1"}, "url": absolute}


def exchanged(value: object, replace: dict[str, str]) -> object:
    if isinstance(value, list):
        return [exchanged(item, replace) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: replace.get(item, item) if name == "reference" and isinstance(item, str) else exchanged(item, replace)
        for name, item in value.items()
    }


texts = st.sampled_from(["Patient/1", "Patient/2", '"reference":"Patient/1"', "reference", "\\", '"', "é\n"])
trees = st.recursive(
    texts | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.just("reference"), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(texts, trees), st.booleans())
def test_the_bytes_change_exactly_as_the_parsed_document_would(tree: dict, ascii_only: bool) -> None:
    replace = {"Patient/1": "Patient/new"}
    body = json.dumps(tree, ensure_ascii=ascii_only).encode()

    assert json.loads(with_references(body, replace)) == exchanged(tree, replace)
