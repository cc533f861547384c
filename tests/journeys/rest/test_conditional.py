"""Conditional create, update, patch and delete: one match, none, several, and who may ask."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.facade import Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")

MERGE = {"Content-Type": "application/merge-patch+json"}


def patient(mark: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:test", "value": mark}], **elements}


async def stored(client: httpx.AsyncClient, body: dict[str, Any]) -> str:
    answer = await client.post(f"/fhir/{body['resourceType']}", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def found(client: httpx.AsyncClient, mark: str) -> list[dict[str, Any]]:
    bundle = (await client.get(f"/fhir/Patient?identifier=urn:test|{mark}")).json()
    return [entry["resource"] for entry in bundle.get("entry", [])]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_condition_that_is_about_everything_is_refused(client: httpx.AsyncClient, method: str) -> None:
    for condition in ("", "?_count=1", "?nonsense=1"):
        answer = await client.request(method, f"/fhir/Patient{condition}", json={"resourceType": "Patient"})
        assert answer.status_code == 400, (condition, answer.text)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
async def test_several_matches_are_refused_and_nothing_changes(
    client: httpx.AsyncClient, mark: str, method: str
) -> None:
    for gender in ("female", "male"):
        await stored(client, patient(mark, gender=gender))
    condition = f"identifier=urn:test|{mark}"
    create = method == "POST"

    answer = await client.request(
        method,
        "/fhir/Patient" if create else f"/fhir/Patient?{condition}",
        json=patient(mark),
        headers={"If-None-Exist": condition} if create else MERGE if method == "PATCH" else {},
    )

    assert answer.status_code == 412
    assert sorted(each["gender"] for each in await found(client, mark)) == ["female", "male"]


async def test_an_update_changes_the_one_that_matches_or_creates_one(client: httpx.AsyncClient, mark: str) -> None:
    path = f"/fhir/Patient?identifier=urn:test|{mark}"

    created = await client.put(path, json=patient(mark))
    changed = await client.put(path, json=patient(mark, gender="male"))
    named = await client.put(path, json=patient(mark, gender="other", id=created.json()["id"]))
    same = await client.put(path, json=patient(mark, gender="other"))

    assert [each.status_code for each in (created, changed, named, same)] == [201, 200, 200, 200]
    assert {each.json()["id"] for each in (created, changed, named, same)} == {created.json()["id"]}
    assert [each.headers["ETag"] for each in (changed, named, same)] == ['W/"2"', 'W/"3"', 'W/"3"']
    assert created.headers["Location"].endswith("/_history/1")


async def test_an_update_with_another_id_than_the_match_is_refused(client: httpx.AsyncClient, mark: str) -> None:
    await stored(client, patient(mark))

    answer = await client.put(f"/fhir/Patient?identifier=urn:test|{mark}", json=patient(mark, id="another"))

    assert answer.status_code == 400


async def test_an_update_without_a_match_creates_under_its_own_id_but_replaces_nothing(
    client: httpx.AsyncClient, mark: str
) -> None:
    path = f"/fhir/Patient?identifier=urn:test|{mark}-x"

    created = await client.put(path, json=patient(mark, id=mark))
    occupied = await client.put(path, json=patient(mark, id=mark, gender="male"))

    assert (created.status_code, created.json()["id"]) == (201, mark)
    assert occupied.status_code == 409
    assert "gender" not in (await client.get(f"/fhir/Patient/{mark}")).json()


async def test_if_match_is_about_the_match(client: httpx.AsyncClient, mark: str) -> None:
    path = f"/fhir/Patient?identifier=urn:test|{mark}"
    asked = {"method": "DELETE", "url": f"Patient?identifier=urn:test|{mark}", "ifMatch": 'W/"1"'}
    nothing = [
        (await client.put(path, json=patient(mark), headers={"If-Match": 'W/"1"'})).status_code,
        (await client.delete(path, headers={"If-Match": 'W/"1"'})).status_code,
        (await client.delete(path, headers={"If-Match": "*"})).status_code,
        (
            await client.post(
                "/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": [{"request": asked}]}
            )
        ).status_code,
        (await client.delete(path)).status_code,
    ]
    await stored(client, patient(mark))

    async def answers(version: int) -> list[int]:
        etag = {"If-Match": f'W/"{version}"'}
        put = await client.put(path, json=patient(mark, gender="male"), headers=etag)
        patch = await client.patch(path, json={"gender": "other"}, headers=MERGE | etag)
        return [put.status_code, patch.status_code]

    assert nothing == [412, 412, 412, 412, 200]
    assert await answers(7) == [412, 412]
    assert await answers(1) == [200, 412]
    assert (await client.delete(path, headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await client.delete(path, headers={"If-Match": 'W/"2"'})).status_code == 200


async def test_the_id_in_the_body_of_a_conditional_update_is_that_of_what_matches(
    client: httpx.AsyncClient, mark: str
) -> None:
    path = f"/fhir/Patient?identifier=urn:test|{mark}"

    first = await client.put(path, json=patient(mark, id=f"{mark}-a"))
    other = await client.put(path, json=patient(mark, id=f"{mark}-b"))
    again = await client.put(path, json=patient(mark, id=f"{mark}-a", gender="male"))

    assert (first.status_code, first.json()["id"]) == (201, f"{mark}-a")
    assert (other.status_code, again.status_code) == (400, 200)


async def test_what_is_created_need_not_meet_its_own_condition(client: httpx.AsyncClient, mark: str) -> None:
    condition = {"If-None-Exist": f"identifier=urn:test|{mark}-other"}

    assert (await client.post("/fhir/Patient", json=patient(mark), headers=condition)).status_code == 201


@pytest.mark.parametrize("kind", ["alone", "transaction", "batch"])
async def test_a_star_demands_that_something_is_there_or_nothing(
    client: httpx.AsyncClient, mark: str, kind: str
) -> None:
    async def status(method: str, **headers: str) -> int:
        """`If_Match` for the header of that name."""
        body = {"resource": patient(mark, id=mark)} if method == "PUT" else {}
        conditions = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"Patient/{mark}"
        if kind == "alone":
            own = {"json": body["resource"]} if body else {}
            return (await client.request(method, f"/fhir/{path}", headers=conditions, **own)).status_code
        asked = {name[0].lower() + name[1:].replace("_", ""): value for name, value in headers.items()}
        entry = body | {"request": {"method": method, "url": path} | asked}
        answer = await client.post("/fhir", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})
        if answer.status_code != 200:
            return answer.status_code
        return int(answer.json()["entry"][0]["response"]["status"][:3])

    gone = {"transaction": 204}.get(kind, 200)

    assert [await status("PUT", If_Match="*"), await status("DELETE", If_Match="*")] == [412, 412]
    assert [await status("PUT", If_None_Match="*"), await status("PUT", If_None_Match="*")] == [201, 412]
    assert [await status("PUT", If_Match="*"), await status("DELETE", If_Match="*")] == [200, gone]
    assert [await status("PUT", If_None_Match="*"), await status("DELETE")] == [201, gone]


async def test_a_star_tells_a_person_nothing_of_others(facade: Facade, client: httpx.AsyncClient, mark: str) -> None:
    for label in ("own", "other"):
        await client.put(f"/fhir/Patient/{mark}{label}", json=patient(mark, id=f"{mark}{label}"))

    async with await facade.client("patient/*.cruds", patient=f"{mark}own") as person:
        answers = [
            (
                await person.put(
                    f"/fhir/Patient/{mark}{label}", json=patient(mark, id=f"{mark}{label}"), headers={header: "*"}
                )
            ).status_code
            for label in ("own", "other", "none")
            for header in ("If-None-Match", "If-Match")
        ]

    assert answers == [412, 200, 404, 404, 404, 404]


async def test_a_patch_changes_the_one_that_matches_and_needs_one(client: httpx.AsyncClient, mark: str) -> None:
    path = f"/fhir/Patient?identifier=urn:test|{mark}"

    nothing = await client.patch(path, json={"gender": "male"}, headers=MERGE)
    await stored(client, patient(mark))
    patched = await client.patch(path, json={"gender": "male"}, headers=MERGE)

    assert nothing.status_code == 404
    assert (patched.status_code, patched.json()["gender"]) == (200, "male")


async def test_a_delete_removes_the_one_that_matches_and_is_content_with_none(
    client: httpx.AsyncClient, mark: str
) -> None:
    own = await stored(client, patient(mark))
    path = f"/fhir/Patient?identifier=urn:test|{mark}"

    removed, again = await client.delete(path), await client.delete(path)

    assert (removed.status_code, again.status_code) == (200, 200)
    assert removed.headers["Content-Location"].endswith(f"/Patient/{own}/_history/2")
    assert "nothing was deleted" in again.text
    assert (await client.get(f"/fhir/Patient/{own}")).status_code == 410


async def test_a_create_may_have_its_condition_in_its_address(client: httpx.AsyncClient, mark: str) -> None:
    """As fhirpy's get_or_create sends it."""
    path = f"/fhir/Patient?identifier=urn:test|{mark}"
    entry = {"resource": patient(mark), "request": {"method": "POST", "url": path.removeprefix("/fhir/")}}

    created, again = await client.post(path, json=patient(mark)), await client.post(path, json=patient(mark))
    bundle = await client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    everything = await client.post("/fhir/Patient?_count=1", json=patient(mark))

    assert (created.status_code, again.status_code, everything.status_code) == (201, 200, 400)
    assert created.json()["id"] == again.json()["id"]
    assert bundle.json()["entry"][0]["response"]["status"] == "200 OK"
    assert len(await found(client, mark)) == 1


async def test_the_condition_of_a_create_may_be_a_whole_search(client: httpx.AsyncClient, mark: str) -> None:
    """As HAPI's client sends it."""
    condition = f"Patient?identifier=urn:test|{mark}"
    base = str(client.base_url).rstrip("/")
    entry = {"resource": patient(mark), "request": {"method": "POST", "url": "Patient", "ifNoneExist": condition}}

    answers = [
        await client.post("/fhir/Patient", json=patient(mark), headers={"If-None-Exist": each})
        for each in (condition, f"{base}/fhir/{condition}", f"Observation?identifier=urn:test|{mark}")
    ]
    bundle = await client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]})

    assert [answer.status_code for answer in answers] == [201, 200, 400]
    assert bundle.json()["entry"][0]["response"]["status"] == "200 OK"
    assert len(await found(client, mark)) == 1


async def test_what_is_found_instead_of_created_has_its_place_in_the_answer(
    client: httpx.AsyncClient, mark: str
) -> None:
    """Where clients look for it after a create, as HAPI tells it."""
    condition = {"If-None-Exist": f"identifier=urn:test|{mark}"}
    created = await client.post("/fhir/Patient", json=patient(mark), headers=condition)

    again = await client.post("/fhir/Patient", json=patient(mark), headers=condition | {"Prefer": "return=minimal"})

    assert (again.status_code, again.content) == (200, b"")
    assert again.headers["Location"] == created.headers["Location"]


@pytest.mark.parametrize("way", ["create", "update"])
async def test_racers_that_name_the_same_identifier_create_one(client: httpx.AsyncClient, mark: str, way: str) -> None:
    """Also when their conditions are not the same text: with the system or without, with more, in another order."""
    conditions = [
        f"identifier=urn:test|{mark}",
        f"?identifier=urn:test|{mark}",
        f"identifier={mark}",
        f"gender:missing=true&identifier=urn:test|{mark}",
    ]

    async def write(condition: str) -> int:
        if way == "create":
            answer = await client.post("/fhir/Patient", json=patient(mark), headers={"If-None-Exist": condition})
        else:
            answer = await client.put(f"/fhir/Patient?{condition.removeprefix('?')}", json=patient(mark))
        return answer.status_code

    statuses = await asyncio.gather(*(write(condition) for condition in conditions * 2))

    assert sorted(statuses) == [200] * 7 + [201]
    assert len(await found(client, mark)) == 1


async def test_people_change_by_a_condition_what_is_theirs_and_learn_nothing_of_others(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    own, other = await stored(client, patient(f"{mark}-own")), await stored(client, patient(f"{mark}-other"))

    def observation(subject: str, **elements: Any) -> dict[str, Any]:
        code = {"coding": [{"system": "urn:test", "code": mark}]}
        about = {"code": code, "subject": {"reference": f"Patient/{subject}"}}
        return {"resourceType": "Observation", "status": "final", **about, **elements}

    theirs, foreign = [await stored(client, observation(each)) for each in (own, other)]
    path = f"/fhir/Observation?code=urn:test|{mark}"
    async with await facade.client("patient/*.cruds", patient=own) as person:
        patched = await person.patch(path, json={"status": "amended"}, headers=MERGE)
        changed = await person.put(path, json=observation(own, status="corrected"))
        planted = await person.put(path, json=observation(other))
        removed = await person.delete(path)
        nothing = await person.delete(path)
        named = await person.put(path, json=observation(own, id=foreign))
        created = await person.put(path, json=observation(own))
    async with await facade.client("patient/Observation.rus", patient=own) as reader:
        await client.delete(f"/fhir/Observation/{created.json()['id']}")
        refused = await reader.put(path, json=observation(own))

    assert [each.status_code for each in (patched, changed, planted, removed, nothing)] == [200, 200, 403, 200, 200]
    assert {patched.json()["id"], changed.json()["id"]} == {theirs}
    assert (named.status_code, created.status_code, refused.status_code) == (404, 201, 403)
    assert (await client.get(f"/fhir/Observation/{foreign}")).json()["status"] == "final"


async def test_a_condition_needs_the_right_to_search(facade: Facade, client: httpx.AsyncClient, mark: str) -> None:
    own = await stored(client, patient(mark))
    path = f"/fhir/Patient?identifier=urn:test|{mark}"

    async with await facade.client("system/Patient.crud") as blind:
        answers = [
            await blind.put(path, json=patient(mark)),
            await blind.patch(path, json={"gender": "male"}, headers=MERGE),
            await blind.delete(path),
            await blind.post("/fhir/Patient", json=patient(mark), headers={"If-None-Exist": f"identifier={mark}"}),
        ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert (await client.get(f"/fhir/Patient/{own}")).headers["ETag"] == 'W/"1"'
