"""PATCH in its three formats, on each store: what it changes, what it leaves as it is, and who is faster."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON_PATCH, MERGE = "application/json-patch+json", "application/merge-patch+json"
FHIRPATH, PLAIN = "application/fhir+json", "application/json"


def replaced(**part: Any) -> dict[str, Any]:
    """A FHIRPath Patch that replaces the status."""
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Observation.status"},
        {"name": "value", "valueCode": "amended"},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}], **part}


def told(*operations: dict[str, Any]) -> dict[str, Any]:
    """A FHIRPath Patch; a text is told as a valueString."""
    parameters = [
        [{"name": name, **({"valueString": part} if isinstance(part, str) else part)} for name, part in one.items()]
        for one in operations
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts} for parts in parameters]}


OPERATIONS = [{"op": "replace", "path": "/status", "value": "amended"}]
AMENDED = [
    pytest.param(JSON_PATCH, OPERATIONS, id="JSON Patch"),
    pytest.param(FHIRPATH, replaced(), id="FHIRPath Patch"),
    pytest.param(MERGE, {"status": "amended"}, id="merge patch"),
    pytest.param(PLAIN, OPERATIONS, id="JSON Patch as plain JSON"),
    pytest.param(PLAIN, replaced(), id="FHIRPath Patch as plain JSON"),
    pytest.param(PLAIN, {"status": "amended"}, id="merge patch as plain JSON"),
]


async def observed(client: httpx.AsyncClient, mark: str) -> str:
    """Numbers whose digits a float would change."""
    body = (
        b'{"resourceType":"Observation","id":"%s","status":"final","code":{"text":"x"},"component":['
        b'{"code":{"text":"a"},"valueQuantity":{"value":1.500,"unit":"g"}},'
        b'{"code":{"text":"b"},"valueQuantity":{"value":0.10000000000000000000001,"unit":"g"}}]}' % mark.encode()
    )
    answer = await client.put(f"/fhir/Observation/{mark}", content=body)
    assert answer.status_code == 201, answer.text
    return f"/fhir/Observation/{mark}"


async def patch(client: httpx.AsyncClient, path: str, kind: str, change: Any, **headers: str) -> httpx.Response:
    content = change if isinstance(change, bytes) else json.dumps(change)
    return await client.patch(path, content=content, headers={"Content-Type": kind, **headers})


@pytest.mark.parametrize(("kind", "change"), AMENDED)
async def test_a_patch_changes_what_it_names_and_leaves_every_digit(
    client: httpx.AsyncClient, mark: str, kind: str, change: Any
) -> None:
    path = await observed(client, mark)

    answer = await patch(client, path, kind, change, **{"If-Match": 'W/"1"'})
    read = await client.get(path)

    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"2"')
    assert answer.json()["status"] == read.json()["status"] == "amended"
    for body in (answer.content, read.content):
        assert b'"value":1.500' in body
        assert b'"value":0.10000000000000000000001' in body


@pytest.mark.parametrize(("kind", "change"), AMENDED[:3])
async def test_a_patch_of_another_version_is_refused(
    client: httpx.AsyncClient, mark: str, kind: str, change: Any
) -> None:
    path = await observed(client, mark)

    answer = await patch(client, path, kind, change, **{"If-Match": 'W/"7"'})

    assert answer.status_code == 412
    assert (await client.get(path)).headers["ETag"] == 'W/"1"'


@pytest.mark.parametrize(
    ("kind", "change", "status"),
    [
        pytest.param(JSON_PATCH, [{"op": "test", "path": "/status", "value": "amended"}], 422, id="a test that fails"),
        pytest.param(JSON_PATCH, [{"op": "remove", "path": "/note"}], 400, id="a path to nothing"),
        pytest.param(JSON_PATCH, [{"op": "remove", "path": "/status"}], 422, id="an invalid result"),
        pytest.param(MERGE, {"status": None}, 422, id="an invalid result of a merge"),
        pytest.param(MERGE, {"id": "other"}, 400, id="another id"),
        pytest.param(MERGE, {"resourceType": "Patient"}, 400, id="another type"),
        pytest.param(MERGE, {"nonsense": 1}, 422, id="an unknown element"),
        pytest.param(FHIRPATH, told({"type": "delete", "path": "note["}), 400, id="a path that cannot be read"),
        pytest.param(FHIRPATH, told({"type": "delete", "path": "component"}), 400, id="a path to several elements"),
        pytest.param(
            FHIRPATH, told({"type": "delete", "path": "Observation.subject.resolve()"}), 400, id="a path that leaves"
        ),
        pytest.param(FHIRPATH, told({"type": "delete", "path": "(1).repeat($this + 1)"}), 400, id="a path without end"),
        pytest.param(
            FHIRPATH, told({"type": "delete", "path": "Observation.status"}), 422, id="an invalid result of it"
        ),
        pytest.param(JSON_PATCH, b"{", 400, id="no JSON"),
        pytest.param("application/xml-patch+xml", b"<diff/>", 415, id="XML Patch"),
    ],
)
async def test_a_patch_that_cannot_be_done_changes_nothing(
    client: httpx.AsyncClient, mark: str, kind: str, change: Any, status: int
) -> None:
    path = await observed(client, mark)

    answer = await patch(client, path, kind, change)

    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert (await client.get(path)).headers["ETag"] == 'W/"1"'


async def test_a_path_may_be_any_fhirpath_that_finds_one_element(client: httpx.AsyncClient, mark: str) -> None:
    path = await observed(client, mark)
    change = told(
        {
            "type": "replace",
            "path": "Observation.component.where(code.text.startsWith('a') and value.unit in ('g' | 'kg')).value.unit",
            "value": {"valueString": "gram"},
        },
        {
            "type": "add",
            "path": "descendants().ofType(Observation) | component.tail().single().value.as(Quantity).unit",
            "name": "extension",
            "value": {"valueExtension": {"url": "http://example.org/a", "valueCode": "x"}},
        },
        {"type": "delete", "path": "%resource.component.where(value > 1 'kg').exists().where($this).note"},
        {"type": "add", "path": "Observation", "name": "effective", "value": {"valueDateTime": "2026-01-01"}},
        {"type": "delete", "path": "Observation.effective.where($this > today())"},
    )

    answer = await patch(client, path, FHIRPATH, change)
    read = await client.get(path)

    assert answer.status_code == 200, answer.text
    assert b'"valueQuantity":{"value":1.500,"unit":"gram"}' in read.content
    assert b'"value":0.10000000000000000000001,"unit":"g"' in read.content
    assert read.json()["effectiveDateTime"] == "2026-01-01"
    assert [one["valueQuantity"].get("_unit") for one in read.json()["component"]] == [
        None,
        {"extension": [{"url": "http://example.org/a", "valueCode": "x"}]},
    ]


async def test_a_refused_path_is_named(client: httpx.AsyncClient, mark: str) -> None:
    path = await observed(client, mark)
    fine = {"type": "delete", "path": "Observation.note"}

    answer = await patch(client, path, FHIRPATH, told(fine, {"type": "delete", "path": "note.resolve()"}))

    (issue,) = answer.json()["issue"]
    assert issue["expression"] == ["Parameters.parameter[1]"]
    assert "no function resolve()" in issue["diagnostics"]


async def test_a_patch_without_effect_makes_no_version(client: httpx.AsyncClient, mark: str) -> None:
    path = await observed(client, mark)

    for kind, change in ((MERGE, {"status": "final"}), (JSON_PATCH, []), (FHIRPATH, told())):
        answer = await patch(client, path, kind, change)

        assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"1"')


async def test_what_is_not_there_or_no_longer_is_not_patched(client: httpx.AsyncClient, mark: str) -> None:
    absent = await patch(client, f"/fhir/Observation/{mark}-none", MERGE, {"status": "amended"})
    path = await observed(client, mark)
    await client.delete(path)

    assert absent.status_code == 404
    assert (await patch(client, path, MERGE, {"status": "amended"})).status_code == 410


async def test_patches_that_race_lose_nothing(client: httpx.AsyncClient, mark: str) -> None:
    """Each is written on the version that it was applied to, and applied again when somebody was faster."""
    path = await observed(client, mark)

    answers = await asyncio.gather(
        *(patch(client, path, MERGE, {name: value}) for name, value in (("issued", "2026-01-01T00:00:00Z"),)),
        *(patch(client, path, MERGE, {name: {"text": name}}) for name in ("bodySite", "method")),
    )
    read = (await client.get(path)).json()

    assert [answer.status_code for answer in answers] == [200] * 3
    assert {"issued", "bodySite", "method"} <= set(read)
    assert read["meta"]["versionId"] == "4"
