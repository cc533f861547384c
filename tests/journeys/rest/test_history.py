"""History over HTTP: of a resource, a type and everything; what may leave, and what its pages tell."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import Principal, Ref, Write
from tests.facade import Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def put(client: httpx.AsyncClient, kind: str, id: str, **elements: Any) -> str:
    """When it was written."""
    await asyncio.sleep(0.002)  # lastUpdated counts milliseconds
    answer = await client.put(f"/fhir/{kind}/{id}", json={"resourceType": kind, "id": id, **elements})
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["meta"]["lastUpdated"])


async def delete(client: httpx.AsyncClient, kind: str, id: str) -> None:
    await asyncio.sleep(0.002)  # as in `put`
    assert (await client.delete(f"/fhir/{kind}/{id}")).is_success


async def pages(client: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    """The entries of all pages."""
    url: str | None = path
    found: list[dict[str, Any]] = []
    while url:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page.get("entry", [])
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return found


def told(entries: list[dict[str, Any]], mark: str) -> list[str]:
    """What the entries of the test say, e.g. `PUT Patient/a 2`."""
    shown = []
    for entry in entries:
        if mark in entry["fullUrl"]:
            address = "/".join(entry["fullUrl"].replace(mark, "").split("/")[-2:])
            shown.append(f"{entry['request']['method']} {address} {entry['response']['etag'][3:-1]}")
    return shown


@pytest.mark.parametrize(
    "asked",
    [
        "_sort=date",
        "_summary=some",
        "_elements=nonsense",
        "_count=x",
        "_since=never",
        "_at=ne2020",
        "_at=lt2020&_at=gt2021",
        "_list=$current-problems",
    ],
)
async def test_what_history_does_not_take_is_refused(client: httpx.AsyncClient, asked: str) -> None:
    for path in ("Patient/x/_history", "Patient/_history", "_history"):
        answer = await client.get(f"/fhir/{path}?{asked}")
        assert answer.status_code == 400, answer.text
        assert answer.json()["resourceType"] == "OperationOutcome"


async def test_versions_are_told_in_part_where_that_is_asked_for(client: httpx.AsyncClient, mark: str) -> None:
    for gender in ("male", "female"):
        body = {"resourceType": "Patient", "id": mark, "gender": gender, "birthDate": "2000"}
        await client.put(f"/fhir/Patient/{mark}", json=body)
    await client.delete(f"/fhir/Patient/{mark}")

    async def members(asked: str) -> list[list[str]]:
        found = (await client.get(f"/fhir/Patient/{mark}/_history?{asked}")).json()["entry"]
        return [sorted(set(entry.get("resource", ())) - {"resourceType", "id", "meta"}) for entry in found]

    assert await members("_elements=gender") == [[], ["gender"], ["gender"]]
    assert await members("_summary=text") == [[], [], []]
    assert await members("_summary=data") == [[], ["birthDate", "gender"], ["birthDate", "gender"]]
    counted = (await client.get(f"/fhir/Patient/{mark}/_history?_summary=count")).json()
    assert (counted["total"], "entry" in counted) == (3, False)


async def test_types_and_everything_have_a_history_in_pages(client: httpx.AsyncClient, mark: str) -> None:
    since = await put(client, "Organization", f"{mark}a", name="one")
    await put(client, "Practitioner", f"{mark}b")
    await put(client, "Organization", f"{mark}a", name="two")
    await delete(client, "Practitioner", f"{mark}b")

    everything = await pages(client, f"/fhir/_history?_since={quote(since)}&_count=2")
    of_type = await pages(client, f"/fhir/Organization/_history?_since={quote(since)}&_count=1")

    assert told(everything, mark) == [
        "DELETE Practitioner/b 2",
        "PUT Organization/a 2",
        "POST Practitioner/b 1",
        "POST Organization/a 1",
    ]
    assert "resource" not in everything[0]
    assert told(of_type, mark) == ["PUT Organization/a 2", "POST Organization/a 1"]


async def test_a_time_shows_what_was_current_then(client: httpx.AsyncClient, mark: str) -> None:
    times = [await put(client, "Organization", f"{mark}a", name=name) for name in ("one", "two", "three")]
    since, moment = quote(times[0]), times[1]

    async def names(path: str, at: str) -> list[str]:
        entries = await pages(client, f"/fhir/{path}_history?_at={quote(at)}&_since={since}")
        return [entry["resource"]["name"] for entry in entries if mark in entry["fullUrl"]]

    for path in (f"Organization/{mark}a/", "Organization/", ""):
        assert await names(path, moment) == ["two"]
        assert await names(path, "2001") == []
        assert await names(path, f"ge{moment}") == ["three", "two"]
        assert await names(path, f"lt{moment}") == ["one"]


async def test_a_total_is_told_where_all_is_seen(client: httpx.AsyncClient, mark: str) -> None:
    since = await put(client, "Organization", f"{mark}a", name="one")
    await put(client, "Organization", f"{mark}a", name="two")

    async def total(path: str) -> Any:
        return (await client.get(f"/fhir/{path}")).json().get("total")

    assert await total(f"Organization/{mark}a/_history") == 2
    assert await total(f"Organization/{mark}a/_history?_count=1") == 2
    assert await total(f"Organization/_history?_since={quote(since)}&_count=100") == 2


async def test_head_answers_like_get_without_the_body(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Organization", f"{mark}a", name="one")

    for path in (f"Organization/{mark}a", f"Organization/{mark}a/_history/1", f"Organization?_id={mark}a"):
        head, get = await client.head(f"/fhir/{path}"), await client.get(f"/fhir/{path}")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
        assert head.headers.get("ETag") == get.headers.get("ETag")
    absent = await client.head(f"/fhir/Organization/{mark}none")
    assert (absent.status_code, absent.content) == (404, b"")


async def test_a_resource_that_the_caller_has_is_not_sent_again(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Organization", f"{mark}a", name="one")
    path = f"/fhir/Organization/{mark}a"
    first = await client.get(path)

    async def status(header: str, value: str, where: str = path) -> tuple[int, bytes]:
        answer = await client.get(where, headers={header: value})
        return answer.status_code, answer.content[:1]

    when = first.headers["Last-Modified"]
    assert await status("If-None-Match", first.headers["ETag"]) == (304, b"")
    assert await status("If-None-Match", 'W/"7", W/"1"') == (304, b"")
    assert await status("If-None-Match", first.headers["ETag"], f"{path}/_history/1") == (304, b"")
    assert await status("If-None-Match", 'W/"7"') == (200, b"{")
    assert await status("If-Modified-Since", when) == (304, b"")
    assert await status("If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT") == (200, b"{")
    assert await status("If-Modified-Since", "nonsense") == (200, b"{")


async def test_the_version_of_a_deletion_is_gone(client: httpx.AsyncClient, mark: str) -> None:
    path = f"/fhir/Organization/{mark}a"
    await put(client, "Organization", f"{mark}a", name="one")
    await client.delete(path)
    gone = [(await client.get(f"{path}{version}")).status_code for version in ("", "/_history/2", "/_history/1")]
    await put(client, "Organization", f"{mark}a", name="two")

    assert gone == [410, 410, 200]
    assert (await client.get(f"{path}/_history/2")).status_code == 410
    assert (await client.get(f"{path}/_history/7")).status_code == 404


async def test_whoever_saw_a_resource_is_told_that_it_is_gone(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    """For everybody else it is not there, as if it never had been."""
    own, other, theirs = f"{mark}own", f"{mark}other", f"/fhir/Basic/{mark}b"
    for patient in (own, other):
        await put(client, "Patient", patient)
    await put(client, "Basic", f"{mark}b", code={"text": "x"}, subject={"reference": f"Patient/{own}"})
    await client.delete(theirs)
    paths = (theirs, f"{theirs}/_history/2", f"{theirs}/_history/1", f"{theirs}/_history")

    seen: dict[str, list[int]] = {}
    for patient in (own, other):
        async with await facade.client("patient/*.rs", patient=patient) as person:
            answers = [await person.get(path) for path in paths]
            absent = await person.get(f"{theirs}x")
        seen[patient] = [answer.status_code for answer in answers]

    assert seen == {own: [410, 410, 200, 200], other: [404] * 4}
    assert answers[0].text.replace(f"{mark}b", "?") == absent.text.replace(f"{mark}bx", "?")


async def test_nothing_foreign_leaves_with_a_history(facade: Facade, client: httpx.AsyncClient, mark: str) -> None:
    """An Organization belongs to nobody, unless it names a patient."""
    own, other = f"{mark}own", f"{mark}other"
    await put(client, "Patient", own)
    await put(client, "Patient", other)

    def about(patient: str) -> dict[str, Any]:
        return {"name": "x", "extension": [{"url": "urn:x", "valueReference": {"reference": f"Patient/{patient}"}}]}

    since = await put(client, "Organization", f"{mark}open", name="one")
    await put(client, "Organization", f"{mark}now", name="one")
    await put(client, "Organization", f"{mark}now", **about(other))
    await put(client, "Organization", f"{mark}once", **about(other))
    await put(client, "Organization", f"{mark}once", name="free")
    await put(client, "Organization", f"{mark}deleted", **about(other))
    await delete(client, "Organization", f"{mark}deleted")

    async with await facade.client("patient/*.rs", patient=own) as person:
        one_by_one = await pages(person, f"/fhir/Organization/_history?_since={quote(since)}&_count=1")
        first = (await person.get(f"/fhir/Organization/_history?_since={quote(since)}&_count=1")).json()
        instance = (await person.get(f"/fhir/Organization/{mark}once/_history")).json()
        foreign = await person.get(f"/fhir/Patient/{other}/_history")
        absent = await person.get(f"/fhir/Patient/{mark}none/_history")

    assert told(one_by_one, mark) == ["PUT Organization/once 2", "POST Organization/open 1"]
    assert "total" not in first
    assert told(instance["entry"], mark) == ["PUT Organization/once 2"]
    assert instance["total"] == 1
    assert (foreign.status_code, foreign.text.replace(other, "?")) == (404, absent.text.replace(f"{mark}none", "?"))


async def test_whoever_searches_only_sees_types_and_whoever_reads_only_sees_instances(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    await put(client, "Organization", f"{mark}a", name="one")

    async def statuses(scope: str) -> list[int]:
        async with await facade.client(scope) as service:
            paths = (f"Organization/{mark}a/_history", "Organization/_history?_count=1", "_history?_count=1")
            return [(await service.get(f"/fhir/{path}")).status_code for path in paths]

    assert await statuses("system/*.r") == [200, 403, 403]
    assert await statuses("system/Organization.s") == [403, 200, 200]
    assert await statuses("system/*.rs") == [200, 200, 200]


async def test_the_guards_of_the_engines_are_in_no_history(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    await put(client, "Patient", mark)
    since = await put(client, "Basic", f"{mark}seen", code={"text": "x"}, subject={"reference": f"Patient/{mark}"})
    guard = {
        "resourceType": "Basic",
        "id": f"{mark}guard",
        "code": {"coding": [{"code": "alert-guard"}]},
        "subject": {"reference": f"Patient/{mark}"},
    }
    ref = Ref("Basic", f"{mark}guard")
    await facade.ports.store.write([Write("put", ref, json.dumps(guard).encode(), guard)])
    await facade.ports.store.write([Write("delete", ref)])

    for path in ("", "Basic/"):
        entries = await pages(client, f"/fhir/{path}_history?_since={quote(since)}")
        assert told(entries, mark) == ["POST Basic/seen 1"]


async def test_a_history_is_audited_with_what_was_asked(facade: Facade, client: httpx.AsyncClient, mark: str) -> None:
    asked = {"X-Request-ID": mark}
    await client.get("/fhir/_history?_count=1", headers=asked)
    async with facade.anonymous as nobody:
        await nobody.get("/fhir/Patient/_history", headers=asked)

    lines = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("request_id", "=", mark), order=("id",)))

    assert {(line.action, line.outcome, line.query) for line in lines} == {
        ("history-system", "success", "_count=1"),
        ("history-type", "refused", None),
    }
    assert Principal("anonymous").kind in {line.actor for line in lines}


async def test_an_audit_event_has_the_one_version_it_was_made_with(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark)
    found = (await client.get(f"/fhir/AuditEvent?patient=Patient/{mark}&_count=1")).json()
    path = f"/fhir/AuditEvent/{found['entry'][0]['resource']['id']}/_history"

    totals = {asked: (await client.get(f"{path}?{asked}")).json()["total"] for asked in ("", "_at=ge2001", "_at=2001")}

    assert totals == {"": 1, "_at=ge2001": 1, "_at=2001": 0}
    assert (await client.get("/fhir/AuditEvent/_history")).status_code == 405
