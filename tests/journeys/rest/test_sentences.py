"""Single sentences of R4's pages on the RESTful API and on search that no other test is about.

https://hl7.org/fhir/R4/http.html, https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def put(client: httpx.AsyncClient, type: str, id: str, **elements: Any) -> None:
    answer = await client.put(f"/fhir/{type}/{id}", json={"resourceType": type, "id": id, **elements})
    assert answer.status_code == 201, answer.text


def self_link(answer: httpx.Response) -> str:
    return next(str(link["url"]) for link in answer.json()["link"] if link["relation"] == "self")


async def test_empty_parameters_of_a_search_are_no_error_but_ignored(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark, gender="male")
    empty = "name=&gender:not=&_count=&organization.name=&_sort=&_filter="

    found = await client.get(f"/fhir/Patient?_id={mark}&{empty}")
    posted = await client.post("/fhir/Patient/_search", content=f"_id={mark}&{empty}", headers=FORM)
    everywhere = await client.get(f"/fhir?_type=Patient&_id={mark}&_lastUpdated=&_total=accurate")
    unknown = await client.get(f"/fhir/Patient?_id={mark}&pulse=")

    assert [answer.json()["total"] for answer in (found, posted, everywhere)] == [1, 1, 1]
    assert self_link(found).endswith(f"/Patient?_id={mark}")
    assert unknown.status_code == 400


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_an_empty_parameter_of_a_condition_is_refused(client: httpx.AsyncClient, mark: str, method: str) -> None:
    """Ignored, it would make the condition one about more than is meant."""
    await put(client, "Patient", mark, gender="male")

    answer = await client.request(method, f"/fhir/Patient?_id={mark}&identifier=", json={"resourceType": "Patient"})

    assert answer.status_code == 400
    assert (await client.get(f"/fhir/Patient/{mark}")).json()["meta"]["versionId"] == "1"


async def test_elements_are_those_of_the_type_that_is_searched(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark, gender="male", maritalStatus={"text": "x"})
    about = {"status": "final", "code": {"text": "x"}, "subject": {"reference": f"Patient/{mark}"}}
    await put(client, "Observation", mark, **about, valueQuantity={"value": 5}, note=[{"text": "x"}])

    answer = await client.get(f"/fhir/Observation?_id={mark}&_elements=value&_include=Observation:subject")

    match, included = (entry["resource"] for entry in answer.json()["entry"])
    assert match.keys() == {"resourceType", "id", "meta", "status", "code", "valueQuantity"}
    assert [tag["code"] for tag in match["meta"]["tag"]] == ["SUBSETTED"]
    assert (included["gender"], included["maritalStatus"], "tag" in included["meta"]) == ("male", {"text": "x"}, False)


async def test_the_form_of_a_search_is_a_form(client: httpx.AsyncClient, mark: str) -> None:
    answer = await client.post("/fhir/Patient/_search", content=f"_id={mark}", headers={"Content-Type": "text/plain"})

    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (415, "not-supported")


@pytest.mark.parametrize("preference", ["return=minimal", "Return=minimal", ' respond-async;  RETURN="minimal" '])
async def test_the_names_of_preferences_are_read_in_any_case(
    client: httpx.AsyncClient, mark: str, preference: str
) -> None:
    patient = {"resourceType": "Patient", "id": mark}

    answer = await client.put(f"/fhir/Patient/{mark}", json=patient, headers={"Prefer": preference})

    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (201, b"", 'W/"1"')


async def test_an_update_after_a_deletion_goes_on_counting_versions(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark)
    await client.delete(f"/fhir/Patient/{mark}")

    brought_back = await client.put(f"/fhir/Patient/{mark}", json={"resourceType": "Patient", "id": mark})

    assert (brought_back.status_code, brought_back.headers["ETag"]) == (201, 'W/"3"')
    assert brought_back.headers["Location"].endswith(f"/fhir/Patient/{mark}/_history/3")


async def test_a_head_answers_as_a_get_would_without_a_body(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark)

    for path in (f"Patient/{mark}", f"Patient/{mark}/_history/1", "Patient/none-at-all"):
        whole, head = await client.get(f"/fhir/{path}"), await client.head(f"/fhir/{path}")
        assert (head.status_code, head.content) == (whole.status_code, b"")
        for name in ("ETag", "Last-Modified", "Content-Type", "Content-Length"):
            assert head.headers.get(name) == whole.headers.get(name), name
