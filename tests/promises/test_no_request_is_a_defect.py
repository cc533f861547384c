"""Whatever is sent to /fhir, the answer is a refusal or a result with its meaning, never a 500.

A short walk with every run; FHIR_FUZZ_EXAMPLES makes it longer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_facade.fhir.definitions import resource_types, search_parameters
from tests.promises.world import World, opened_world

EXAMPLES = int(os.environ.get("FHIR_FUZZ_EXAMPLES", "100"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened_world(tmp_path_factory.mktemp("fuzz")) as world:
        for resource in SEEDS:
            assert world.ask("PUT", f"/{resource['resourceType']}/{resource['id']}", json=resource).status_code == 201
        yield world


SEEDS: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "p", "active": True, "birthDate": "1980-01-01"},
    {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Haemoglobin"}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2026-01-01",
        "valueQuantity": {"value": 70.5, "system": "http://unitsofmeasure.org", "code": "g/L"},
    },
    {"resourceType": "QuestionnaireResponse", "id": "q", "status": "completed", "questionnaire": "http://o/q|2"},
]


def assert_answered(answer: httpx.Response) -> None:
    """No 500; every refusal is an OperationOutcome."""
    assert answer.status_code != 500, answer.text
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        outcome = answer.json()
        assert outcome["resourceType"] == "OperationOutcome"
        assert outcome["issue"]


def words(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(text.split())


fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])

TYPES = st.sampled_from(["Patient", "Observation", "QuestionnaireResponse", "RiskAssessment", "Location", "List"])
CONTROLS = words("""_sort _count _total _summary _elements _include _revinclude _include:iterate _format _pretty _getpages
_page _type _since _at _has:Observation:patient:code _has: _has:X:y:z _filter _contained _containedType _text _content _list
near""")
NAMES = CONTROLS | st.sampled_from(sorted({name for kind in resource_types()[::7] for name in search_parameters(kind)}))
MODIFIERS = words(""":missing :exact :contains :text :not :in :below :above :of-type :identifier :Patient :Patient.name .name
    .subject.name : . :nonsense :not-in :iterate""") | st.just("")
PIECES = words(r"""| , $ \ : / true false ge le ap sa ne 2020 2020-02-30 2020-01-01T25:00 9999-12-31T23:59:60Z 0000 1e300 -1e-300
    99999999999999999999999999999999999999999999 NaN Infinity 5.4 http://loinc.org http://unitsofmeasure.org kg mg
    Patient/p urn:uuid:x ü % * " ( ) both status eq and not or 48.4|9""") | st.sampled_from([" ", "\x00", "\ud7ff"])
VALUES = st.lists(PIECES, max_size=6).map("".join) | st.text(max_size=20)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


@fuzz
@given(TYPES, st.lists(st.tuples(NAMES, MODIFIERS, VALUES), min_size=1, max_size=3), st.sampled_from(["GET", "POST"]))
def test_any_search(world: World, kind: str, asked: list[tuple[str, str, str]], method: str) -> None:
    query = "&".join(f"{quote(name + modifier, safe='')}={quote(value, safe='')}" for name, modifier, value in asked)
    if method == "GET":
        assert_answered(world.ask("GET", f"/{kind}?{query}"))
    else:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert_answered(world.ask("POST", f"/{kind}/_search", content=query, headers=form))


@fuzz
@given(st.binary(max_size=60).map(lambda raw: quote(raw, safe="&=%:|,$")))
def test_any_query_string(world: World, query: str) -> None:
    assert_answered(world.ask("GET", f"/Observation?{query}"))


SEGMENTS = words(f"""Patient p Observation _history 1 0 -1 {"9" * 30} _search metadata $validate $x %2e%2e %00 %ff {"a" * 65}
    Binary _history;x * patient Device Organization""") | TEXTS.map(lambda text: quote(text, safe=""))


@fuzz
@given(
    st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "BREW"]),
    st.lists(SEGMENTS, max_size=5),
)
def test_any_address(world: World, method: str, segments: list[str]) -> None:
    assert_answered(world.ask(method, "/" + "/".join(segments)))


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
SHALLOW = st.lists(LEAVES, max_size=3) | st.dictionaries(TEXTS, LEAVES, max_size=3)
JSON = LEAVES | SHALLOW | st.lists(SHALLOW, max_size=2) | st.dictionaries(TEXTS, SHALLOW, max_size=2)
ELEMENTS = words("""resourceType id meta text status code subject valueQuantity component contained extension _status
    effectiveDateTime identifier entry type link parameter reference""")
NEARLY = st.sampled_from(["Observation", "Patient", "Bundle", "Parameters", "x"]).flatmap(
    lambda kind: st.dictionaries(ELEMENTS, JSON, max_size=5).map(lambda rest: {"resourceType": kind, **rest})
)
BODIES = st.binary(max_size=40) | (JSON | NEARLY).map(msgspec.json.encode)
KINDS = words("""application/fhir+json application/json application/json-patch+json application/merge-patch+json text/plain
    application/fhir+json;charset=latin-1 multipart/form-data;boundary=x \xff""") | st.just("")
PLACES = words(
    """POST:/ POST:/Observation PUT:/Observation/o PATCH:/Observation/o PUT:/Patient/p POST:/Observation/_search
    PATCH:/Patient/none POST:/Bundle POST:/Binary"""
).map(lambda place: tuple(place.split(":")))


@fuzz
@given(PLACES, BODIES, KINDS)
def test_any_body(world: World, place: tuple[str, str], body: bytes, kind: str) -> None:
    method, path = place
    answer = world.ask(method, path, content=body, headers={"Content-Type": kind.encode("latin-1")})
    assert_answered(answer)


@st.composite
def bent_resources(draw: st.DrawFn) -> dict[str, Any]:
    """A valid resource with one part of it replaced."""
    resource = msgspec.json.decode(msgspec.json.encode(draw(st.sampled_from(SEEDS))))
    place: Any = resource
    while True:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
            place = place[key]
            continue
        place[key] = draw(JSON)
        return dict(resource)


@fuzz
@given(bent_resources(), st.sampled_from(["POST", "PUT", "batch", "transaction"]))
def test_any_resource_that_was_bent(world: World, resource: dict[str, Any], way: str) -> None:
    if way in ("POST", "PUT"):
        kind = quote(str(resource.get("resourceType")), safe="")
        place = f"/{kind}" if way == "POST" else f"/{kind}/{quote(str(resource.get('id')), safe='')}"
        assert_answered(world.ask(way, place, json=resource))
    else:
        request = {"method": "POST", "url": str(resource.get("resourceType"))}
        entry = {"fullUrl": "urn:uuid:1", "resource": resource, "request": request}
        assert_answered(world.ask("POST", "", json={"resourceType": "Bundle", "type": way, "entry": [entry]}))


REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "x"]),
        "url": VALUES
        | st.sampled_from(
            [
                "Patient",
                "Patient/p",
                "Patient?_id=p",
                "Observation/o",
                "http://elsewhere/Patient/p",
                "/Patient",
                "?",
                "Patient/$x",
            ]
        ),
    },
    optional={
        "ifMatch": st.sampled_from(['W/"1"', "1", "*", "x", ""]),
        "ifNoneExist": VALUES,
        "ifNoneMatch": VALUES,
        "ifModifiedSince": VALUES,
    },
)
ENTRIES = st.fixed_dictionaries(
    {"request": REQUESTS}, optional={"resource": st.sampled_from(SEEDS) | NEARLY, "fullUrl": VALUES}
)


@fuzz
@given(st.sampled_from(["batch", "transaction", "history", "x"]), st.lists(ENTRIES, max_size=3))
def test_any_bundle(world: World, kind: str, entries: list[dict[str, Any]]) -> None:
    answer = world.ask("POST", "", json={"resourceType": "Bundle", "type": kind, "entry": entries})

    assert_answered(answer)
    if answer.status_code == 200:
        statuses = [entry["response"]["status"] for entry in answer.json().get("entry", [])]
        assert not [status for status in statuses if status.startswith("500")], answer.text


HEADERS = st.dictionaries(
    st.sampled_from(
        """Accept If-Match If-None-Match If-Modified-Since If-None-Exist Prefer X-Request-ID Origin Accept-Encoding
        Content-Encoding Content-Length Accept-Language X-Forwarded-For Host"""
    ),
    st.binary(min_size=1, max_size=20).filter(lambda raw: not {0, 10, 13} & set(raw)),
    min_size=1,
    max_size=4,
)


@fuzz
@given(
    st.sampled_from([("GET", "/Patient/p"), ("PUT", "/Patient/p"), ("POST", "/Patient"), ("GET", "/Patient")]), HEADERS
)
def test_any_header(world: World, place: tuple[str, str], headers: dict[str, bytes]) -> None:
    body = {} if place[0] == "GET" else {"content": msgspec.json.encode(SEEDS[0])}
    kind = {"Content-Type": b"application/fhir+json"}

    assert_answered(world.ask(*place, headers={**kind, **headers}, **body))
