"""`_summary` and `_elements` of a read, and patches as entries of Bundles: what is asked of one resource at a time."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'


async def put(client: httpx.AsyncClient, mark: str) -> str:
    body = {
        "resourceType": "Patient",
        "id": mark,
        "text": {"status": "generated", "div": DIV},
        "gender": "male",
        "maritalStatus": {"text": "x"},
    }
    answer = await client.put(f"/fhir/Patient/{mark}", json=body)
    assert answer.status_code == 201, answer.text
    return f"/fhir/Patient/{mark}"


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ("_summary=true", {"gender"}),
        ("_summary=text", {"text"}),
        ("_summary=data", {"gender", "maritalStatus"}),
        ("_summary=false", {"text", "gender", "maritalStatus"}),
        ("_elements=maritalStatus", {"maritalStatus"}),
    ],
)
async def test_a_read_answers_the_parts_that_are_asked_for(
    client: httpx.AsyncClient, mark: str, asked: str, left: set[str]
) -> None:
    path = await put(client, mark)

    for address in (path, f"{path}/_history/1"):
        answer = await client.get(f"{address}?{asked}")
        assert set(answer.json()) - {"resourceType", "id", "meta"} == left
        assert answer.headers["ETag"] == 'W/"1"'
        assert ("tag" in answer.json()["meta"]) is (asked != "_summary=false")


@pytest.mark.parametrize(("asked", "says"), [("_summary=count", "a search finds"), ("_summary=long", "allowed are")])
async def test_parts_that_no_resource_has_are_refused(
    client: httpx.AsyncClient, mark: str, asked: str, says: str
) -> None:
    answer = await client.get(f"{await put(client, mark)}?{asked}")

    assert answer.status_code == 400
    assert says in answer.json()["issue"][0]["diagnostics"]


def binary(patch: Any, content_type: str) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(patch).encode()).decode()
    return {"resourceType": "Binary", "contentType": content_type, "data": data}


FHIRPATH = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "replace"},
                {"name": "path", "valueString": "Patient.gender"},
                {"name": "value", "valueCode": "other"},
            ],
        }
    ],
}


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize(
    "patch",
    [
        pytest.param(
            binary([{"op": "replace", "path": "/gender", "value": "other"}], "application/json-patch+json"),
            id="JSON Patch",
        ),
        pytest.param(binary({"gender": "other"}, "application/merge-patch+json"), id="merge patch"),
        pytest.param(FHIRPATH, id="FHIRPath Patch"),
    ],
)
async def test_every_patch_may_be_an_entry(client: httpx.AsyncClient, mark: str, kind: str, patch: Any) -> None:
    path = await put(client, mark)
    request = {"method": "PATCH", "url": f"Patient/{mark}", "ifMatch": 'W/"1"'}

    answer = await client.post(
        "/fhir", json={"resourceType": "Bundle", "type": kind, "entry": [{"resource": patch, "request": request}]}
    )

    assert answer.json()["entry"][0]["response"]["status"] == "200 OK", answer.text
    assert (await client.get(path)).json()["gender"] == "other"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_patch_that_cannot_be_read_is_refused(client: httpx.AsyncClient, mark: str, kind: str) -> None:
    path = await put(client, mark)
    entry = {
        "resource": {"resourceType": "Binary", "data": "?"},
        "request": {"method": "PATCH", "url": f"Patient/{mark}"},
    }

    answer = await client.post("/fhir", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})

    assert "base64" in answer.text
    assert (await client.get(path)).json()["meta"]["versionId"] == "1"
