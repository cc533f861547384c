"""`$everything` and the `$meta` operations on both stores."""

from __future__ import annotations

import pytest

from fhir_facade.rows.audit import AuditLine
from tests.facade import PUBLIC
from tests.journeys.operations.world import Bedside, Resource, ids, pages, parameters

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE = {"coding": [{"system": "urn:codes", "code": "a"}]}
ADDED = {"tag": [{"system": "urn:tags", "code": "x", "display": "X"}], "profile": ["urn:profile:1"]}


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        pytest.param("_cuont=2", 400, "_cuont", id="unknown parameter"),
        pytest.param("_type=Patient,Nothing", 400, "Nothing", id="unknown type"),
        pytest.param("start=2026-13", 400, "start", id="no such month"),
        pytest.param("start=2026-02&end=2026-01-15", 400, "start", id="end before start"),
        pytest.param("_since=yesterday", 400, "_since", id="no instant"),
        pytest.param("_count=0", 400, "_count", id="pages of nothing"),
        pytest.param("_page=abc", 410, "page link", id="page link of nobody"),
    ],
)
async def test_everything_names_what_is_wrong(bedside: Bedside, query: str, status: int, named: str) -> None:
    answer = await bedside.world.system.get(f"/fhir/Patient/{bedside.patient}/$everything?{query}")

    assert answer.status_code == status
    assert named in answer.json()["issue"][0]["diagnostics"]


async def record(bedside: Bedside) -> dict[str, str]:
    """A record with something of several types; the ids by what they are."""
    name = bedside.patient
    for kind, elements in (("Organization", {"name": "Clinic"}), ("Practitioner", {"active": True})):
        await bedside.world.put({"resourceType": kind, "id": f"{name}-{kind[:3]}"} | elements)
    by = {"performer": [{"reference": f"Practitioner/{name}-Pra"}, {"reference": bedside.reference}]}
    visit = {"status": "finished", "class": {"code": "AMB"}, "period": {"start": "2026-01-02", "end": "2026-01-02"}}
    at = {"serviceProvider": {"reference": f"Organization/{name}-Org"}}
    found = {"visit": (await bedside.post("Encounter", **visit, **at))["id"]}
    met = {"encounter": {"reference": f"Encounter/{found['visit']}"}}
    found["first"] = await bedside.mass(1, "2026-01-01", "a", **by)
    found["second"] = await bedside.mass(2, "2026-01-02", "a", **met)
    found["third"] = await bedside.mass(3, "2026-02-01", "a")
    found["recorded"] = (await bedside.post("Condition", code=CODE, recordedDate="2026-01-02"))["id"]
    found["dateless"] = (await bedside.post("Condition", code=CODE))["id"]
    return found | {"patient": name, "doctor": f"{name}-Pra", "clinic": f"{name}-Org"}


def modes(*bundles: Resource) -> dict[str, str]:
    return {entry["resource"]["id"]: entry["search"]["mode"] for one in bundles for entry in one.get("entry", ())}


async def test_everything_is_the_compartment_and_what_it_refers_to(bedside: Bedside) -> None:
    known = await record(bedside)
    path = f"/fhir/Patient/{bedside.patient}/$everything"

    (whole,) = await pages(bedside.world.system, path)
    paged = await pages(bedside.world.system, f"{path}?_count=2")

    assert ids(whole)[0] == bedside.patient, "the patient comes first"
    assert sorted(ids(whole)) == sorted(known.values()), "each once"
    assert {known[name] for name in ("doctor", "clinic")} == {id_ for id_, m in modes(whole).items() if m == "include"}
    assert whole["total"] == 7
    assert modes(*paged) == modes(whole)
    assert [len([m for m in modes(page).values() if m == "match"]) for page in paged] == [2, 2, 2, 1]
    assert "total" not in paged[0]


LIMITED = {
    "_type=Observation": ["first", "second", "third"],
    "_type=Encounter,Organization": ["visit", "clinic"],
    "_type=Practitioner": ["doctor"],
    "start=2026-01-02&end=2026-01-31": ["patient", "visit", "second", "recorded", "clinic"],
    "end=2026-01-01": ["patient", "first", "doctor"],
    "_since=2100-01-01T00:00:00Z": [],
}
"""What is found of the record by the query."""


async def test_everything_can_be_limited(bedside: Bedside) -> None:
    known = await record(bedside)
    for query, expected in LIMITED.items():
        found = await pages(bedside.world.system, f"/fhir/Patient/{bedside.patient}/$everything?{query}")
        assert sorted(ids(*found)) == sorted(known[name] for name in expected), query


async def test_a_page_belongs_to_its_caller_and_to_its_record(bedside: Bedside) -> None:
    await record(bedside)
    path = f"/fhir/Patient/{bedside.patient}/$everything"
    async with await bedside.world.person(bedside.patient) as person:
        links = (await person.get(f"{path}?_count=1")).json()["link"]
        link = next(one["url"] for one in links if one["relation"] == "next").removeprefix(PUBLIC)
        own = await person.get(link)
        foreign = await bedside.world.system.get(link)
        elsewhere = await person.get(link.replace("/$everything", "/_history"))
        more = await person.get(f"{link}&_count=50")

    assert [answer.status_code for answer in (own, foreign, elsewhere, more)] == [200, 410, 410, 400]


async def test_a_person_gets_the_own_record_and_nothing_of_others(bedside: Bedside) -> None:
    await record(bedside)
    other = await bedside.world.new_patient()
    foreign = await other.mass(1, "2026-01-01", "a", performer=[{"reference": bedside.reference}])
    async with await bedside.world.person(bedside.patient) as person:
        by_id = await pages(person, f"/fhir/Patient/{bedside.patient}/$everything")
        by_type = await pages(person, "/fhir/Patient/$everything")
        refused = await person.get(f"/fhir/Patient/{other.patient}/$everything")
    async with await bedside.world.facade.client("patient/Patient.rs", username=bedside.patient) as narrow:
        only = await pages(narrow, f"/fhir/Patient/{bedside.patient}/$everything")
    everybody = await pages(bedside.world.system, f"/fhir/Patient/{bedside.patient}/$everything")

    assert sorted(ids(*by_id)) == sorted(ids(*by_type))
    assert foreign not in ids(*by_id)
    assert foreign in ids(*everybody), "performed by the patient: in the compartment, about somebody else"
    assert refused.status_code == 404
    assert ids(*only) == [bedside.patient]


async def test_operations_are_entries_of_a_batch_and_stand_in_the_audit(bedside: Bedside) -> None:
    entries: list[Resource] = [
        {"request": {"method": "GET", "url": f"Patient/{bedside.patient}/$everything?_type=Patient"}},
        {"request": {"method": "GET", "url": "Patient/$nothing"}},
        {
            "request": {"method": "POST", "url": "Patient/$validate"},
            "resource": {"resourceType": "Patient", "gender": "x"},
        },
    ]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": entries}

    answer = (await bedside.world.system.post("/fhir", json=batch)).json()
    lines = await bedside.world.facade.ports.state.read(
        lambda tx: tx.find(AuditLine, ("patient", "=", bedside.patient))
    )

    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["200", "400", "200"]
    assert ids(answer["entry"][0]["resource"]) == [bedside.patient]
    assert answer["entry"][2]["resource"]["issue"][0]["expression"] == ["Patient.gender"]
    assert [(line.action, line.outcome) for line in lines if line.action.startswith("$")] == [
        ("$everything", "success")
    ]


async def test_everything_of_an_encounter_is_what_happened_there(bedside: Bedside) -> None:
    known = await record(bedside)
    path = f"/fhir/Encounter/{known['visit']}/$everything"

    found = await pages(bedside.world.system, path)
    limited = await pages(bedside.world.system, f"{path}?_type=Observation")

    assert sorted(ids(*found)) == sorted(known[name] for name in ("visit", "second", "patient", "clinic"))
    assert ids(*limited) == [known["second"]]
    assert (await bedside.world.system.get(f"{path}?start=2026")).status_code == 400


async def test_the_record_of_nobody_is_not_found(bedside: Bedside) -> None:
    assert (await bedside.world.system.get("/fhir/Patient/nobody/$everything")).status_code == 404
    assert (await bedside.world.system.get("/fhir/Encounter/none/$everything")).status_code == 404


# --- meta -------------------------------------------------------------------------------------------------------------


def returned(answer: Resource) -> Resource:
    (one,) = answer["parameter"]
    assert one["name"] == "return"
    return {name: value for name, value in one["valueMeta"].items() if name != "lastUpdated"}


async def test_meta_is_added_once_and_taken_away_again(bedside: Bedside) -> None:
    client, path = bedside.world.system, f"/fhir/Patient/{bedside.patient}"
    given = parameters(meta=("valueMeta", ADDED))

    added = (await client.post(f"{path}/$meta-add", json=given)).json()
    again = (await client.post(f"{path}/$meta-add", json=given)).json()
    read = (await client.get(f"{path}/$meta")).json()
    renamed = parameters(meta=("valueMeta", {"tag": [{"system": "urn:tags", "code": "x"}]}))
    left = (await client.post(f"{path}/$meta-delete", json=renamed)).json()
    resource = (await client.get(path)).json()

    assert returned(added) == returned(again) == returned(read) == {"versionId": "2"} | ADDED
    assert returned(left) == {"versionId": "3", "profile": ADDED["profile"]}
    assert (resource["meta"]["profile"], resource["active"]) == (ADDED["profile"], True)


async def test_a_version_keeps_its_meta(bedside: Bedside) -> None:
    client, path = bedside.world.system, f"/fhir/Patient/{bedside.patient}"
    given = parameters(meta=("valueMeta", {"tag": [{"system": "urn:kept", "code": bedside.patient}]}))
    await client.post(f"{path}/$meta-add", json=given)
    other = await bedside.world.new_patient()
    async with await bedside.world.person(other.patient) as person:
        foreign = await person.get(f"{path}/_history/1/$meta")

    known = {"If-None-Match": 'W/"1"'}
    before = (await client.get(f"{path}/_history/1/$meta", headers=known)).json()["parameter"][0]["valueMeta"]
    refused = await client.post(f"{path}/_history/1/$meta-add", json=given)

    assert (before["versionId"], "tag" in before) == ("1", False)
    assert (foreign.status_code, refused.status_code) == (404, 400)
    assert "never change" in refused.json()["issue"][0]["diagnostics"]


async def test_meta_of_a_type_is_what_is_in_use_there(bedside: Bedside) -> None:
    client = bedside.world.system
    tag = {"system": "urn:tags", "code": bedside.patient}
    path = f"/fhir/Patient/{bedside.patient}"
    await client.post(f"{path}/$meta-add", json=parameters(meta=("valueMeta", {"tag": [tag]})))
    async with await bedside.world.person((await bedside.world.new_patient()).patient) as other:
        foreign = (await other.get("/fhir/Patient/$meta")).json()
        whole = await other.get("/fhir/$meta")

    of_type, of_all = [(await client.get(f"/fhir{where}/$meta")).json() for where in ("/Patient", "")]

    assert tag in of_type["parameter"][0]["valueMeta"]["tag"]
    assert tag in of_all["parameter"][0]["valueMeta"]["tag"]
    assert foreign == {"resourceType": "Parameters"}
    assert whole.status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "named"),
    [
        pytest.param("GET", "$meta-add", None, 405, "POST", id="change by GET"),
        pytest.param("POST", "$meta-add", {"resourceType": "Parameters"}, 400, "meta", id="nothing to add"),
        pytest.param("POST", "$meta-add", ADDED | {"resourceType": "Basic"}, 400, "Parameters", id="no Parameters"),
        pytest.param("POST", "$meta-add", parameters(meta=("valueString", "x")), 400, "Meta", id="no Meta"),
        pytest.param(
            "POST", "$meta-delete", parameters(meta=("valueMeta", {"versionId": "1"})), 400, "versionId", id="version"
        ),
        pytest.param(
            "POST", "$meta-add", parameters(meta=("valueMeta", {"tag": "x"})), 400, "valueMeta.tag", id="malformed"
        ),
        pytest.param("GET", "$meta?colour=red", None, 400, "colour", id="unknown parameter"),
        pytest.param("GET", "$nothing", None, 400, "$everything, $meta", id="unknown operation"),
        pytest.param("GET", "$lastn", None, 400, "$everything, $meta", id="operation of another type"),
    ],
)
async def test_what_cannot_be_called_says_why(
    bedside: Bedside, method: str, path: str, body: Resource | None, status: int, named: str
) -> None:
    address = f"/fhir/Patient/{bedside.patient}/{path}"

    answer = await bedside.world.system.request(method, address, json=body)

    assert answer.status_code == status
    assert named in answer.json()["issue"][0]["diagnostics"]


async def test_who_may_not_change_a_record_may_not_change_its_meta(bedside: Bedside) -> None:
    given = parameters(meta=("valueMeta", ADDED))
    other = await bedside.world.new_patient()
    async with await bedside.world.person(bedside.patient, "patient/*.rs") as reader:
        unread = await reader.post(f"/fhir/Patient/{bedside.patient}/$meta-add", json=given)
    async with await bedside.world.facade.client("patient/*.cruds", username=bedside.patient) as writer:
        foreign = await writer.post(f"/fhir/Patient/{other.patient}/$meta-add", json=given)

    assert (unread.status_code, foreign.status_code) == (403, 404)
