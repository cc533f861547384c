"""What is promised about the bytes of a resource; https://hl7.org/fhir/R4/json.html."""

import copy
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.document import (
    MAX_DEPTH,
    decimal_dumps,
    decimal_loads,
    equal_values,
    known_types,
    members_of,
    parse,
    parse_json,
    parse_stored,
    splice,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, 123987, tzinfo=UTC)
LEXEMES = ["1.50", "0.010", "1e2", "1E+2", "0.1234567890123456789012345678901234567890", "-0.0", "0.0000001", "7" * 40]

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=9)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
resources = st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), json_values, max_size=6)


def refusal(body: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        parse(body)
    return str(caught.value)


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(b'"a":1' + b"0" * 308, id="the largest integer of a double"),
        pytest.param(b'"a":"' + b"1" * 400 + b'"', id="digits in a text"),
    ],
)
def test_many_digits_that_are_in_range_are_taken(member: bytes) -> None:
    assert "a" in parse(b'{"resourceType":"Patient",' + member + b"}")


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        pytest.param(b"", "truncated", id="nothing"),
        pytest.param(b'{"resourceType":"Patient"', "truncated", id="cut off"),
        pytest.param(b'{\n "resourceType": "Patient",\n}', "line 3, column 1", id="trailing comma"),
        pytest.param(b'{"resourceType":"Patient","a":01}', "line 1, column", id="leading zero"),
        pytest.param(b'{"resourceType":"Patient","a":NaN}', "line 1, column 31", id="NaN"),
        pytest.param(b'{"resourceType":"Patient","a":1e400}', "out of range", id="number out of range"),
        pytest.param(
            b'{"resourceType":"Patient","a":-1' + b"0" * 309 + b"}", "out of range", id="integer out of range"
        ),
        pytest.param(b'{"resourceType":"Patient"} {}', "trailing characters", id="two documents"),
        pytest.param(b"[]", "not a JSON object", id="an array"),
        pytest.param(b'"Patient"', "not a JSON object", id="a string"),
        pytest.param(b'{"id":"1"}', "no resourceType", id="resourceType missing"),
        pytest.param(b'{"resourceType":"Pacient"}', '"Pacient" is not a FHIR R4', id="resourceType misspelt"),
        pytest.param(b'{"resourceType":"DomainResource"}', "is not a FHIR R4", id="abstract resourceType"),
        pytest.param(b'{"resourceType":["Patient"]}', '["Patient"] is not a FHIR R4', id="resourceType an array"),
        pytest.param(b'{"resourceType":"' + b"x" * 99 + b'"}', "xxx... is not", id="long resourceType is cut"),
        pytest.param(b'{"resourceType":"Patient","a":"\xff"}', "UTF-8", id="byte that is no UTF-8"),
        pytest.param(b'{"resourceType":"Patient","a":"\xed\xa0\x80"}', "UTF-8", id="surrogate as UTF-8"),
        pytest.param(b'{"resourceType":"Patient","a":"\\udc00 x"}', "surrogate", id="lone surrogate"),
        pytest.param(b'{"resourceType":"Patient","a":"\x00"}', "invalid character", id="NUL as byte"),
        pytest.param(b'{"resourceType":"Patient","a":"x\\u0000"}', "NUL", id="NUL as escape"),
        pytest.param(b'{"resourceType":"Patient","id":"1","id":"2"}', '"id" appears twice', id="member twice"),
        pytest.param(
            b'{"resourceType":"Patient","a":{"b":1,"c":2,"b":3}}', '"b" appears twice', id="inner member twice"
        ),
        pytest.param(
            b'{"resourceType":"Patient","a":"\\u0022\\u0022","id":"1","id":"2"}',
            '"id" appears twice',
            id="hidden twice",
        ),
        pytest.param(b'{"resourceType":"Patient","a":' + b"[" * 64 + b"]" * 64 + b"}", "deeper than 64", id="too deep"),
        pytest.param(b'{"resourceType":"Patient","a":' + b"[" * 9000, "deeper than 64", id="far too deep"),
    ],
)
def test_a_body_that_is_no_fhir_document_is_refused_with_a_hint(body: bytes, hint: str) -> None:
    assert hint in refusal(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"resourceType":"Patient","a":"say \\u0022hi\\u0022"}', id="escaped quotes"),
        pytest.param(b'{"resourceType":"Patient","a":"C:\\\\u0000"}', id="backslash before u0000"),
        pytest.param(b'{"resourceType":"Patient","a":"\\ud83d\\ude00"}', id="surrogate pair"),
        pytest.param(
            b'{"resourceType":"Patient","a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}", id="deepest"
        ),
        pytest.param(b'{"resourceType":"Patient","a":[' + b'{"b":[]},' * 99 + b"{}]}", id="wide"),
    ],
)
def test_unusual_but_valid_documents_are_parsed(body: bytes) -> None:
    assert parse(body) == json.loads(body)


def test_the_146_resource_types_of_r4_are_known() -> None:
    assert len(known_types()) == 146
    assert {"Observation", "Parameters", "Binary"} <= known_types()


@given(resources)
def test_parse_agrees_with_another_json_reader(resource: dict) -> None:
    body = json.dumps({"resourceType": "Basic", **resource}).encode()

    assert parse(body) == json.loads(body)


# --- splice ------------------------------------------------------------------------------------------------------


def spliced(body: bytes, **more: object) -> bytes:
    return splice(body, id="n1", version="3", last_updated=NOW, **more)  # type: ignore[arg-type]


def test_splice_refuses_what_has_no_resource_type() -> None:
    with pytest.raises(BadRequest, match="resourceType"):
        spliced(b'{"id":"1"}')


@pytest.mark.parametrize("body", [b"[]", b'{"a":', b'{"a": "\xff" x'])
def test_splice_refuses_what_is_no_object(body: bytes) -> None:
    with pytest.raises(BadRequest, match="not valid JSON"):
        spliced(body)


def test_splice_refuses_a_meta_that_is_no_object() -> None:
    with pytest.raises(BadRequest, match="meta"):
        spliced(b'{"resourceType":"Basic","meta":"x"}')


def test_splice_replaces_id_version_and_time_and_keeps_the_rest_of_meta() -> None:
    body = (
        b'{ "id":"old", "status" : "final","meta":{"versionId":"1","tag":[ {"code":"a"} ],'
        b'"lastUpdated":"2020-01-01T00:00:00Z",'
        b'"profile":["http://example.org/p"]}, "resourceType":"Observation", "valueQuantity": { "value" : 1.50 } }'
    )

    assert spliced(body) == (
        b'{"resourceType":"Observation","id":"n1","meta":{"versionId":"3","lastUpdated":"2026-11-21T12:00:00.123Z",'
        b'"tag":[ {"code":"a"} ],"profile":["http://example.org/p"]},"status":"final",'
        b'"valueQuantity":{ "value" : 1.50 }}'
    )


def test_splice_writes_the_time_in_utc() -> None:
    moment = datetime(2026, 11, 21, 14, 0, tzinfo=timezone(timedelta(hours=2)))

    body = splice(b'{"resourceType":"Basic"}', id="1", version="1", last_updated=moment)

    assert parse(body)["meta"]["lastUpdated"] == "2026-11-21T12:00:00.000Z"


def test_splice_sets_and_removes_further_members_of_meta() -> None:
    body = b'{"resourceType":"Basic","meta":{"source":"#a","security":[{"code":"R"}]}}'

    meta = parse(spliced(body, meta_changes={"source": None, "tag": [{"code": "x"}], "versionId": "99"}))["meta"]

    assert meta == {
        "versionId": "3",
        "lastUpdated": "2026-11-21T12:00:00.123Z",
        "security": [{"code": "R"}],
        "tag": [{"code": "x"}],
    }


@pytest.mark.parametrize("lexeme", LEXEMES)
def test_splice_keeps_the_digits_of_a_number(lexeme: str) -> None:
    assert b'"value": ' + lexeme.encode() + b" }" in spliced(
        b'{"resourceType":"Observation","valueQuantity":{"value": ' + lexeme.encode() + b" }}"
    )


@given(resources, st.integers(0, 3))
def test_splice_changes_nothing_besides_id_and_meta(resource: dict, indent: int) -> None:
    body = json.dumps(
        {**resource, "resourceType": "Basic", "id": "x"}, indent=indent or None, ensure_ascii=False
    ).encode()

    after = members_of(spliced(body))

    before = members_of(body)
    others = before.keys() - {"id", "meta"}
    assert {name: bytes(after[name]) for name in others} == {name: bytes(before[name]) for name in others}
    assert list(after)[:3] == ["resourceType", "id", "meta"]
    assert after.keys() == before.keys() | {"meta"}


@pytest.mark.parametrize("number", [b"1e-1000", b"0E1000", b"0.5E-01000", b"0e+0001000"])
def test_a_number_that_no_decimal_holds_is_refused(number: bytes) -> None:
    with pytest.raises(BadRequest, match="at most three digits"):
        parse_json(b'{"value":' + number + b"}")


@pytest.mark.parametrize("body", [b'{"value":1e-999}', b'{"value":"1e-1000"}', b'{"value":0e-0099,"text":"0E1000"}'])
def test_what_a_decimal_holds_and_what_is_text_are_not(body: bytes) -> None:
    assert "value" in parse_json(body)


# --- equality ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(b'{"a":1.50}', b'{"a":1.5}', id="digits"),
        pytest.param(b'{"a":1}', b'{"a":1.0}', id="integer and decimal"),
        pytest.param(b'{"a":1e2}', b'{"a":100}', id="exponent"),
        pytest.param(b'{"a":-0.0}', b'{"a":0.0}', id="negative zero"),
        pytest.param(b'{"a":true}', b'{"a":1}', id="true and one"),
        pytest.param(b'{"a":"1.5"}', b'{"a":1.5}', id="text and number"),
        pytest.param(b'{"a":[1,2]}', b'{"a":[2,1]}', id="order in an array"),
        pytest.param(b'{"a":1}', b'{"a":1,"b":2}', id="a member more"),
        pytest.param(b'{"a":1,"meta":{"tag":[]}}', b'{"a":1}', id="meta more"),
        pytest.param(b'{"meta":{"source":"a"}}', b'{"meta":{"source":"b"}}', id="meta other"),
    ],
)
def test_documents_that_mean_something_else_are_not_equal(ours: bytes, theirs: bytes) -> None:
    assert not equal_values(ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(b'{"a":{"x":1.50,"y":2}}', b'{ "a" : { "y":2, "x":1.50 } }', id="order and white space"),
        pytest.param(b'{"a":"\\u00e9"}', b'{"a":"\xc3\xa9"}', id="escape"),
        pytest.param(b'{"id":"1","a":1}', b'{"a":1}', id="id"),
        pytest.param(
            b'{"meta":{"versionId":"1","lastUpdated":"2020","tag":[{"code":"a"}]}}',
            b'{"meta":{"tag":[ {"code":"a"} ]}}',
            id="version and time",
        ),
        pytest.param(b'{"meta":{"versionId":"1"}}', b"{}", id="meta that holds only stamps"),
    ],
)
def test_documents_that_mean_the_same_are_equal(ours: bytes, theirs: bytes) -> None:
    assert equal_values(ours, theirs)


@given(resources)
def test_a_document_equals_itself_after_a_splice(resource: dict) -> None:
    body = json.dumps({"resourceType": "Basic", **resource}, ensure_ascii=False).encode()

    assert equal_values(body, spliced(body))


def test_what_a_store_gives_back_is_read_without_being_checked_again() -> None:
    assert parse_stored(b'{"resourceType":"Heart","a":1,"a":2}') == {"resourceType": "Heart", "a": 2}


# --- decimals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lexeme", LEXEMES)
def test_a_rewrite_keeps_the_digits_of_a_number(lexeme: str) -> None:
    body = b'{"a":[' + lexeme.encode() + b"]}"

    assert decimal_dumps(decimal_loads(body)) == body


def test_a_copied_decimal_keeps_its_digits() -> None:
    assert decimal_dumps(copy.deepcopy(decimal_loads(b'{"a":1e2}'))) == b'{"a":1e2}'


def test_an_integer_keeps_its_sign_beside_others() -> None:
    body = b'{"a":-0,"b":7,"c":1.50,"d":"x-0","e":12345678901234567890123,"f":-0.0}'

    assert decimal_dumps(decimal_loads(body)) == body


def test_decimals_made_by_us_are_written_as_numbers() -> None:
    assert decimal_dumps({"a": Decimal("72.50")}) == b'{"a":72.50}'


@pytest.mark.parametrize("body", [b"{", b'{"a":"\xff"}', b"[" * 9000, b"[-0,NaN]", b"[-0", b'[-0,"\xff"]'])
def test_decimal_loads_refuses_what_is_no_json(body: bytes) -> None:
    with pytest.raises(BadRequest, match="not valid JSON"):
        decimal_loads(body)


def test_decimal_dumps_refuses_what_is_no_json_value() -> None:
    with pytest.raises(NotImplementedError, match="complex"):
        decimal_dumps({"a": 1j})


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_any_decimal_survives_a_rewrite(number: Decimal) -> None:
    body = f'{{"a":{number:f}}}'.encode()

    again = decimal_dumps(decimal_loads(body))

    assert again == body or msgspec.json.decode(body) == {"a": 0}
