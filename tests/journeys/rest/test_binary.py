"""Binary: its content goes in and out as it is, in its own type, or inside the resource.

https://hl7.org/fhir/R4/binary.html#rest
"""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from tests.facade import Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIXEL = bytes(range(256))
JSON = {"Accept": "application/fhir+json"}


async def put(client: httpx.AsyncClient, mark: str, content: bytes, **headers: str) -> httpx.Response:
    named = {"Content-Type": "image/png", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await client.put(f"/fhir/Binary/{mark}", content=content, headers=named)


async def resource(client: httpx.AsyncClient, mark: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/fhir/Binary/{mark}", headers=JSON)).json()
    return {name: value for name, value in found.items() if name != "meta"}


@pytest.mark.parametrize("content_type", ["application/fhir+xml", "application/xml", "text/xml", "text/turtle"])
async def test_what_may_be_a_resource_in_another_format_is_not_taken_for_content(
    client: httpx.AsyncClient, mark: str, content_type: str
) -> None:
    answer = await put(client, mark, b"<Binary xmlns='http://hl7.org/fhir'/>", Content_Type=content_type)

    assert answer.status_code == 415
    assert (await client.get(f"/fhir/Binary/{mark}", headers=JSON)).status_code == 404


async def test_what_says_it_is_json_of_fhir_must_be_a_binary(client: httpx.AsyncClient, mark: str) -> None:
    for body in (b'{"resourceType":"Patient"}', b'{"a":1}', b"{"):
        assert (await put(client, mark, body, Content_Type="application/fhir+json")).status_code == 400


@pytest.mark.parametrize("body", [b"{", b'{"resourceType":"Binary"', b"\xff", b"[" * 200_000])
async def test_what_says_it_is_json_must_be_json(client: httpx.AsyncClient, mark: str, body: bytes) -> None:
    assert (await put(client, mark, body, Content_Type="application/json")).status_code == 400


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"a":1.50}'),
        ("application/json; charset=utf-8", b'[{"resourceType":"Binary"}]'),
        ("application/json", b'{"resourceType":"Patient"}'),
        ("application/json", b'{"resourceType":5}'),
        ("text/json", b"null"),
        ("application/xml", b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"/>'),
        ("text/xml", b"<Binary/>"),
    ],
)
async def test_json_and_xml_that_are_no_binary_are_content_like_any_other(
    client: httpx.AsyncClient, mark: str, content_type: str, body: bytes
) -> None:
    written = await put(client, mark, body, Content_Type=content_type)

    assert written.status_code == 201, written.text
    assert (await resource(client, mark))["contentType"] == content_type
    read = await client.get(f"/fhir/Binary/{mark}", headers={"Accept": "*/*"})
    assert (read.content, read.headers["Content-Type"]) == (body, content_type)


async def test_a_binary_in_plain_json_is_the_resource(client: httpx.AsyncClient, mark: str) -> None:
    binary = {"resourceType": "Binary", "id": mark, "contentType": "text/plain", "data": "aGVsbG8="}

    assert (await put(client, mark, json.dumps(binary).encode(), Content_Type="application/json")).status_code == 201

    assert await resource(client, mark) == binary


async def test_other_types_take_no_content(client: httpx.AsyncClient, mark: str) -> None:
    headers = {"Content-Type": "image/png"}

    assert (await client.put(f"/fhir/Patient/{mark}", content=PIXEL, headers=headers)).status_code == 415
    assert (await client.post("/fhir/Patient", content=PIXEL, headers=headers)).status_code == 415


@pytest.mark.parametrize("content_type", ["png", "image/", "image/png;\x01"])
async def test_content_needs_a_media_type(client: httpx.AsyncClient, mark: str, content_type: str) -> None:
    assert (await put(client, mark, PIXEL, Content_Type=content_type)).status_code == 415


async def test_content_is_created_and_replaced_as_it_is(client: httpx.AsyncClient, mark: str) -> None:
    created = await client.post("/fhir/Binary", content=PIXEL, headers={"Content-Type": "image/png"})
    assert created.status_code == 201, created.text
    assert base64.b64decode(created.json()["data"]) == PIXEL

    written = await put(client, mark, b"hello", Content_Type="text/plain; charset=utf-8")
    assert written.status_code == 201, written.text
    assert await resource(client, mark) == {
        "resourceType": "Binary",
        "id": mark,
        "contentType": "text/plain; charset=utf-8",
        "data": base64.b64encode(b"hello").decode(),
    }
    replaced = await put(client, mark, PIXEL, If_Match='W/"1"')
    assert (replaced.status_code, replaced.headers["ETag"]) == (200, 'W/"2"')
    assert (await put(client, mark, b"late", If_Match='W/"1"')).status_code == 412


@pytest.mark.parametrize("accept", ["*/*", "image/png", "text/html, */*;q=0.8", "application/fhir+json;q=0, */*"])
async def test_who_does_not_ask_for_a_resource_reads_the_content(
    client: httpx.AsyncClient, mark: str, accept: str
) -> None:
    await put(client, mark, PIXEL)

    answer = await client.get(f"/fhir/Binary/{mark}", headers={"Accept": accept})
    version = await client.get(f"/fhir/Binary/{mark}/_history/1", headers={"Accept": accept})

    assert (answer.status_code, answer.content, version.content) == (200, PIXEL, PIXEL)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["ETag"] == 'W/"1"'


@pytest.mark.parametrize(
    ("accept", "query"),
    [
        ("application/fhir+json", ""),
        ("application/json, text/plain, */*", ""),
        ("application/fhir+xml, application/fhir+json", ""),
        ("*/*", "?_format=json"),
        ("*/*", "?_pretty=true"),
        ("*/*", "?_elements=contentType"),
    ],
)
async def test_who_asks_for_a_resource_reads_a_resource(
    client: httpx.AsyncClient, mark: str, accept: str, query: str
) -> None:
    await put(client, mark, PIXEL)

    answer = await client.get(f"/fhir/Binary/{mark}{query}", headers={"Accept": accept})

    assert answer.headers["Content-Type"].startswith("application/fhir+json")
    assert answer.json()["contentType"] == "image/png"


async def test_a_resource_in_xml_is_refused_whatever_its_content(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, mark, PIXEL)

    assert (await client.get(f"/fhir/Binary/{mark}", headers={"Accept": "application/fhir+xml"})).status_code == 406


async def test_a_browser_runs_nothing_of_what_is_read(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, mark, b"<script>alert(1)</script>", Content_Type="text/html")

    headers = (await client.get(f"/fhir/Binary/{mark}")).headers

    assert headers["Content-Disposition"] == "attachment"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]


async def test_a_type_that_no_header_can_say_is_told_as_plain_bytes(client: httpx.AsyncClient, mark: str) -> None:
    stored = {"resourceType": "Binary", "id": mark, "contentType": "text/plain; title=Äh", "data": "aGVsbG8="}
    assert (await client.put(f"/fhir/Binary/{mark}", json=stored)).status_code == 201

    answer = await client.get(f"/fhir/Binary/{mark}")

    assert (answer.content, answer.headers["Content-Type"]) == (b"hello", "application/octet-stream")


async def test_nothing_new_is_no_content(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, mark, PIXEL)

    answer = await client.get(f"/fhir/Binary/{mark}", headers={"If-None-Match": 'W/"1"'})
    head = await client.head(f"/fhir/Binary/{mark}")

    assert (answer.status_code, answer.content) == (304, b"")
    assert (head.content, head.headers["Content-Type"], head.headers["Content-Length"]) == (b"", "image/png", "256")


async def test_content_belongs_to_whom_its_security_context_names(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    for patient in (f"{mark}-a", f"{mark}-b"):
        await client.put(f"/fhir/Patient/{patient}", json={"resourceType": "Patient", "id": patient})
    written = await put(client, mark, PIXEL, X_Security_Context=f"Patient/{mark}-a")
    assert (await resource(client, mark))["securityContext"] == {"reference": f"Patient/{mark}-a"}, written.text

    async with await facade.client("patient/*.r", patient=f"{mark}-a") as own:
        assert (await own.get(f"/fhir/Binary/{mark}")).content == PIXEL
    async with await facade.client("patient/*.r", patient=f"{mark}-b") as foreign:
        refused = await foreign.get(f"/fhir/Binary/{mark}")
        absent = await foreign.get(f"/fhir/Binary/{mark}-absent")
        assert (refused.status_code, absent.status_code) == (404, 404)
        assert refused.headers["Content-Type"].startswith("application/fhir+json")
