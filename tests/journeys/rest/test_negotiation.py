"""Which formats are spoken, how an answer looks, and what is told before anybody has signed in.

The store makes no difference here, so one is enough.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_facade.fhir.validation import validate
from tests.facade import Facade, embedded_facade

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENT = {"resourceType": "Patient", "id": "p", "gender": "female"}
XML = "application/fhir+xml"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def facade(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Facade]:
    async with embedded_facade(tmp_path_factory.mktemp("facade"), max_body_bytes=20_000) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(facade: Facade) -> AsyncIterator[httpx.AsyncClient]:
    async with await facade.client() as opened:
        assert (await opened.put("/fhir/Patient/p", json=PATIENT)).status_code == 201
        yield opened


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        pytest.param("Patient/p", XML, id="XML"),
        pytest.param("Patient/p", "application/xml, text/turtle", id="XML or Turtle"),
        pytest.param("Patient/p", "application/fhir+json;q=0", id="anything but JSON"),
        pytest.param("Patient/p", "application/fhir+json; fhirVersion=5.0", id="another version"),
        pytest.param("Patient/p?_format=xml", "application/json", id="_format overrules"),
        pytest.param("Patient/p?_format=application/fhir%2Bxml", "*/*", id="_format as a media type"),
        pytest.param("Patient/p?_format=application/fhir+xml", "*/*", id="its plus not escaped"),
        pytest.param("metadata", XML, id="metadata"),
        pytest.param("Patient/absent?_format=xml", "*/*", id="what is not there"),
    ],
)
async def test_what_is_not_spoken_is_told_in_json(client: httpx.AsyncClient, path: str, accept: str) -> None:
    answer = await client.get(f"/fhir/{path}", headers={"Accept": accept})

    assert answer.status_code == 406
    assert answer.headers["Content-Type"].startswith("application/fhir+json")
    assert answer.json()["issue"][0]["code"] == "not-supported"


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("Patient/p", "application/fhir+json"),
        ("Patient/p", "application/json"),
        ("Patient/p", "application/json+fhir"),
        ("Patient/p", "text/json"),
        ("Patient/p", "application/fhir+json; fhirVersion=4.0"),
        ("Patient/p", f"{XML}, application/fhir+json;q=0.5"),
        ("Patient/p", "text/html,application/xhtml+xml,*/*;q=0.8"),
        ("Patient/p?_format=json", XML),
        ("Patient/p?_format=application/fhir%2Bjson", XML),
        ("Patient/p?_format=application/fhir+json", XML),
    ],
)
async def test_every_way_to_say_json_is_understood(client: httpx.AsyncClient, path: str, accept: str) -> None:
    answer = await client.get(f"/fhir/{path}", headers={"Accept": accept})

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/fhir+json; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        pytest.param("POST", "Patient", XML, id="XML"),
        pytest.param("PUT", "Patient/p", "text/plain", id="text"),
        pytest.param("POST", "", "application/xml", id="a Bundle as XML"),
        pytest.param("PATCH", "Patient/p", "application/xml-patch+xml", id="XML Patch"),
        pytest.param("POST", "Patient", "application/fhir+json; fhirVersion=3.0", id="another version"),
        pytest.param("POST", "Patient", "application/fhir+json; charset=latin-1", id="another alphabet"),
        pytest.param("POST", "Patient", "application/fhir+json; encoding", id="brotli"),
    ],
)
async def test_what_cannot_be_read_is_refused(client: httpx.AsyncClient, method: str, path: str, kind: str) -> None:
    encoding = {"Content-Encoding": "br"} if "encoding" in kind else {}
    headers = {"Content-Type": kind, **encoding}

    answer = await client.request(method, f"/fhir/{path}", content=json.dumps(PATIENT), headers=headers)

    assert answer.status_code == 415
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("kind", ["application/fhir+json; charset=UTF-8", "application/json", "application/json+fhir"])
async def test_every_media_type_of_json_is_read(client: httpx.AsyncClient, kind: str) -> None:
    answer = await client.put("/fhir/Patient/p", content=json.dumps(PATIENT), headers={"Content-Type": kind})

    assert answer.status_code == 200


async def test_an_answer_is_indented_on_wish(client: httpx.AsyncClient) -> None:
    plain = await client.get("/fhir/Patient/p")
    pretty = await client.get("/fhir/Patient/p?_pretty=true")
    refused = await client.get("/fhir/Patient/none?_pretty=true")
    form = {"_pretty": "true", "_format": "json", "_id": "p"}
    searched = await client.post("/fhir/Patient/_search", data=form)
    xml = await client.post("/fhir/Patient/_search", data=form | {"_format": "xml"})

    assert plain.text.count("\n") == 0
    assert pretty.json() == plain.json()
    assert all(answer.text.count("\n") > 3 for answer in (pretty, refused, searched))
    assert (searched.json()["total"], xml.status_code) == (1, 406)


ENTRIES = {
    "XML": "Patient/p?_format=xml",
    "as a media type": "Patient?_id=p&_format=application/fhir%2Bxml",
    "of an operation": "Patient/p/$meta?_format=ttl",
    "of what is not there": "Patient/absent?_format=xml",
}


@pytest.mark.parametrize("url", ENTRIES.values(), ids=ENTRIES)
async def test_an_entry_of_a_bundle_is_told_in_its_place_what_is_not_spoken(
    client: httpx.AsyncClient, url: str
) -> None:
    asked = [{"request": {"method": "GET", "url": each}} for each in (url, "Patient/p?_format=json&_pretty=true")]
    new = {"request": {"method": "POST", "url": "Patient?_format=json"}, "resource": {"resourceType": "Patient"}}

    batch = await client.post("/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": [*asked, new]})
    whole = await client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": [new, *asked]})

    refused, read, made = (one["response"] for one in batch.json()["entry"])
    assert (refused["status"][:3], refused["outcome"]["issue"][0]["code"]) == ("406", "not-supported")
    assert (read["status"][:3], made["status"][:3]) == ("200", "201")
    assert (whole.status_code, whole.json()["issue"][0]["diagnostics"].partition(":")[0]) == (406, "entry 1")


async def test_bodies_travel_as_gzip_in_both_directions(client: httpx.AsyncClient) -> None:
    long = PATIENT | {"id": "g", "name": [{"text": "x" * 5000}]}
    packed = {"Content-Type": "application/fhir+json", "Content-Encoding": "gzip"}

    sent = await client.put("/fhir/Patient/g", content=gzip.compress(json.dumps(long).encode()), headers=packed)
    read = await client.get("/fhir/Patient/g", headers={"Accept-Encoding": "gzip"})
    plain = await client.get("/fhir/Patient/g", headers={"Accept-Encoding": "identity"})
    named = packed | {"Content-Encoding": "X-GZIP"}
    again = await client.put("/fhir/Patient/g", content=gzip.compress(json.dumps(long).encode()), headers=named)
    bomb = await client.put("/fhir/Patient/g", content=gzip.compress(b" " * 30_000), headers=packed)
    broken = await client.put("/fhir/Patient/g", content=b"{}", headers=packed)

    assert (sent.status_code, again.status_code) == (201, 200)
    assert read.headers["Content-Encoding"] == "gzip"
    assert int(read.headers["Content-Length"]) < 1000
    assert (read.json(), "Content-Encoding" in plain.headers) == (plain.json(), False)
    assert (bomb.status_code, broken.status_code) == (413, 400)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "Patient/p", {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
        ("DELETE", "metadata", {"GET", "HEAD"}),
        ("GET", "Patient/p/$meta-add", {"POST"}),
        ("PUT", "Patient/_search", {"GET", "HEAD", "POST"}),
    ],
)
async def test_a_method_that_is_not_taken_is_told_those_that_are(
    client: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await client.request(method, f"/fhir/{path}")

    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == allowed


async def told(facade: Facade, path: str) -> Mapping[str, Any]:
    """What somebody without a token is told."""
    async with facade.anonymous as nobody:
        answer = await nobody.get(f"/fhir/{path}")
    assert answer.status_code == 200, answer.text
    found: Mapping[str, Any] = answer.json()
    return found


async def test_metadata_has_three_modes_and_each_is_valid(facade: Facade) -> None:
    statements = {mode: await told(facade, f"metadata?mode={mode}") for mode in ("full", "normative", "terminology")}
    plain = await told(facade, "metadata")

    for statement in statements.values():
        issues = validate(dict(statement), type=statement["resourceType"])
        assert [issue for issue in issues if issue.severity in ("error", "fatal")] == []
    types = {mode: {each["type"] for each in statements[mode]["rest"][0]["resource"]} for mode in ("full", "normative")}
    assert plain == statements["full"]
    assert {"Patient", "Observation", "ValueSet"} < types["normative"] < types["full"]
    assert "Encounter" not in types["normative"]
    assert statements["terminology"]["resourceType"] == "TerminologyCapabilities"
    assert "http://loinc.org" in {each["uri"] for each in statements["terminology"]["codeSystem"]}


async def test_another_mode_is_refused(facade: Facade) -> None:
    async with facade.anonymous as nobody:
        for mode in ("everything", "$versions"):
            assert (await nobody.get(f"/fhir/metadata?mode={mode}")).status_code == 400


async def test_the_versions_are_told_before_signing_in(facade: Facade) -> None:
    versions = await told(facade, "$versions")
    statement = await told(facade, "metadata")

    assert {each["name"]: each["valueCode"] for each in versions["parameter"]} == {"version": "4.0", "default": "4.0"}
    assert "versions" in {each["name"] for each in statement["rest"][0]["operation"]}


async def test_writes_answer_as_preferred(client: httpx.AsyncClient) -> None:
    async def answer(prefer: str) -> httpx.Response:
        return await client.post("/fhir/Patient", json={"resourceType": "Patient"}, headers={"Prefer": prefer})

    minimal, whole, outcome, unknown = [
        await answer(f"return={each}") for each in ("minimal", "representation", "OperationOutcome", "nonsense")
    ]
    quoted = await answer('respond-async, return="minimal"; handling=lenient')

    assert [each.status_code for each in (minimal, whole, outcome, unknown)] == [201] * 4
    assert minimal.content == quoted.content == b""
    assert [each.json()["resourceType"] for each in (whole, outcome, unknown)] == [
        "Patient",
        "OperationOutcome",
        "Patient",
    ]
    assert all("Location" in each.headers for each in (minimal, whole, outcome))
