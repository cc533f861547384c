"""Bundles in and out as bytes; https://hl7.org/fhir/R4/bundle.html."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import pytest

from fhir_facade.errors import BadRequest, TooLarge
from fhir_facade.fhir.bundle import (
    CHECKED_AT_ONCE,
    PART_BYTES,
    Answered,
    BundleEntry,
    Found,
    history_bundle,
    parse_batch,
    parse_bundle,
    response_parts,
    searchset,
)
from fhir_facade.fhir.validation import validate
from fhir_facade.values import StoredResource

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
BASE = "https://example.org/fhir"
PATIENT = b'{"resourceType":"Patient","id":"p","multipleBirthInteger":1}'


def bundle(*entries: Any, **members: Any) -> bytes:
    return msgspec.json.encode({"resourceType": "Bundle", "type": "batch", "entry": list(entries), **members})


def read(body: bytes) -> dict[str, Any]:
    """The Bundle as JSON, held against the definitions of R4."""
    document: dict[str, Any] = msgspec.json.decode(body)
    assert validate(document, type="Bundle") == ()
    return document


# --- in ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"{", "this is no Bundle", id="no JSON"),
        pytest.param(b'{"resourceType":"Bundle","type":"\xff"}', "this is no Bundle", id="no UTF-8"),
        pytest.param(b'{"entry":[{"resource":' + b"[" * 200_000, "nested too deep", id="nested too deep"),
        pytest.param(b'{"resourceType":"Bundle","entry":{}}', "this is no Bundle", id="entries that are no list"),
        pytest.param(b'{"resourceType":"Patient"}', "a Bundle of type batch or transaction", id="another type"),
        pytest.param(b"{}", "a Bundle of type batch or transaction", id="no type"),
        pytest.param(bundle("x"), "entry 0 is none", id="an entry that is no object"),
        pytest.param(bundle({"request": {"method": 5}}), "entry 0 is none.*method", id="a method that is no text"),
        pytest.param(
            b'{"resourceType":"Bundle","entry":[{"fullUrl":"\xff"}]}', "this is no Bundle|entry 0 is none", id="no text"
        ),
        pytest.param(bundle({}), "entry 0 has no request", id="no request"),
        pytest.param(bundle({"request": {"url": "Patient"}}), "'' is no method", id="no method"),
        pytest.param(bundle({"request": {"method": "BREW", "url": "x"}}), "'BREW' is no method", id="another method"),
        pytest.param(bundle({"request": {"method": "GET"}}), "entry 0 has no url", id="no url"),
        pytest.param(
            bundle({"resource": {"resourceType": "Patient"}, "request": {"method": "PUT"}}),
            "has no url",
            id="no id either",
        ),
        pytest.param(
            bundle({"resource": {"id": "p"}, "request": {"method": "PUT"}}), "has no url", id="no type either"
        ),
        pytest.param(
            bundle({"resource": "Patient", "request": {"method": "POST"}}), "has no url", id="no resource either"
        ),
        pytest.param(
            bundle({"resource": {"resourceType": "Bundle"}, "request": {"method": "POST"}}),
            "has no url",
            id="a Bundle, which may be meant for the base",
        ),
        pytest.param(
            bundle({"resource": {"resourceType": "Patient", "id": "p"}, "request": {"method": "PATCH"}}),
            "has no url",
            id="a patch, which says not what it changes",
        ),
    ],
)
def test_what_is_no_batch_or_transaction_is_refused_with_its_place(body: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        parse_bundle(body, max_entries=5)


def test_what_is_wrong_with_one_entry_of_a_batch_stands_in_its_place() -> None:
    good = {"request": {"method": "GET", "url": "Patient/p"}}

    first, second, third = parse_batch(bundle(good, {"request": {"method": "BREW", "url": "x"}}, good), max_entries=3)

    assert isinstance(second, BadRequest)
    assert second.issues[0].expression == "Bundle.entry[1].request.method"
    assert first == third == BundleEntry("GET", "Patient/p")


def test_a_batch_that_is_not_utf_8_is_none() -> None:
    with pytest.raises(BadRequest):
        parse_batch(b'{"resourceType":"Bundle","entry":[{"fullUrl":"\xff"}]}', max_entries=1)


@pytest.mark.parametrize("before", [CHECKED_AT_ONCE - n for n in (90, 60, 59, 58, 57, 1)] + [0])
def test_a_batch_in_any_script_is_read_wherever_its_pieces_end(before: int) -> None:
    name = "x" * before + "𐍈"

    (entry,) = parse_batch(bundle({"fullUrl": name, "request": {"method": "GET", "url": "Patient/p"}}), max_entries=1)

    assert isinstance(entry, BundleEntry)
    assert entry.full_url == name


@pytest.mark.parametrize(("method", "url"), [("POST", "Patient"), ("PUT", "Patient/p")])
def test_an_entry_without_a_url_is_about_its_resource(method: str, url: str) -> None:
    entry = {"resource": {"resourceType": "Patient", "id": "p"}, "request": {"method": method}}

    assert parse_bundle(bundle(entry), max_entries=1).entries[0].url == url


def test_too_many_entries_are_refused() -> None:
    entry = {"request": {"method": "GET", "url": "Patient/p"}}

    with pytest.raises(TooLarge, match="3 entries: at most 2"):
        parse_bundle(bundle(entry, entry, entry), max_entries=2)


def test_a_resource_is_cut_out_byte_for_byte() -> None:
    own = b'{ "resourceType":"Observation", "valueQuantity":{"value":1.50} }'
    body = (
        b'{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:1","resource":'
        + own
        + b',"request":{"method":"POST","url":"Observation","ifNoneExist":"identifier=1"}},'
        + b'{"request":{"method":"PUT","url":"Patient/p","ifMatch":"W/\\"1\\"","ifNoneMatch":"W/\\"2\\"",'
        + b'"ifModifiedSince":"2026-01-01T00:00:00Z"}}]}'
    )

    parsed = parse_bundle(body, max_entries=2)

    assert parsed.type == "transaction"
    assert parsed.entries == (
        BundleEntry("POST", "Observation", "urn:uuid:1", own, if_none_exist="identifier=1"),
        BundleEntry(
            "PUT", "Patient/p", if_match='W/"1"', if_none_match='W/"2"', if_modified_since="2026-01-01T00:00:00Z"
        ),
    )


# --- out --------------------------------------------------------------------------------------------------------


def test_an_empty_searchset_has_no_empty_arrays() -> None:
    document = read(searchset((), links=(), total=None, id="s", now=NOW))

    assert document == {
        "resourceType": "Bundle",
        "id": "s",
        "meta": {"lastUpdated": "2026-01-02T03:04:05.678Z"},
        "type": "searchset",
    }


def test_a_searchset_says_what_matched_what_was_included_and_what_went_wrong() -> None:
    outcome = b'{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"invalid"}]}'
    found = [
        Found(PATIENT, "match", f"{BASE}/Patient/p"),
        Found(PATIENT.replace(b'"p"', b'"q"'), "include", f"{BASE}/Patient/q"),
        Found(outcome, "outcome"),
    ]

    document = read(searchset(found, links=[("self", f'{BASE}/Patient?a="b"')], total=1, id="s", now=NOW))

    assert document["total"] == 1
    assert document["link"] == [{"relation": "self", "url": f'{BASE}/Patient?a="b"'}]
    assert [(one.get("fullUrl"), one["search"]["mode"]) for one in document["entry"]] == [
        (f"{BASE}/Patient/p", "match"),
        (f"{BASE}/Patient/q", "include"),
        (None, "outcome"),
    ]


def version(number: str, change: Literal["created", "updated", "deleted"] | None) -> StoredResource:
    return StoredResource("Patient", "p", number, NOW, PATIENT, change == "deleted", change)


def test_a_history_says_what_made_each_version() -> None:
    versions = [version("4", "deleted"), version("3", "updated"), version("2", None), version("1", "created")]

    document = read(history_bundle(versions, base_url=BASE, links=(), total=4, id="h", now=NOW))

    assert [
        (one["request"]["method"], one["request"]["url"], one["response"]["status"], "resource" in one)
        for one in document["entry"]
    ] == [
        ("DELETE", "Patient/p", "204 No Content", False),
        ("PUT", "Patient/p", "200 OK", True),
        ("PUT", "Patient/p", "200 OK", True),
        ("POST", "Patient", "201 Created", True),
    ]
    assert document["entry"][0]["response"]["etag"] == 'W/"4"'
    assert {one["fullUrl"] for one in document["entry"]} == {f"{BASE}/Patient/p"}


async def responded(*answers: Answered) -> list[bytes]:
    async def each() -> AsyncIterator[Answered]:
        for answer in answers:
            yield answer

    return [part async for part in response_parts("batch-response", each(), id="b")]


async def test_a_long_answer_leaves_in_parts_that_are_one_bundle() -> None:
    wide = b'{"resourceType":"Basic","id":"b","code":{"text":"%s"}}' % (b"x" * 20_000)

    parts = await responded(*[Answered("200 OK", resource=wide)] * 7)

    assert [len(part) >= PART_BYTES for part in parts] == [True, False]
    assert len(read(b"".join(parts))["entry"]) == 7


async def test_answers_hold_what_is_known_of_them() -> None:
    outcome = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}'
    answers = [
        Answered("201 Created", "Patient/p/_history/1", 'W/"1"', NOW, resource=PATIENT, full_url=f"{BASE}/Patient/p"),
        Answered("200 OK", resource=PATIENT),
        Answered("204 No Content", full_url=f"{BASE}/Patient/q"),
        Answered("400 Bad Request", outcome=outcome),
    ]

    document = read(b"".join(await responded(*answers)))

    created, fetched, silent, refused = document["entry"]
    assert created["response"] == {
        "status": "201 Created",
        "location": "Patient/p/_history/1",
        "etag": 'W/"1"',
        "lastModified": "2026-01-02T03:04:05.678Z",
    }
    assert (created["fullUrl"], created["resource"]["id"]) == (f"{BASE}/Patient/p", "p")
    assert "fullUrl" not in fetched
    assert silent == {"response": {"status": "204 No Content"}}
    assert refused["response"]["outcome"]["issue"][0]["severity"] == "error"
