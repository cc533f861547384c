"""Batches: each entry is on its own, answers in its place, and asks for no more than the answer can hold."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest

from fhir_facade.app import create_app
from fhir_facade.ports import FhirStore
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import FhirRequest, Ref, StoredResource
from tests.facade import PUBLIC, Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"max_batch_entries": 60, "max_batch_bytes": 60_000, "max_transaction_bytes": 90_000}


def entry(method: str, url: str, resource: Any = None, **request: str) -> Any:
    content = {"resource": resource} if resource is not None else {}
    return content | {"request": {"method": method, "url": url, **request}}


def patient(mark: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:test", "value": mark}], **elements}


async def send(client: httpx.AsyncClient, *entries: Any, **headers: str) -> httpx.Response:
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    return await client.post("/fhir", json=bundle, headers=headers)


async def answers(client: httpx.AsyncClient, *entries: Any, **headers: str) -> list[Any]:
    answer = await send(client, *entries, **headers)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "batch-response"
    assert len(bundle["entry"]) == len(entries)
    found: list[Any] = bundle["entry"]
    return found


def statuses(entries: list[Any]) -> list[str]:
    return [each["response"]["status"][:3] for each in entries]


async def test_each_entry_is_done_or_refused_by_itself(client: httpx.AsyncClient, mark: str) -> None:
    await client.put(f"/fhir/Patient/{mark}", json=patient(mark, id=mark))
    condition = f"identifier=urn:test|{mark}"

    found = await answers(
        client,
        entry("GET", f"Patient/{mark}"),
        entry("GET", f"Patient/{mark}", ifNoneMatch='W/"1"'),
        entry("GET", f"Patient?{condition}"),
        entry("GET", f"Patient/{mark}/_history"),
        entry("GET", "Patient/_history?_count=1"),
        entry("GET", "$versions"),
        entry("POST", "Patient", patient(mark), ifNoneExist=condition),
        entry("POST", "Patient", {"resourceType": "Patient", "nonsense": 1}),
        entry("PUT", f"Patient/{mark}", patient(mark, id=mark), ifMatch='W/"9"'),
        entry("GET", "Patient/none-at-all"),
        entry("GET", "Nothing/x"),
        entry("POST", "/", {"resourceType": "Bundle", "type": "batch"}),
        entry("DELETE", "Patient"),
    )

    assert statuses(found) == [
        *("200", "304", "200", "200", "200", "200", "200"),
        *("422", "412", "404", "400", "400", "400"),
    ]
    assert [each["resource"]["resourceType"] for each in found[2:6]] == ["Bundle"] * 3 + ["Parameters"]
    assert found[0]["response"]["etag"] == 'W/"1"'
    assert "resource" not in found[1]
    assert found[6]["response"]["location"] == f"Patient/{mark}/_history/1"
    assert all(each["response"]["outcome"]["issue"][0]["diagnostics"] for each in found[7:])


async def test_an_entry_that_cannot_be_read_spoils_no_other(client: httpx.AsyncClient, mark: str) -> None:
    await client.put(f"/fhir/Patient/{mark}-gone", json=patient(mark, id=f"{mark}-gone"))
    await client.delete(f"/fhir/Patient/{mark}-gone")
    about = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}

    found = await answers(
        client,
        "no entry",
        {"resource": patient(mark)},
        entry("BREW", "Patient"),
        entry("DELETE", ""),
        {"request": {"method": 5, "url": "Patient"}},
        entry("GET", "Patient", ifModifiedSince="yesterday"),
        entry("POST", "Observation", about | {"subject": {"reference": f"Patient/{mark}-gone"}}),
        entry("POST", "Observation", about | {"subject": {"reference": f"Patient/{mark}-never"}}),
        entry("PUT", f"Patient/{mark}", patient(mark, id=mark)),
    )

    assert statuses(found) == ["400"] * 8 + ["201"]
    codes = [each["response"]["outcome"]["issue"][0]["code"] for each in found[:8]]
    assert codes == ["invalid"] * 6 + ["processing"] * 2


async def test_entries_are_conditional_as_alone(client: httpx.AsyncClient, mark: str) -> None:
    condition = f"identifier=urn:test|{mark}"

    (created,) = await answers(client, entry("PUT", f"Patient?{condition}", patient(mark)))
    (changed,) = await answers(client, entry("PUT", f"Patient?{condition}", patient(mark, gender="male")))
    (removed,) = await answers(client, entry("DELETE", f"Patient?{condition}"))

    assert statuses([created, changed, removed]) == ["201", "200", "200"]
    assert (await client.get(f"/fhir/Patient?{condition}")).json()["total"] == 0


def observation(subject: str, value: str) -> dict[str, Any]:
    about = {"code": {"text": "x"}, "subject": {"reference": subject}}
    return {
        "resourceType": "Observation",
        "status": "final",
        "identifier": [{"system": "urn:test", "value": value}],
        **about,
    }


async def test_entries_on_the_same_resource_happen_in_their_order(client: httpx.AsyncClient, mark: str) -> None:
    own, number = f"Patient/{mark}", f"{mark}-n"
    once = {"ifNoneExist": f"identifier=urn:test|{number}"}

    found = await answers(
        client,
        entry("GET", own),
        entry("PUT", own, patient(mark, id=mark)),
        entry("PUT", own, patient(mark, id=mark, gender="male")),
        entry("POST", "Observation", observation(own, number), **once),
        entry("POST", "Observation", observation(own, number), **once),
        entry("GET", own),
        entry("GET", f"Observation?subject={own}&_summary=count"),
        entry("PUT", own, patient(mark, id=mark, gender="female")),
        entry("DELETE", f"Observation?identifier=urn:test|{number}"),
        entry("DELETE", own),
        entry("GET", own),
    )

    assert statuses(found)[:8] == ["404", "201", "200", "201", "200", "200", "200", "200"]
    assert statuses(found)[10:] == ["410"]
    assert found[3]["response"]["location"] == found[4]["response"]["location"]
    assert found[5]["resource"]["gender"] == "male"
    assert found[6]["resource"]["total"] == 1
    versions = (await client.get(f"/fhir/{own}/_history")).json()["entry"]
    assert [each["resource"]["gender"] if "resource" in each else None for each in versions[:2]] == [None, "female"]


async def test_of_many_entries_that_are_written_together_each_has_its_own_outcome_and_line(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    await client.put(f"/fhir/Patient/{mark}", json=patient(mark, id=mark))
    bad = {11: f"Patient/{mark}-none", 12: "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"}
    entries = [
        entry("POST", "Observation", observation(bad.get(number, f"Patient/{mark}"), f"{mark}-{number}"))
        for number in range(40)
    ]
    entries[20] = entry("PUT", f"Patient/{mark}", patient(mark, id=mark), ifMatch='W/"9"')
    entries[30] = entry("POST", "Observation", {"resourceType": "Observation", "status": "nonsense"})

    found = await answers(client, *entries, **{"X-Request-ID": mark})

    expected = dict.fromkeys(range(40), "201") | {11: "400", 20: "412", 30: "422"}
    expected[12] = statuses(found)[12]  # of another server for all that is known, as when it is sent alone
    assert statuses(found) == list(expected.values())
    alone = await client.post("/fhir/Observation", json=entries[12]["resource"])
    assert expected[12] == str(alone.status_code)
    lines = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("request_id", "=", mark), order=("id",)))
    success = [line for line in lines if line.outcome == "success"]
    assert len(success) == list(expected.values()).count("201")
    assert {line.patient for line in success} <= {mark, None}
    assert sorted(line.detail or "" for line in lines if line.outcome != "success") == sorted(
        f"{status} {code}" for status, code in (("400", "processing"), ("412", "conflict"), ("422", "invalid"))
    )
    stored = {each["response"]["location"] for each in found if "location" in each["response"]}
    assert len(stored) == list(expected.values()).count("201")
    total = await client.get(f"/fhir/Observation?subject=Patient/{mark}&_summary=count")
    assert total.json()["total"] == 36


@pytest.mark.parametrize("pretty", ["", "?_pretty=true"], ids=["in parts", "whole"])
async def test_an_answer_of_many_parts_is_one_bundle(client: httpx.AsyncClient, mark: str, pretty: str) -> None:
    await client.put(f"/fhir/Patient/{mark}", json=patient(mark, id=mark, name=[{"text": "ä" * 3_000}]))
    entries = [entry("GET", f"Patient/{mark}") for _ in range(9)] + ["no entry"]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}

    answer = await client.post(f"/fhir{pretty}", json=bundle)

    assert statuses(answer.json()["entry"]) == ["200"] * 9 + ["400"]
    assert answer.headers["content-encoding"] == "gzip"
    assert ("content-length" in answer.headers) is not (len(answer.content) > 65_536 and not pretty)


async def test_answers_are_as_long_as_preferred(client: httpx.AsyncClient, mark: str) -> None:
    own = entry("PUT", f"Patient/{mark}", patient(mark, id=mark))

    (short,) = await answers(client, own)
    (whole,) = await answers(client, own, Prefer="return=representation")
    (told,) = await answers(client, own, Prefer="return=OperationOutcome")
    (gone,) = await answers(client, entry("DELETE", f"Patient/{mark}"), Prefer="return=representation")

    assert ("resource" in short, "outcome" in short["response"]) == (False, False)
    assert whole["resource"]["id"] == mark
    assert ("resource" in told, told["response"]["outcome"]["resourceType"]) == (False, "OperationOutcome")
    assert "resource" not in gone


async def test_what_is_too_much_is_refused_with_the_limit(client: httpx.AsyncClient, mark: str) -> None:
    many = await send(client, *(entry("GET", f"Patient/{mark}") for _ in range(61)))
    large = await send(client, entry("POST", "Patient", patient(mark, name=[{"text": "x" * 65_000}])))

    assert (many.status_code, large.status_code) == (413, 413)
    assert "60" in many.text
    assert "60000" in large.text


async def test_an_answer_that_is_full_reads_no_more_but_writes_all(client: httpx.AsyncClient, mark: str) -> None:
    await client.put(f"/fhir/Patient/{mark}", json=patient(mark, id=mark, name=[{"text": "x" * 9_000}]))
    reads = [entry("GET", f"Patient/{mark}") for _ in range(40)]

    found = await answers(client, *reads, entry("POST", "Patient", patient(f"{mark}-late")))

    assert set(statuses(found[:6])) == {"200"}
    assert set(statuses(found[20:40])) == {"413"}
    assert statuses(found[40:]) == ["201"]


async def test_each_entry_is_within_the_callers_rights_and_in_the_audit(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    own, other = f"{mark}a", f"{mark}b"
    for each in (own, other):
        await client.put(f"/fhir/Patient/{each}", json=patient(each, id=each))

    async with await facade.client("patient/*.rs", patient=own) as person:
        found = await answers(
            person,
            entry("GET", f"Patient/{own}"),
            entry("GET", f"Patient/{other}"),
            entry("GET", "Binary/_history"),
            entry("DELETE", f"Patient?identifier=urn:test|{other}"),
            **{"X-Request-ID": mark},
        )

    lines = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("request_id", "=", mark), order=("id",)))
    assert statuses(found) == ["200", "404", "403", "403"]
    assert {(line.action, line.outcome) for line in lines} == {
        ("read", "success"),
        ("read", "refused"),
        ("history-type", "refused"),
        ("delete", "refused"),
    }
    assert (await client.get(f"/fhir/Patient/{other}")).status_code == 200


class _BrokenReads:
    """The real store but for its reads, which have a defect."""

    def __init__(self, store: FhirStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def read(self, ref: Ref) -> StoredResource:
        raise ZeroDivisionError


async def test_a_defect_is_told_in_the_place_of_its_entry(
    facade: Facade, client: httpx.AsyncClient, mark: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are done, and the answer may have begun."""
    app = create_app(facade.settings, replace(facade.ports, store=cast("FhirStore", _BrokenReads(facade.ports.store))))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC, headers=client.headers) as other:
        answer = await send(other, entry("GET", f"Patient/{mark}"), entry("POST", "Patient", patient(mark)))

    failed, done = answer.json()["entry"]
    issue = failed["response"]["outcome"]["issue"][0]
    assert (answer.status_code, statuses([failed, done])) == (200, ["500", "201"])
    assert (issue["code"], answer.headers["x-request-id"] in issue["diagnostics"]) == ("exception", True)
    assert [record.message for record in caplog.records if record.exc_info] == ["entry.defect"]


async def test_a_refused_entry_does_not_keep_the_bundle_in_memory(client: httpx.AsyncClient, mark: str) -> None:
    """Without a garbage collection, which may be long in coming."""
    wrong = entry("POST", "Patient", patient(mark, gender=mark))
    gc.disable()
    try:
        answer = await send(client, wrong)
        kept = [each for each in gc.get_objects() if isinstance(each, FhirRequest) and mark.encode() in each.body]
    finally:
        gc.enable()

    assert answer.json()["entry"][0]["response"]["status"].startswith("422")
    assert kept == []
