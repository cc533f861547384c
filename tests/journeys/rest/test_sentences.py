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


async def test_an_empty_alternative_is_ignored_as_an_empty_parameter_is(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark, gender="male")
    await put(client, "Patient", f"{mark}b", gender="female")

    two = await client.get(f"/fhir/Patient?_id={mark},,{mark}b,&gender=,&_sort=,-_id")
    everywhere = await client.get(f"/fhir?_type=Patient,&_id=,{mark}")
    conditional = await client.delete(f"/fhir/Patient?_id={mark},")

    assert [entry["resource"]["id"] for entry in two.json()["entry"]] == [f"{mark}b", mark]
    assert self_link(two).endswith(f"/Patient?_id={mark},{mark}b&_sort=-_id")
    assert everywhere.json()["total"] == 1
    assert (conditional.status_code, (await client.get(f"/fhir/Patient/{mark}")).status_code) == (400, 200)


async def test_a_lenient_search_names_what_it_ignored(client: httpx.AsyncClient, mark: str) -> None:
    for number in range(2):
        await put(client, "Patient", f"{mark}{number}", gender="male")
    asked = f"Patient?pulse=1&_id={mark}0,{mark}1&_sort=-_id,pulse&_count=1&_total=accurate"

    strict = await client.get(f"/fhir/{asked}")
    lenient = await client.get(f"/fhir/{asked}", headers={"Prefer": "handling=lenient"})
    counted = await client.get(f"/fhir/{asked}&_summary=count", headers={"Prefer": "handling=lenient"})
    everywhere = await client.get(f"/fhir?_type=Patient&{asked[8:]}", headers={"Prefer": "handling=lenient"})

    assert strict.status_code == 400
    assert self_link(lenient).endswith(f"/Patient?_id={mark}0,{mark}1&_count=1&_total=accurate")
    for answer in (lenient, everywhere):
        match, outcome = answer.json()["entry"]
        assert (match["search"], answer.json()["total"]) == ({"mode": "match"}, 2)
        assert outcome.keys() == {"resource", "search"}
        assert outcome["search"] == {"mode": "outcome"}
        issues = outcome["resource"]["issue"]
        assert {(issue["severity"], issue["code"]) for issue in issues} == {("warning", "not-supported")}
        assert [issue["diagnostics"].partition(":")[0] for issue in issues] == [
            "pulse was ignored",
            "_sort was ignored",
        ]
    assert ("entry" in counted.json(), counted.json()["total"]) == (
        False,
        2,
    )  # R4: an answer that counts has no entries


async def test_the_next_page_of_a_lenient_search_needs_no_preference(client: httpx.AsyncClient, mark: str) -> None:
    for number in range(2):
        await put(client, "Patient", f"{mark}{number}", gender="male")
    lenient = {"Prefer": "handling=lenient"}
    first = await client.get(f"/fhir/Patient?pulse=1&_id={mark}0,{mark}1&_count=1", headers=lenient)
    following = next(link["url"] for link in first.json()["link"] if link["relation"] == "next")

    second = await client.get(following)

    assert [entry["search"]["mode"] for entry in second.json()["entry"]] == ["match"]
    assert first.json()["entry"][0]["resource"]["id"] != second.json()["entry"][0]["resource"]["id"]


async def test_a_self_link_has_the_count_that_was_used(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark, gender="male")

    for asked in (f"Patient?_id={mark}", f"Patient/{mark}/_history?", f"Patient/{mark}/$everything?"):
        answer = await client.get(f"/fhir/{asked}&_count=5000".replace("?&", "?"))
        assert self_link(answer).endswith("_count=1000"), asked


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


async def test_a_page_link_takes_no_more_but_a_count_that_changes_nothing(client: httpx.AsyncClient, mark: str) -> None:
    for number in range(2):
        await put(client, "Patient", f"{mark}{number}", gender="male")
    first = (await client.get(f"/fhir/Patient?_id={mark}0,{mark}1&_sort=_id&_count=1")).json()
    link = next(str(link["url"]) for link in first["link"] if link["relation"] == "next")

    refused = [await client.get(f"{link}&{more}") for more in ("_count=2", "_count=999", "_count=x", "gender=female")]
    followed = await client.get(f"{link}&_count=1000")

    assert [answer.status_code for answer in refused] == [400] * 4
    assert [entry["resource"]["id"] for entry in followed.json()["entry"]] == [f"{mark}1"]
