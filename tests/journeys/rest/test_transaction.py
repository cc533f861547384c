"""Transactions: references, conditions, the order of R4, and what is refused whole."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from tests.facade import Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"max_transaction_entries": 30, "max_transaction_bytes": 40_000, "max_batch_bytes": 60_000}
URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0"


def entry(method: str, url: str, resource: Any = None, *, full_url: str | None = None, **request: str) -> Any:
    content = {"resource": resource} if resource is not None else {}
    name = {"fullUrl": full_url} if full_url else {}
    return name | content | {"request": {"method": method, "url": url, **request}}


def patient(mark: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:test", "value": mark}], **elements}


def observation(subject: str, **elements: Any) -> dict[str, Any]:
    about = {"code": {"text": "x"}, "subject": {"reference": subject}}
    return {"resourceType": "Observation", "status": "final", **about, **elements}


async def send(client: httpx.AsyncClient, *entries: Any, prefer: str = "return=minimal") -> httpx.Response:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    return await client.post("/fhir", json=bundle, headers={"Prefer": prefer})


async def done(client: httpx.AsyncClient, *entries: Any, prefer: str = "return=minimal") -> list[Any]:
    answer = await send(client, *entries, prefer=prefer)
    assert answer.status_code == 200, answer.text
    return [each.get("response") | {"resource": each.get("resource")} for each in answer.json()["entry"]]


def statuses(answers: list[Any]) -> list[str]:
    return [each["status"][:3] for each in answers]


def place(answer: Any) -> str:
    """`Type/id` of what an entry wrote."""
    return str(answer["location"]).partition("/_history")[0]


async def found(client: httpx.AsyncClient, mark: str) -> list[Any]:
    bundle = (await client.get(f"/fhir/Patient?identifier=urn:test|{mark}")).json()
    return [each["resource"] for each in bundle.get("entry", [])]


async def read(client: httpx.AsyncClient, place: str) -> Any:
    return (await client.get(f"/fhir/{place}")).json()


async def test_entries_refer_to_each_other_by_urn_in_every_uri_and_in_the_narrative(
    client: httpx.AsyncClient, mark: str
) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}1">p</a></div>'
    mentioned = {
        "text": {"status": "generated", "div": div},
        "extension": [{"url": "urn:x", "valueUri": f"{URN}1"}],
    }
    answers = await done(
        client,
        entry("POST", "Observation", observation(f"{URN}1", **mentioned)),
        entry("POST", "Patient", patient(mark), full_url=f"{URN}1"),
        entry("POST", "Basic", {"resourceType": "Basic", "code": {"text": "x"}, "extension": mentioned["extension"]}),
    )

    own = place(answers[1])
    stored, basic = await read(client, place(answers[0])), await read(client, place(answers[2]))
    assert statuses(answers) == ["201"] * 3
    assert stored["subject"]["reference"] == own
    assert f'href="{own}"' in stored["text"]["div"]
    assert [each["extension"][0]["valueUri"] for each in (stored, basic)] == [own, own]


@pytest.mark.parametrize("base", ["http://elsewhere.example/fhir", "http://127.0.0.1:8000/fhir"])
async def test_relative_references_are_below_the_base_of_their_entry(
    client: httpx.AsyncClient, mark: str, base: str
) -> None:
    answers = await done(
        client,
        entry("POST", "Patient", patient(mark), full_url=f"{base}/Patient/temp"),
        entry("POST", "Observation", observation("Patient/temp"), full_url=f"{base}/Observation/temp"),
        entry("POST", "Observation", observation(f"{base}/Patient/temp"), full_url=f"{URN}2"),
    )

    own = place(answers[0])
    subjects = [(await read(client, place(each)))["subject"]["reference"] for each in answers[1:]]
    assert subjects == [own, own]


async def test_a_conditional_reference_finds_what_is_stored_and_what_the_transaction_writes(
    client: httpx.AsyncClient, mark: str
) -> None:
    old = (await client.post("/fhir/Patient", json=patient(f"{mark}-old"))).json()["id"]

    answers = await done(
        client,
        entry("POST", "Observation", observation(f"Patient?identifier=urn:test|{mark}-old")),
        entry("POST", "Observation", observation(f"Patient?identifier=urn:test|{mark}-new&gender=male")),
        entry("POST", "Observation", observation(f"Patient?identifier={mark}-renamed")),
        entry("POST", "Patient", patient(f"{mark}-new", gender="male")),
        entry("PUT", f"Patient/{mark}", patient(f"{mark}-renamed", id=mark)),
    )

    subjects = [(await read(client, place(each)))["subject"]["reference"] for each in answers[:3]]
    assert subjects == [f"Patient/{old}", place(answers[3]), f"Patient/{mark}"]


@pytest.mark.parametrize(
    ("reference", "status"),
    [
        pytest.param("Patient?identifier=urn:test|none-at-all", 404, id="no match"),
        pytest.param("Patient?identifier=urn:test|{mark}", 412, id="several matches"),
        pytest.param("Patient?nonsense=1", 400, id="no parameter"),
        pytest.param("Nothing?identifier=1", 400, id="no type"),
        pytest.param(f"{URN}9", 400, id="no such entry"),
    ],
)
async def test_a_reference_that_means_nothing_refuses_the_whole(
    client: httpx.AsyncClient, mark: str, reference: str, status: int
) -> None:
    await client.post("/fhir/Patient", json=patient(mark))

    answer = await send(
        client,
        entry("POST", "Patient", patient(mark, gender="male")),
        entry("POST", "Observation", observation(reference.format(mark=mark))),
    )

    assert answer.status_code == status, answer.text
    assert "entry 1" in answer.text
    assert len(await found(client, mark)) == 1


async def test_conditional_entries_are_resolved_as_alone(client: httpx.AsyncClient, mark: str) -> None:
    ids = {}
    for name in ("put", "patch", "delete", "create"):
        ids[name] = (await client.post("/fhir/Patient", json=patient(f"{mark}-{name}"))).json()["id"]
    where = {name: f"identifier=urn:test|{mark}-{name}" for name in (*ids, "fresh")}
    patch = base64.b64encode(b'[{"op":"add","path":"/gender","value":"other"}]').decode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": patch}

    answers = await done(
        client,
        entry("PUT", f"Patient?{where['put']}", patient(f"{mark}-put", gender="male"), full_url=f"{URN}1"),
        entry("PATCH", f"Patient?{where['patch']}", binary),
        entry("DELETE", f"Patient?{where['delete']}"),
        entry("POST", "Patient", patient(f"{mark}-create"), full_url=f"{URN}2", ifNoneExist=where["create"]),
        entry("PUT", f"Patient?{where['fresh']}", patient(f"{mark}-fresh"), full_url=f"{URN}3"),
        entry("DELETE", f"Patient?identifier=urn:test|{mark}-nothing"),
        *(entry("POST", "Observation", observation(f"{URN}{number}")) for number in (1, 2, 3)),
    )

    assert statuses(answers) == ["200", "200", "204", "200", "201", "204", "201", "201", "201"]
    subjects = [(await read(client, place(each)))["subject"]["reference"] for each in answers[6:]]
    assert subjects == [f"Patient/{ids['put']}", f"Patient/{ids['create']}", place(answers[4])]
    assert (await read(client, f"Patient/{ids['put']}"))["gender"] == "male"
    assert (await read(client, f"Patient/{ids['patch']}"))["gender"] == "other"
    assert (await client.get(f"/fhir/Patient/{ids['delete']}")).status_code == 410
    assert len(await found(client, f"{mark}-create")) == 1


async def test_a_bundle_without_a_type_happens_whole_or_not_at_all(client: httpx.AsyncClient, mark: str) -> None:
    made = place((await done(client, entry("POST", "Patient", patient(mark))))[0])
    deletion = entry("DELETE", f"Patient?identifier=urn:test|{mark}")

    async def send_untyped(*entries: Any) -> int:
        return (await client.post("/fhir", json={"resourceType": "Bundle", "entry": entries})).status_code

    assert await send_untyped(deletion, entry("POST", "Patient", {"resourceType": "Patient", "gender": 5})) == 422
    assert (await client.get(f"/fhir/{made}")).status_code == 200
    assert await send_untyped(deletion) == 200
    assert (await client.get(f"/fhir/{made}")).status_code == 410


async def test_entries_without_a_url_are_about_their_resource(client: httpx.AsyncClient, mark: str) -> None:
    answers = await done(
        client,
        {"resource": patient(mark), "request": {"method": "POST"}},
        {"resource": patient(mark, id=f"{mark}-put"), "request": {"method": "PUT"}},
    )

    assert statuses(answers) == ["201", "201"]
    assert place(answers[1]) == f"Patient/{mark}-put"
    assert {each["id"] for each in await found(client, mark)} == {place(each).partition("/")[2] for each in answers}


async def test_what_is_deleted_is_not_found_by_what_is_created(client: httpx.AsyncClient, mark: str) -> None:
    """R4 processes deletes first, wherever they stand."""
    old = (await client.post("/fhir/Patient", json=patient(mark))).json()["id"]

    answers = await done(
        client,
        entry("POST", "Patient", patient(mark), ifNoneExist=f"identifier=urn:test|{mark}"),
        entry("DELETE", f"Patient/{old}"),
        entry("GET", f"Patient?identifier=urn:test|{mark}&_summary=count"),
    )

    assert statuses(answers) == ["201", "204", "200"]
    assert place(answers[0]) != f"Patient/{old}"
    assert answers[2]["resource"]["total"] == 1


async def test_two_entries_with_one_condition_create_one_resource(client: httpx.AsyncClient, mark: str) -> None:
    condition = f"identifier=urn:test|{mark}"
    answers = await done(
        client,
        entry("POST", "Patient", patient(mark), full_url=f"{URN}1", ifNoneExist=condition),
        entry("POST", "Patient", patient(mark), full_url=f"{URN}2", ifNoneExist=condition),
        entry("POST", "Observation", observation(f"{URN}2")),
    )

    assert statuses(answers) == ["201", "200", "201"]
    assert place(answers[0]) == place(answers[1])
    assert len(await found(client, mark)) == 1


async def test_an_update_whose_condition_also_finds_a_new_resource_is_refused(
    client: httpx.AsyncClient, mark: str
) -> None:
    answer = await send(
        client,
        entry("POST", "Patient", patient(mark)),
        entry("PUT", f"Patient?identifier=urn:test|{mark}", patient(mark, gender="male")),
    )

    assert answer.status_code == 412
    assert "entry 1" in answer.text
    assert await found(client, mark) == []


@pytest.mark.parametrize("way", ["by id", "by condition"])
async def test_a_resource_twice_is_refused(client: httpx.AsyncClient, mark: str, way: str) -> None:
    await client.put(f"/fhir/Patient/{mark}", json=patient(mark, id=mark))
    second = f"Patient/{mark}" if way == "by id" else f"Patient?identifier=urn:test|{mark}"

    answer = await send(
        client,
        entry("PUT", f"Patient/{mark}", patient(mark, id=mark, gender="male")),
        entry("DELETE", second),
    )

    assert answer.status_code == 400
    assert "gender" not in await read(client, f"Patient/{mark}")


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        pytest.param(entry("POST", "Observation", {"resourceType": "Observation"}), 422, id="invalid"),
        pytest.param(entry("PUT", "Patient/{mark}", patient("x", id="{mark}"), ifMatch='W/"7"'), 412, id="stale"),
        pytest.param(entry("POST", "Observation", observation("Patient/none-at-all")), 400, id="dangling"),
        pytest.param(entry("DELETE", "Patient?nonsense=1"), 400, id="no condition"),
        pytest.param(entry("POST", "Patient"), 400, id="no resource"),
        pytest.param(entry("POST", "", {"resourceType": "Bundle", "type": "batch"}), 400, id="a Bundle"),
        pytest.param(entry("GET", "Patient", {"resourceType": "Parameters"}), 400, id="a search with a body"),
        pytest.param(entry("GET", "https://elsewhere.example/Patient"), 400, id="another server"),
        pytest.param(entry("PATCH", "Patient/{mark}", {"resourceType": "Binary", "data": "?"}), 400, id="no base64"),
    ],
)
async def test_one_bad_entry_refuses_the_whole(client: httpx.AsyncClient, mark: str, broken: Any, status: int) -> None:
    await client.put(f"/fhir/Patient/{mark}", json=patient(f"{mark}-old", id=mark))
    bad = json.loads(json.dumps(broken).replace("{mark}", mark))

    answer = await send(client, entry("POST", "Patient", patient(mark)), bad)

    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert "entry 1" in answer.text or status in (400, 412)
    assert await found(client, mark) == []


async def test_reads_come_after_the_writes_and_fail_alone(client: httpx.AsyncClient, mark: str) -> None:
    answers = await done(
        client,
        entry("GET", f"Patient/{mark}"),
        entry("GET", f"Patient/{mark}/_history"),
        entry("HEAD", f"Patient/{mark}"),
        entry("GET", f"Patient/{mark}/_history/1"),
        entry("GET", f"Patient/{mark}", ifNoneMatch='W/"1"'),
        entry("GET", f"Patient/{mark}", ifModifiedSince="2100-01-01T00:00:00Z"),
        entry("GET", "Patient/none-at-all"),
        entry("PUT", f"Patient/{mark}", patient(mark, id=mark)),
    )

    assert statuses(answers) == ["200", "200", "200", "200", "304", "304", "404", "201"]
    assert answers[0]["resource"]["id"] == mark
    assert answers[1]["resource"]["total"] == 1
    assert [answers[at]["resource"] for at in (4, 5, 7)] == [None] * 3
    assert answers[6]["outcome"]["issue"][0]["code"] == "not-found"


async def test_the_answer_is_as_long_as_preferred(client: httpx.AsyncClient, mark: str) -> None:
    own = entry("PUT", f"Patient/{mark}", patient(mark, id=mark))

    (minimal,) = await done(client, own)
    (whole,) = await done(client, own, prefer="return=representation")
    told, gone = await done(
        client,
        entry("PUT", f"Patient/{mark}2", patient(mark, id=f"{mark}2")),
        entry("DELETE", f"Patient/{mark}"),
        prefer="return=OperationOutcome",
    )

    assert (minimal["resource"], "outcome" in minimal) == (None, False)
    assert minimal["etag"] == 'W/"1"'
    assert (whole["resource"]["id"], "outcome" in whole) == (mark, False)
    assert (told["resource"], told["outcome"]["issue"][0]["severity"]) == (None, "information")
    assert (gone["status"], gone["outcome"]["resourceType"]) == ("204 No Content", "OperationOutcome")


async def test_what_is_too_much_is_refused_with_the_limit(client: httpx.AsyncClient, mark: str) -> None:
    many = await send(client, *(entry("POST", "Patient", patient(mark)) for _ in range(31)))
    large = await send(client, entry("POST", "Patient", patient(mark, name=[{"text": "x" * 45_000}])))

    assert (many.status_code, large.status_code) == (413, 413)
    assert "30" in many.text
    assert "40000" in large.text
    assert await found(client, mark) == []


async def test_racing_transactions_with_one_condition_create_one_resource(client: httpx.AsyncClient, mark: str) -> None:
    conditions = [f"identifier=urn:test|{mark}", f"identifier={mark}"] * 3

    answers = await asyncio.gather(
        *(done(client, entry("POST", "Patient", patient(mark), ifNoneExist=each)) for each in conditions)
    )

    assert sorted(each["status"][:3] for (each,) in answers) == ["200"] * 5 + ["201"]
    assert len(await found(client, mark)) == 1


async def test_people_reach_no_further_with_a_transaction(facade: Facade, client: httpx.AsyncClient, mark: str) -> None:
    own, other = [(await client.post("/fhir/Patient", json=patient(f"{mark}{n}"))).json()["id"] for n in "ab"]
    foreign = (await client.post("/fhir/Observation", json=observation(f"Patient/{other}"))).json()["id"]

    async with await facade.client("patient/*.cruds", patient=own) as person:
        refused = [
            await send(person, entry("POST", "Observation", observation(f"Patient?identifier=urn:test|{mark}b"))),
            await send(person, entry("POST", "Observation", observation(f"Patient/{other}"))),
            await send(person, entry("DELETE", f"Observation/{foreign}")),
            await send(person, entry("PATCH", f"Patient?identifier=urn:test|{mark}b", {"resourceType": "Binary"})),
            await send(person, entry("PUT", f"Observation/{foreign}", observation(f"Patient/{own}", id=foreign))),
        ]
        allowed = await done(
            person,
            entry("POST", "Observation", observation(f"Patient?identifier=urn:test|{mark}a")),
            entry("DELETE", f"Observation?subject=Patient/{other}"),
            entry("GET", f"Observation/{foreign}"),
        )

    assert [answer.status_code for answer in refused] == [404, 403, 404, 404, 404]
    assert statuses(allowed) == ["201", "204", "404"]
    assert (await client.get(f"/fhir/Observation/{foreign}")).status_code == 200
