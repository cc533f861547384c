"""The attacks on FHIR APIs that are known to have worked elsewhere, each by its name and with the request that worked.

https://owasp.org/API-Security/editions/2023/en/0x11-t10/, "Playing with FHIR: Hacking and Securing FHIR APIs" (Knight,
2021), and the advisories and issues of other servers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.interactions.naming import ALL, look_again, look_through
from fhir_facade.rows import Put, Remove
from fhir_facade.rows.access import NamingLook, NamingType
from fhir_facade.values import FhirRequest, Interaction, PatientId, Principal, Scope
from tests.attacks.hospital import CODE, JSON_PATCH, SECRET, STORES, Hospital, bundle, entry, hospital_on

pytestmark = pytest.mark.asyncio(loop_scope="module")
REFUSED = {400, 403, 404, 405, 410, 412, 422, 501}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES)
async def hospital(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hospital]:
    async with hospital_on(request.param, request, tmp_path_factory.mktemp("hospital")) as opened:
        yield opened


def told(answer: httpx.Response, *ids: str) -> tuple[int, str, dict[str, str]]:
    """All that an answer tells, without what is different in every answer."""
    text = answer.text
    for id_ in ids:
        text = text.replace(id_, "…")
    quiet = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "content-length")}
    return answer.status_code, text, quiet


# --- playing with FHIR ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attacker", ["anna", "doctor"])
async def test_playing_with_fhir_every_address_with_the_ids_of_somebody_else(hospital: Hospital, attacker: str) -> None:
    """One login reached four million records, because only the client kept to its own ids."""
    client: httpx.AsyncClient = getattr(hospital, attacker)
    foreign, bert = hospital.id("foreign"), hospital.id("bert")
    asked: list[tuple[str, str, Any, dict[str, str]]] = [
        *(("GET", f"{kind}/{id_}{tail}", None, {}) for kind, id_ in (("Observation", foreign), ("Patient", bert))
          for tail in ("", "/_history", "/_history/1", "/$everything", "/$meta")),
        ("GET", f"Observation?patient={bert}", None, {}),
        ("GET", f"Observation?subject=Patient/{bert}", None, {}),
        ("GET", f"Observation?_id={foreign}", None, {}),
        ("GET", f"Patient?_id={bert}", None, {}),
        ("GET", f"Patient?name={SECRET}", None, {}),
        ("GET", f"Observation?patient={hospital.id('anna')},{bert}", None, {}),
        ("GET", f"Patient/{bert}/Observation", None, {}),
        ("GET", f"AuditEvent?patient={bert}", None, {}),
        ("GET", f"Observation/$lastn?patient={bert}&max=1", None, {}),
        ("PUT", f"Observation/{foreign}", hospital.reading("anna", id=foreign), {}),
        ("PATCH", f"Observation/{foreign}", [{"op": "replace", "path": "/status", "value": "amended"}], JSON_PATCH),
        ("DELETE", f"Observation/{foreign}", None, {}),
        ("POST", "", bundle("transaction", entry("GET", f"Observation/{foreign}")), {}),
        ("POST", "", bundle("batch", entry("GET", f"Patient/{bert}"), entry("GET", f"Condition?patient={bert}")), {}),
    ]  # fmt: skip

    answers = [await client.request(method, f"/fhir/{path}", json=body, headers=headers)
               for method, path, body, headers in asked]  # fmt: skip
    over_rest = await client.get(f"/api/v1/patients/{bert}/score")
    answers.append(await client.post("/fhir/Observation/_search", data={"patient": bert}))

    assert [
        answer.request.url.path
        for answer in (*answers, over_rest)
        if SECRET in answer.text.replace("name=" + SECRET, "")
    ] == []
    assert all(answer.status_code != 500 for answer in answers)
    assert over_rest.status_code == 404
    assert (await hospital.service.get(f"/fhir/Observation/{foreign}")).json()["status"] == "final"


# --- includes and hidden values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "Observation?_include=*",
        "Observation?_include=Observation:subject&_include:iterate=Patient:general-practitioner",
        "Observation?_include=Observation:performer&_revinclude:iterate=Observation:performer",
        "Practitioner?_revinclude=Observation:performer",
        "Practitioner?_revinclude=Patient:general-practitioner",
        "Practitioner?_revinclude=Observation:performer&_include:iterate=Observation:subject",
        "Patient?_revinclude=Observation:subject&_revinclude:iterate=Condition:subject",
    ],
)
async def test_include_revinclude_iterate_and_star_leak(hospital: Hospital, query: str) -> None:
    """Included resources came without the limit of the search (the includes of two servers and a gateway)."""
    for client in (hospital.anna, hospital.doctor):
        answer = await client.get(f"/fhir/{query}&_count=200")

        assert answer.status_code in {200, 400, 403}
        assert SECRET not in answer.text


async def a_hidden_place(hospital: Hospital) -> dict[str, str]:
    """A Location that names bert in an extension, one that names nobody and one that names anna; her own encounters
    are at the first, at the second, and at all three. Searched by what the first alone has."""
    ids = {
        name: hospital.id(name) for name in ("anna", "bert", "hidden", "open", "hers", "there", "here", "ward", "sub")
    }
    naming = {name: [{"url": "http://x.example/whose", "valueReference": {"reference": f"Patient/{ids[name]}"}}]
              for name in ("anna", "bert")}  # fmt: skip
    ward = {"resourceType": "Location", "id": ids["ward"], "name": f"Ward {hospital.mark}", "extension": naming["bert"]}
    place = {"resourceType": "Location", "name": f"Room {hospital.mark}"}
    await hospital.put(ward | {"alias": [SECRET]})
    await hospital.put(
        place | {"id": ids["hidden"], "extension": naming["bert"], "description": SECRET, "status": "active"}
    )
    await hospital.put(place | {"id": ids["open"], "status": "suspended"})
    await hospital.put(place | {"id": ids["hers"], "extension": naming["anna"], "status": "inactive"})
    await hospital.put(place | {"id": ids["sub"], "partOf": {"reference": f"Location/{ids['ward']}"}})
    for name, places in (
        ("there", ["hidden"]),
        ("here", ["open"]),
        ("all", ["hidden", "open", "hers"]),
        ("in", ["sub"]),
    ):
        encounter = {
            "resourceType": "Encounter",
            "id": hospital.id(name),
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/{ids['anna']}"},
            "location": [{"location": {"reference": f"Location/{ids[place]}"}} for place in places],
        }
        await hospital.put(encounter)
    return ids


async def test_a_chain_over_a_record_that_is_hidden_because_it_names_somebody(hospital: Hospital) -> None:
    """A shared record that names a stranger in an extension is hidden, and yet its contents could be asked for."""
    ids, mark = await a_hidden_place(hospital), hospital.mark
    all_of_them = {hospital.id(name) for name in ("here", "all")}
    expected = {
        f"Encounter?location.name=Room {mark}": all_of_them | {hospital.id("in")},
        f"Encounter?location:Location.name=Room {mark}&location.status=active": set(),
        f"Encounter?location._id={ids['hidden']}": set(),
        f"Encounter?location.status=suspended&location.name=Room {mark}": all_of_them,
        f"Encounter?location.name=Room {mark}&location.status=inactive": {hospital.id("all")},
        f"Encounter?location.partof.name=Ward {mark}": set(),
        f"Encounter?location.partof:Location._id={ids['ward']}": set(),
        f'Encounter?_filter=location.name eq "Ward {mark}" or _id eq {hospital.id("here")}': {hospital.id("here")},
        f"Encounter?_filter=location._id eq {ids['hidden']}": set(),
    }
    for client in (hospital.anna, hospital.doctor):
        assert (await client.get(f"/fhir/Location/{ids['hidden']}")).status_code == 404
        for query, names in expected.items():
            for more in ("", "&_total=accurate", "&_count=1&_total=accurate"):
                answer = await client.get(f"/fhir/{query}{more}")
                assert answer.status_code == 200, (query, answer.text)
                found = [each["resource"]["id"] for each in answer.json().get("entry", ())]
                assert set(found) <= names if "_count" in more else set(found) == names, (query, found)
                assert not more or answer.json()["total"] == len(names), query
    for query in (
        f"Location?_has:Location:partof:status=active&name=Ward {mark}",
        "Encounter?location:Location._has:Location:partof:status=active",
    ):
        assert (await hospital.anna.get(f"/fhir/{query}")).status_code == 403
    assert await hospital.count(hospital.service, f"Encounter?location._id={ids['hidden']}") == 2


async def test_a_chain_over_a_device_whose_patient_cannot_be_told(hospital: Hospital) -> None:
    """To a store a patient who is named by an identifier alone is none, so the device was taken for everybody's."""
    pump = {"resourceType": "Device", "id": hospital.id("pump"), "manufacturer": SECRET}
    await hospital.put(pump | {"patient": {"identifier": {"system": "urn:example:mrn", "value": "1"}}})
    await hospital.put(pump | {"id": hospital.id("scale"), "manufacturer": f"Scales {hospital.mark}"})
    for name in ("pump", "scale"):
        used = {"device": {"reference": f"Device/{hospital.id(name)}"}}
        await hospital.put(hospital.reading("anna", id=hospital.id(f"by-{name}"), **used))

    hidden = (f"device.manufacturer={SECRET}", f"device._id={hospital.id('pump')}")
    found = {query: await hospital.count(hospital.anna, f"Observation?{query}") for query in hidden}

    assert found == dict.fromkeys(hidden, 0)
    assert await hospital.count(hospital.anna, f"Observation?device.manufacturer=Scales {hospital.mark}") == 1


class Interrupted(Exception):
    """As when a process dies."""


async def test_a_chain_over_what_was_written_before_anybody_noted_whom_it_names(hospital: Hospital) -> None:
    """In a store that was filled by other means, or by a release from before there were notes."""
    ids, ports = await a_hidden_place(hospital), hospital.facade.ports
    hidden = f"/fhir/Encounter?location._id={ids['hidden']}"
    reversed_ = "/fhir/Location?_has:HealthcareService:location:active=true&_summary=count"
    told: list[str] = []

    def tell(name: str, amount: int) -> None:
        told.append(name)
        if name == "Location":
            raise Interrupted

    await ports.state.write(lambda tx: tx.apply(*(Remove(NamingType, (row.type,)) for row in tx.find(NamingType))))
    assert (await hospital.anna.get(hidden)).json()["total"] == 0
    assert (await hospital.anna.get(reversed_)).status_code == 403
    with pytest.raises(Interrupted):
        await look_through(ports, tell=tell)
    assert (await hospital.anna.get(hidden)).json()["total"] == 0
    assert (await hospital.anna.get(reversed_)).status_code == 403

    assert await look_through(ports, tell=lambda name, amount: told.append(name))

    assert "Practitioner" in told
    assert len(told) == len(set(told))
    assert (await hospital.anna.get(hidden)).json()["total"] == 0
    assert (await hospital.anna.get(reversed_)).status_code == 200
    assert await look_through(ports) == 0


async def test_a_chain_over_what_rows_from_an_older_backup_do_not_know(hospital: Hospital) -> None:
    """The records in the store are newer than the rows: the marks that came since are missing."""
    ids, ports = await a_hidden_place(hospital), hospital.facade.ports
    hidden = f"/fhir/Encounter?location._id={ids['hidden']}"
    reversed_ = "/fhir/Location?_has:HealthcareService:location:active=true&_summary=count"
    half_looked = [Put(NamingType(type=ALL)), Put(NamingLook(type="Location"))]
    marks = await ports.state.read(lambda tx: tx.find(NamingType))
    await ports.state.write(lambda tx: tx.apply(*(Remove(NamingType, (row.type,)) for row in marks), *half_looked))

    await look_again(ports)

    assert (await hospital.anna.get(hidden)).json()["total"] == 0
    assert (await hospital.anna.get(reversed_)).status_code == 403
    assert await look_through(ports)
    assert (await hospital.anna.get(hidden)).json()["total"] == 0
    assert (await hospital.anna.get(reversed_)).status_code == 200
    assert "Location" in await ports.state.present(NamingType, ("Location",))


def told_of_page(answer: httpx.Response, mark: str) -> tuple[int, list[str], list[str], Any]:
    """How many there are on a page, and what the page says of others."""
    body = answer.json()
    entries = [each["resource"]["id"] for each in body.get("entry", ())]
    return answer.status_code, entries, sorted(link["relation"] for link in body["link"]), body.get("total")


PAGES = ["&_count=1", "&_count=1&_sort=_lastUpdated", "&_count=1&_sort=-_lastUpdated", "&_count=1&_total=accurate"]


@pytest.mark.parametrize("more", PAGES)
async def test_where_a_page_ends_and_whether_another_follows_as_an_oracle_for_what_is_hidden(
    hospital: Hospital, more: str
) -> None:
    """What may not leave was left out of its page, which then was too short, or led to a page without anything."""
    ids = await a_hidden_place(hospital)
    people = [{"actor": {"reference": f"Patient/{ids[name]}"}, "status": "accepted"} for name in ("anna", "bert")]
    meeting = {"resourceType": "Appointment", "status": "proposed"}
    own, both = hospital.id("meeting"), hospital.id("meeting-of-both")
    await hospital.put(meeting | {"id": own, "participant": people[:1]})
    await hospital.put(meeting | {"id": both, "participant": people, "appointmentType": {"text": SECRET, **CODE}})
    code = "https://example.org/codes|reading"
    asked = {
        "Location?_id={open},{hidden}": "Location?_id={open},{open}-absent",
        '?_type=Location&_id={open},{hidden}': "?_type=Location&_id={open},{open}-absent",
        "?_type=Location,Organization&_id={open},{hidden}": "?_type=Location,Organization&_id={open},{open}-absent",
        "Location?_filter=_id eq {open} or (_id eq {hidden} and status eq active)":
            "Location?_filter=_id eq {open} or (_id eq {hidden} and status eq inactive)",
        "Appointment?_id={own},{both}": "Appointment?_id={own},{both}-absent",
        "Appointment?_filter=_id eq {own} or appointment-type eq " + code:
            "Appointment?_filter=_id eq {own} or appointment-type eq none",
        "Patient/{anna}/Appointment?_id={own},{both}": "Patient/{anna}/Appointment?_id={own},{both}-absent",
        "Patient/{anna}/*?_type=Appointment&_id={own},{both}": "Patient/{anna}/*?_type=Appointment&_id={own}",
    }  # fmt: skip
    for client in (hospital.anna, hospital.doctor):
        for fits, does_not in asked.items():
            if more != "&_count=1" and fits.startswith("Patient/"):
                continue
            pages = [
                await client.get(f"/fhir/{query.format(own=own, both=both, **ids)}{more}") for query in (fits, does_not)
            ]
            there, absent = (told_of_page(page, hospital.mark) for page in pages)
            assert there == absent, (fits, there, absent)
            assert len(there[1]) == 1, (fits, pages[0].text)


async def test_pages_of_a_history_as_an_oracle_for_what_is_hidden(hospital: Hospital) -> None:
    """A history had a link to more where only hidden records followed, and pages that were too short."""
    ids = await a_hidden_place(hospital)
    began = (await hospital.put({"resourceType": "Location", "id": hospital.id("first")}))["meta"]["lastUpdated"]
    whose = {
        "extension": [{"url": "http://x.example/whose", "valueReference": {"reference": f"Patient/{ids['bert']}"}}]
    }
    for name in ("a", "b", "shown", "c", "d", "shown", "e", "shown"):
        hides = {} if name == "shown" else whose
        await hospital.put({"resourceType": "Location", "id": hospital.id(name), **hides, "description": str(uuid4())})

    for count in (1, 2, 3, 4, 5):
        address, pages = f"/fhir/Location/_history?_count={count}&_since={quote(began)}", []
        while address:
            page = (await hospital.anna.get(address)).json()
            pages.append([each["resource"]["id"] for each in page.get("entry", ())])
            address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        shown = [hospital.id(name) for name in ("shown", "shown", "shown", "first")]
        assert pages == [shown[at : at + count] for at in range(0, 4, count)], (count, pages)


async def test_how_much_is_hidden_as_a_reason_to_refuse_what_includes_it(hospital: Hospital) -> None:
    """The bytes of what may not leave counted as bytes of the page: 413 where there was something."""
    ids, most = await a_hidden_place(hospital), hospital.facade.settings.max_page_bytes
    large = {"resourceType": "Location", "partOf": {"reference": f"Location/{ids['open']}"}}
    large["extension"] = [{"url": "http://x.example/whose", "valueReference": {"reference": f"Patient/{ids['bert']}"}}]
    await hospital.put(large | {"id": hospital.id("large"), "description": "x" * 200_000})
    caller = replace(hospital.facade.ports.deployment, max_page_bytes=100_000)
    ports = replace(hospital.facade.ports, deployment=caller)
    params = (("_id", ids["open"]), ("_revinclude", "Location:partof"))
    scopes = (Scope("patient", "*", frozenset("rs")),)
    anna = Principal("patient", patient=PatientId(ids["anna"]), scopes=scopes)

    answer = await dispatch(ports, anna, FhirRequest(Interaction.SEARCH_TYPE, "Location", params=params))

    assert most > 100_000
    assert len(json.loads(answer.body)["entry"]) == 1


async def test_the_pages_of_a_chain_over_what_is_partly_hidden_lead_to_the_end(hospital: Hospital) -> None:
    await a_hidden_place(hospital)
    answer = await hospital.anna.get(f"/fhir/Encounter?location.name=Room {hospital.mark}&_count=1")
    found = []
    while True:
        found += [each["resource"]["id"] for each in answer.json().get("entry", ())]
        following = [link["url"] for link in answer.json()["link"] if link["relation"] == "next"]
        if not following:
            break
        answer = await hospital.anna.get(following[0])

    assert sorted(found) == sorted(hospital.id(name) for name in ("here", "all", "in"))


@pytest.mark.parametrize(
    ("hit", "miss"),
    [
        ("Patient?_has:Observation:patient:value-string={secret}", "Patient?_has:Observation:patient:value-string=x"),
        ("Practitioner?_has:Observation:performer:value-string={secret}",
         "Practitioner?_has:Observation:performer:value-string=x"),
        ("Practitioner?_has:Observation:performer:subject:Patient.name={secret}",
         "Practitioner?_has:Observation:performer:subject:Patient.name=x"),
        ("Observation?subject:Patient.name={secret}", "Observation?subject:Patient.name=x"),
        ("Observation?subject:Patient._has:Condition:patient:code:text={secret}",
         "Observation?subject:Patient._has:Condition:patient:code:text=x"),
        ("Patient?_filter=name%20eq%20{secret}", "Patient?_filter=name%20eq%20x"),
        ("Patient?_list={bert}", "Patient?_list=nothing"),
        ("Observation?_list={bert}", "Observation?_list=nothing"),
        ("Patient?_text={secret}", "Patient?_text=x"),
        ("Patient?_content={secret}", "Patient?_content=x"),
        ("Patient?name:contains={secret}&_id={bert}", "Patient?name:contains=x&_id={bert}"),
        ("Patient?_source=x&name={secret}", "Patient?_source=x&name=x"),
        ("Observation?_sort=-value-string&value-string={secret}", "Observation?_sort=-value-string&value-string=x"),
    ],
)  # fmt: skip
async def test_has_chain_filter_list_and_text_as_an_oracle_for_hidden_values(
    hospital: Hospital, hit: str, miss: str
) -> None:
    """A search that matches a hidden record answered otherwise than one that matches nothing."""
    words = {"secret": SECRET, "bert": hospital.id("bert")}
    for client in (hospital.anna, hospital.doctor):
        hits = await client.get("/fhir/" + hit.format(**words))
        misses = await client.get("/fhir/" + miss.format(**words))

        assert hits.status_code == misses.status_code
        if hits.status_code == 200:
            assert hits.json()["total"] == misses.json()["total"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "Patient?_has:Observation:patient:value-string={secret}",
        "Practitioner?_has:Observation:performer:value-string={secret}",
        "Observation?subject:Patient.name={secret}",
        "Patient?name:contains={secret}&_id={bert}",
    ],
)
async def test_the_same_questions_are_answered_to_who_may_know(hospital: Hospital, query: str) -> None:
    asked = query.format(secret=SECRET, bert=hospital.id("bert"))

    assert await hospital.count(hospital.service, asked) >= 1


async def test_total_count_sort_and_next_link_as_an_oracle(hospital: Hospital) -> None:
    """Hidden matches were counted, or left a page half empty with a link to more."""
    for query in ("Observation?code=reading", "Patient?_lastUpdated=ge2000", "Condition?_lastUpdated=ge2000"):
        seen = await hospital.anna.get(f"/fhir/{query}&_count=50")
        own = len(seen.json().get("entry", ()))

        assert await hospital.count(hospital.anna, query) == own
        exact = (await hospital.anna.get(f"/fhir/{query}&_count={max(own, 1)}&_total=accurate")).json()
        assert exact["total"] == own
        assert [link["relation"] for link in exact["link"]] == ["self"]


@pytest.mark.parametrize(
    "headers",
    [
        {"If-None-Match": 'W/"1"'},
        {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
        {"If-Match": 'W/"1"'},
        {"If-Match": 'W/"9"'},
        {"Prefer": "return=OperationOutcome"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_etag_304_412_403_and_location_as_an_oracle(
    hospital: Hospital, method: str, headers: dict[str, str]
) -> None:
    """A condition was judged before the right to see the record."""
    foreign, absent = hospital.id("foreign"), hospital.id("absent")
    answers = []
    for id_ in (foreign, absent):
        body = hospital.reading("anna", id=id_) if method == "PUT" else None
        answers.append(await hospital.anna.request(method, f"/fhir/Observation/{id_}", json=body, headers=headers))

    assert told(answers[0], foreign) == told(answers[1], absent)


# --- pages ------------------------------------------------------------------------------------------------------


async def test_guessed_stolen_and_forged_page_links(hospital: Hospital) -> None:
    """A page was open to whoever knew or guessed its id."""
    for n in range(3):
        await hospital.put(hospital.reading("bert", id=hospital.id(f"page{n}"), note=[{"text": SECRET}]))
    page = (await hospital.bert.get("/fhir/Observation?_count=1")).json()
    link = next(each["url"] for each in page["link"] if each["relation"] == "next")
    forged = link[:-4] + ("AAAA" if not link.endswith("AAAA") else "BBBB")

    stolen = await hospital.anna.get(link)
    answers = [
        stolen,
        await hospital.bert.get(forged),
        await hospital.bert.get(link.replace("/Observation?", "/Condition?")),
        await hospital.anna.get(f"{link}&patient={hospital.id('bert')}"),
        await hospital.anna.get("/fhir?_getpages=00000000-0000-0000-0000-000000000000&_getpagesoffset=1"),
        await hospital.anna.get("/fhir/Observation?_getpages=00000000-0000-0000-0000-000000000000"),
    ]

    assert (await hospital.bert.get(link)).status_code == 200
    assert stolen.status_code == 410
    assert {answer.status_code for answer in answers} <= REFUSED
    assert not any(SECRET in answer.text for answer in answers)


# --- writing ----------------------------------------------------------------------------------------------------


async def test_own_patient_as_performer_pulls_nothing_into_the_own_compartment(hospital: Hospital) -> None:
    """Being named as performer, author or recipient counted as being whose record it is."""
    anna = {"reference": f"Patient/{hospital.id('anna')}"}
    id_ = hospital.id("performed")
    await hospital.put(hospital.reading("bert", id=id_, performer=[anna], focus=[anna], note=[{"text": SECRET}]))

    assert (await hospital.anna.get(f"/fhir/Observation/{id_}")).status_code == 404
    assert SECRET not in (await hospital.anna.get("/fhir/Observation?_count=100")).text
    assert SECRET not in (await hospital.anna.get(f"/fhir/Observation?performer={hospital.id('anna')}")).text


async def test_conditional_update_delete_and_create_by_broad_criteria(hospital: Hospital) -> None:
    """A condition was resolved with the rights of the server: it changed, deleted or told of foreign records."""
    foreign = hospital.id("foreign")
    hit, miss = f"value-string={SECRET}", "value-string=nothing-like-it"
    reading = hospital.reading("anna", valueString="new")
    answers = {}
    for name, condition in (("hit", hit), ("miss", miss)):
        created = await hospital.anna.post("/fhir/Observation", json=reading, headers={"If-None-Exist": condition})
        deleted = await hospital.anna.delete(f"/fhir/Observation?{condition}")
        together = await hospital.anna.post(
            "/fhir", json=bundle("transaction", entry("POST", "Observation", reading, ifNoneExist=condition))
        )
        answers[name] = [created.status_code, deleted.status_code, together.json()["entry"][0]["response"]["status"]]

    assert answers["hit"] == answers["miss"]
    assert (await hospital.service.get(f"/fhir/Observation/{foreign}")).status_code == 200


# --- pivots -----------------------------------------------------------------------------------------------------


async def test_patient_link_group_member_and_list_entry_as_a_pivot(hospital: Hospital) -> None:
    """A link between patients was followed into the other record."""
    anna, bert = ({"reference": f"Patient/{hospital.id(name)}"} for name in ("anna", "bert"))
    linked = hospital.id("linked")
    link = [{"other": bert, "type": "seealso"}]
    await hospital.put({"resourceType": "Patient", "id": linked, "link": link})
    app = await hospital.facade.client("patient/*.rs", patient=linked)
    group = {"resourceType": "Group", "id": hospital.id("group"), "type": "person", "actual": True}
    await hospital.put(group | {"member": [{"entity": anna}, {"entity": bert}]})
    record = {"resourceType": "List", "id": hospital.id("list"), "status": "current", "mode": "working"}
    await hospital.put(record | {"subject": anna, "entry": [{"item": bert}]})

    answers = [
        await app.get(f"/fhir/Patient/{hospital.id('bert')}"),
        await app.get(f"/fhir/Patient?_id={linked}&_include=Patient:link"),
        await app.get(f"/fhir/Patient?link={hospital.id('bert')}&_include=Patient:link"),
        await hospital.anna.get(f"/fhir/Group/{hospital.id('group')}"),
        await hospital.anna.get(f"/fhir/Group?member={hospital.id('anna')}&_include=Group:member"),
        await hospital.anna.get("/fhir/List?_include=List:item&_count=50"),
    ]

    assert not any(SECRET in answer.text for answer in answers)


async def test_history_after_an_owner_change(hospital: Hospital) -> None:
    """The right was judged by one version and given for all."""
    id_ = hospital.id("moved")
    await hospital.put(hospital.reading("bert", id=id_, note=[{"text": SECRET}]))
    await hospital.put(hospital.reading("anna", id=id_))

    versions = await hospital.anna.get(f"/fhir/Observation/{id_}/_history")

    assert versions.status_code == 200
    assert SECRET not in versions.text
    assert (await hospital.anna.get(f"/fhir/Observation/{id_}/_history/1")).status_code == 404
    assert (await hospital.bert.get(f"/fhir/Observation/{id_}/_history")).status_code == 404
    assert (await hospital.bert.get(f"/fhir/Observation/{id_}/_history/1")).status_code == 404


# --- what goes around FHIR --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"X-HTTP-Method-Override": "DELETE"},
        {"X-Cascade": "delete"},
        {"X-Rewrite-History": "true"},
        {"X-Retry-On-Version-Conflict": "retry; max-retries=100"},
        {"X-Upsert-Extistence-Check": "disabled"},
        {"X-Forwarded-Host": "elsewhere.example", "Forwarded": "host=elsewhere.example", "Host": "elsewhere.example"},
        {"X-Request-Tenant": "other"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_headers_that_switch_a_server_behind(hospital: Hospital, headers: dict[str, str]) -> None:
    """Headers of the client reached the server behind, or its links."""
    own = hospital.id("own")
    body = hospital.reading("anna", id=own, valueString="hers")

    answers = [
        await hospital.anna.post(f"/fhir/Observation/{own}", json=body, headers=headers),
        await hospital.anna.put(f"/fhir/Observation/{own}", json=body, headers=headers),
        await hospital.anna.get(f"/fhir/Observation?_id={own}", headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [405, 200, 200]
    assert "elsewhere.example" not in "".join(answer.text + str(answer.headers) for answer in answers)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "Observation?date=nonsense", None),
        ("GET", "Observation?value-quantity=x", None),
        ("POST", "Observation", {"resourceType": "Observation"}),
        ("POST", "Observation", {"resourceType": "Patient"}),
        ("PUT", "Observation/a%20b", {"resourceType": "Observation", "id": "a b"}),
        ("GET", "Nonsense/1", None),
        ("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {}}]}),
        ("GET", "Observation?code=" + "a," * 600, None),
        ("GET", "Observation?" + "code=a&" * 60, None),
        ("GET", "Observation?_count=-1", None),
    ],
)
async def test_error_texts_that_tell_of_the_server_behind(
    hospital: Hospital, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """Stack traces, SQL and addresses of the server behind were in the outcome."""
    answer = await hospital.anna.request(method, f"/fhir/{path}", json=body)

    assert answer.status_code in REFUSED
    told_of = ("HAPI-", "Traceback", "SELECT ", "java.", "org.h", "sqlite", hospital.facade.settings.hapi_url)
    assert [word for word in told_of if word in answer.text] == []
