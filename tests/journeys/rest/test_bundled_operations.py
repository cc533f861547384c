"""Operations as entries of Bundles: alone in a batch; in a transaction what they change is part of the whole."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.facade import Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")


def entry(method: str, url: str, resource: Any = None, **request: str) -> Any:
    content = {"resource": resource} if resource is not None else {}
    return content | {"request": {"method": method, "url": url, **request}}


def parameters(name: str, **value: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": name, **value}]}


def tagged(code: str) -> dict[str, Any]:
    return parameters("meta", valueMeta={"tag": [{"system": "urn:test", "code": code}]})


async def send(client: httpx.AsyncClient, kind: str, *entries: Any) -> httpx.Response:
    return await client.post("/fhir", json={"resourceType": "Bundle", "type": kind, "entry": entries})


async def answers(client: httpx.AsyncClient, kind: str, *entries: Any) -> list[tuple[str, Any]]:
    """The status and the resource of each entry."""
    answer = await send(client, kind, *entries)
    assert answer.status_code == 200, answer.text
    return [(one["response"]["status"][:3], one.get("resource")) for one in answer.json()["entry"]]


async def put(client: httpx.AsyncClient, mark: str) -> None:
    answer = await client.put(f"/fhir/Patient/{mark}", json={"resourceType": "Patient", "id": mark})
    assert answer.status_code == 201, answer.text


async def tags(client: httpx.AsyncClient, mark: str) -> list[str]:
    meta = (await client.get(f"/fhir/Patient/{mark}")).json()["meta"]
    return [tag["code"] for tag in meta.get("tag", ())]


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        pytest.param(entry("POST", "Patient/{mark}/$meta-add", parameters("meta", valueString="x")), 400, id="value"),
        pytest.param(entry("POST", "Patient/{mark}/$meta-add", tagged("a"), ifMatch='W/"7"'), 412, id="version"),
        pytest.param(entry("POST", "Patient/none-{mark}/$meta-add", tagged("a")), 404, id="absent"),
        pytest.param(entry("GET", "Patient/{mark}/$meta-add"), 400, id="get"),
        pytest.param(entry("POST", "Patient/{mark}/$reindex"), 400, id="unknown"),
        pytest.param(entry("DELETE", "Patient/{mark}"), 400, id="twice"),
        pytest.param(entry("POST", "Patient/_search", tagged("x")), 400, id="search-complex"),
        pytest.param(entry("POST", "Patient/_search", {"resourceType": "Patient"}), 400, id="search-patient"),
        pytest.param(entry("POST", "Patient/_search", {"resourceType": "Binary"}), 400, id="search-no-form"),
        pytest.param(entry("GET", "Patient?_id=x", parameters("_id", valueString="x")), 400, id="get-body"),
    ],
)
async def test_an_operation_that_fails_refuses_the_whole_transaction(
    client: httpx.AsyncClient, mark: str, broken: Any, status: int
) -> None:
    await put(client, mark)
    request = broken["request"] | {"url": broken["request"]["url"].replace("{mark}", mark)}

    answer = await send(
        client,
        "transaction",
        entry("PUT", f"Patient/{mark}-new", {"resourceType": "Patient", "id": f"{mark}-new"}),
        entry("POST", f"Patient/{mark}/$meta-add", tagged("kept")) if status == 400 else entry("GET", "Patient/x"),
        broken | {"request": request},
    )

    assert answer.status_code == status, answer.text
    assert (await client.get(f"/fhir/Patient/{mark}-new")).status_code == 404
    assert await tags(client, mark) == []


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_operations_are_called_by_post_and_by_get(client: httpx.AsyncClient, mark: str, kind: str) -> None:
    await put(client, mark)

    found = await answers(
        client,
        kind,
        entry("POST", f"Patient/{mark}/$everything", parameters("_count", valuePositiveInt=5)),
        entry("GET", f"Patient/{mark}/$everything"),
        entry("POST", f"Patient/_search?_id={mark}"),
        entry("POST", "Patient/$validate", {"resourceType": "Patient", "gender": "none"}),
        entry("POST", "CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male"),
        entry("GET", f"Patient/{mark}/$meta"),
        entry("POST", f"Patient/none-{mark}/$everything"),
    )

    assert [status for status, _ in found] == [*("200",) * 6, "404"]
    assert [one["resourceType"] for _, one in found[:6]] == [
        *("Bundle", "Bundle", "Bundle", "OperationOutcome", "Parameters", "Parameters")
    ]
    assert [one["total"] for _, one in found[:3]] == [1, 1, 1]
    assert found[3][1]["issue"][0]["severity"] == "error"


FORM = {"resourceType": "Binary", "contentType": "application/x-www-form-urlencoded; charset=utf-8"}


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_search_by_post_takes_parameters_or_a_form_beside_its_url(
    client: httpx.AsyncClient, mark: str, kind: str
) -> None:
    """R4 does not say how a Bundle carries the form of a search: as a Parameters resource, which clients send, or as a
    Binary, as it carries a patch."""
    resource = {"resourceType": "Patient", "id": mark, "active": True, "birthDate": "1990-05-02"}
    await client.put(f"/fhir/Patient/{mark}", json=resource)
    named = parameters("_id", valueString=mark)
    several = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "active", "valueBoolean": True},
            {"name": "birthdate", "valueDate": "1990-05-02"},
            {"name": "_count", "valueInteger": 7},
        ],
    }
    form = FORM | {"data": base64.b64encode(f"_id={mark}&active=false".encode()).decode()}

    found = await answers(
        client,
        kind,
        entry("POST", "Patient/_search", named),
        entry("POST", f"Patient/_search?_id={mark}", several),
        entry("POST", "Patient/_search", form),
        entry("POST", "_search?_type=Patient", named),
        entry("POST", f"Patient/_search?_id={mark}", {"resourceType": "Parameters"}),
        entry("POST", f"Patient/{mark}/Observation/_search", parameters("status", valueCode="final")),
    )

    assert [(status, one["total"]) for status, one in found] == [("200", n) for n in (1, 1, 0, 1, 1, 0)]
    assert found[1][1]["link"][0]["url"].endswith(f"Patient?_id={mark}&active=true&birthdate=1990-05-02&_count=7")


async def test_a_transaction_changes_labels_with_the_rest_and_reads_them_afterwards(
    client: httpx.AsyncClient, mark: str
) -> None:
    await put(client, mark)
    await put(client, f"{mark}-b")
    await send(client, "batch", entry("POST", f"Patient/{mark}-b/$meta-add", tagged("old")))

    found = await answers(
        client,
        "transaction",
        entry("GET", f"Patient/{mark}"),
        entry("POST", f"Patient/{mark}/$meta-add", tagged("new"), ifMatch='W/"1"'),
        entry("POST", f"Patient/{mark}-b/$meta-delete", tagged("old")),
        entry("POST", "Patient", {"resourceType": "Patient"}),
    )

    assert [status for status, _ in found] == ["200", "200", "200", "201"]
    assert found[0][1]["meta"]["tag"] == [{"system": "urn:test", "code": "new"}]
    (returned,) = found[1][1]["parameter"]
    assert (returned["valueMeta"]["versionId"], returned["valueMeta"]["tag"][0]["code"]) == ("2", "new")
    assert (await tags(client, mark), await tags(client, f"{mark}-b")) == (["new"], [])


async def test_who_may_not_update_changes_no_label_in_a_transaction(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    await put(client, mark)
    await put(client, f"{mark}-b")
    own, other = (entry("POST", f"Patient/{one}/$meta-add", tagged("x")) for one in (mark, f"{mark}-b"))

    async with await facade.client("patient/*.rs", patient=mark) as reader:
        refused = await send(reader, "transaction", own)
    async with await facade.client("patient/*.cruds", patient=mark) as person:
        hidden = await send(person, "transaction", own, other)

    assert (refused.status_code, hidden.status_code) == (403, 404)
    assert await tags(client, mark) == await tags(client, f"{mark}-b") == []
