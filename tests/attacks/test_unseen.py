"""Looking at a record so that the patient is not told of it: what is answered about somebody is in the audit as theirs.

https://profiles.ihe.net/ITI/BALP/, 45 CFR 164.528 (accounting of disclosures)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio

from fhir_facade.errors import Forbidden
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import FhirStore
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import FhirRequest, Interaction, PatientId, Principal, Scope
from tests.attacks.conftest import AskedStore
from tests.attacks.hospital import JSON_PATCH, STORES, Hospital, bundle, entry, hospital_on

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURED = {"system": "https://example.org/codes", "code": "reading"}
STATS = "$stats?subject=Patient/{anna}&system=https://example.org/codes&code={code}&statistic=count"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES)
async def hospital(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hospital]:
    """The doctor cares for two, so that no limit of the token alone says whom a search is about."""
    async with hospital_on(request.param, request, tmp_path_factory.mktemp("hospital")) as opened:
        care = [{"reference": f"Practitioner/{opened.id('doctor')}"}]
        await opened.put({"resourceType": "Patient", "id": opened.id("carl"), "generalPractitioner": care})
        await opened.put(opened.reading("carl", id=opened.id("other")))
        yield opened


async def told(hospital: Hospital, *, rid: str) -> list[str | None]:
    """The patients in the lines of a request."""
    lines = await hospital.facade.ports.state.read(lambda tx: tx.find(AuditLine, ("request_id", "=", rid)))
    return [line.patient for line in lines]


def names(hospital: Hospital, text: str) -> str:
    return text.format(anna=hospital.id("anna"), own=hospital.id("own"), code="reading")


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("Observation/" + STATS, id="statistics"),
        pytest.param("Observation/" + STATS + "&include=true", id="statistics with what they were made of"),
        pytest.param("Observation/$lastn?subject=Patient/{anna}&code=none", id="that there is no last one"),
        pytest.param("Observation?subject=Patient/{anna}&code=reading&_summary=count", id="a count by subject"),
        pytest.param("Observation?subject:Patient._id={anna}&_count=0&_total=accurate", id="a count by a chain"),
        pytest.param("Observation?_filter=subject eq Patient/{anna}&_summary=count", id="a count by a filter"),
        pytest.param("Observation?subject=Patient/{anna}&code=none", id="that a search finds nothing"),
        pytest.param("Observation?_id={own}&code=reading&_summary=count", id="a count of one record"),
        pytest.param("Patient?_id={anna}&gender=female&_summary=count", id="a count of the patient"),
        pytest.param("Patient?_id={anna}&_has:Observation:patient:code=reading&_summary=count", id="a count by _has"),
        pytest.param("?_type=Patient&_id={anna}&_summary=count", id="a count of several types"),
        pytest.param("?_type=Observation&_id={own}&_summary=count", id="a count of one record of several types"),
        pytest.param("Observation/{own}/_history?_summary=count", id="how often a record was changed"),
        pytest.param("Observation/{own}/_history?_count=0", id="a history without entries"),
        pytest.param("Patient/{anna}/_history?_count=0", id="how often the patient was changed"),
    ],
)
async def test_a_look_that_the_patient_is_not_told_of(hospital: Hospital, address: str) -> None:
    rid = f"look-{abs(hash(address))}-{hospital.mark}"

    answer = await hospital.doctor.get(f"/fhir/{names(hospital, address)}", headers={"X-Request-Id": rid})

    assert answer.status_code == 200, answer.text
    assert await told(hospital, rid=rid) == [hospital.id("anna")]


REFUSED = [
    pytest.param("GET", "Observation/{own}", None, id="read"),
    pytest.param("GET", "Observation/{own}/_history/1", None, id="version"),
    pytest.param("GET", "Observation/{own}/_history", None, id="history"),
    pytest.param("PUT", "Observation/{own}", {"resourceType": "Observation"}, id="update"),
    pytest.param("DELETE", "Observation/{own}", None, id="deletion"),
    pytest.param("GET", "Observation/{own}/$meta", None, id="operation"),
    pytest.param("GET", "Observation?patient={anna}&code=reading", None, id="search"),
    pytest.param("DELETE", "Observation?subject=Patient/{anna}", None, id="condition"),
    pytest.param("GET", "Patient/{anna}/Observation", None, id="compartment"),
    pytest.param("DELETE", "Patient/{anna}", None, id="the patient"),
    pytest.param("POST", "", [("GET", "Observation/{own}")], id="entry of a batch"),
    pytest.param("POST", "", [("DELETE", "Observation/{own}")], id="entry of a transaction"),
]


@pytest.mark.parametrize(("method", "address", "content"), REFUSED)
async def test_what_the_scopes_of_an_app_forbid_as_a_look_that_the_patient_is_not_told_of(
    hospital: Hospital, request: pytest.FixtureRequest, method: str, address: str, content: Any
) -> None:
    rid = f"refused-{abs(hash(request.node.name))}-{hospital.mark}"
    app = await hospital.facade.client("user/Practitioner.rs", username=hospital.id("doctor"))
    if isinstance(content, list):
        kind = "batch" if content[0][0] == "GET" else "transaction"
        content = bundle(kind, *(entry(verb, names(hospital, url)) for verb, url in content))

    answer = await app.request(method, f"/fhir/{names(hospital, address)}", json=content, headers={"X-Request-Id": rid})

    assert "403" in f"{answer.status_code} {answer.text}", answer.text
    assert set(await told(hospital, rid=rid)) - {None} == {hospital.id("anna")}


NAMING_SEVERAL = [
    pytest.param("GET", "Observation?patient={anna},{carl}", None, id="search"),
    pytest.param("DELETE", "Observation?subject=Patient/{anna},Patient/{carl}", None, id="condition"),
    pytest.param("GET", "Appointment/{meeting}", None, id="record of both"),
]


@pytest.mark.parametrize(("method", "address", "content"), NAMING_SEVERAL)
async def test_a_refusal_about_several_patients_as_a_look_that_none_of_them_is_told_of(
    hospital: Hospital, request: pytest.FixtureRequest, method: str, address: str, content: Any
) -> None:
    rid = f"several-{abs(hash(request.node.name))}-{hospital.mark}"
    both = {hospital.id("anna"), hospital.id("carl")}
    people = [{"actor": {"reference": f"Patient/{id_}"}, "status": "accepted"} for id_ in sorted(both)]
    meeting = {"resourceType": "Appointment", "id": hospital.id("meeting"), "status": "proposed", "participant": people}
    await hospital.put(meeting)
    app = await hospital.facade.client("user/Practitioner.rs", username=hospital.id("doctor"))
    address = address.format(anna=hospital.id("anna"), carl=hospital.id("carl"), meeting=hospital.id("meeting"))

    answer = await app.request(method, f"/fhir/{address}", json=content, headers={"X-Request-Id": rid})

    assert answer.status_code == 403, answer.text
    assert sorted(map(str, await told(hospital, rid=rid))) == sorted(both)


@pytest.mark.parametrize("scope", ["user/*.rs", "user/Practitioner.rs"])
async def test_questions_that_name_thousands_fill_no_disk(hospital: Hospital, scope: str) -> None:
    """Each patient who is asked about has a line, and each line had the whole question."""
    rid, lines = f"thousands-{len(scope)}-{hospital.mark}", hospital.facade.ports.state.read
    app = await hospital.facade.client(scope, username=hospital.id("doctor"))
    many = [f"patient={','.join(f'p{start + at}' for at in range(400))}" for start in (0, 400)]
    one = f"{many[0]}&code={'x' * 20_000}"
    written = []
    for asked in ("&".join(many), one):
        form = {"Content-Type": "application/x-www-form-urlencoded", "X-Request-Id": rid}
        answer = await app.post("/fhir/Observation/_search", content=asked, headers=form)
        found = await lines(lambda tx: tx.find(AuditLine, ("request_id", "=", rid)))
        written.append((answer.status_code, len(found), sum(len(line.query or "") for line in found)))

    (status, few, size), (_, all_, more) = written
    assert (status, few) == (400 if scope == "user/*.rs" else 403, 1)
    assert size < 10_000
    assert (all_ - few, more < 500_000) == (400, True)


async def test_a_creation_that_names_thousands_fills_no_disk(hospital: Hospital) -> None:
    rid = f"invited-{hospital.mark}"
    people = [{"actor": {"reference": f"Patient/p{at}"}, "status": "accepted"} for at in range(1000)]
    meeting = {"resourceType": "Appointment", "status": "proposed", "participant": people}

    answer = await hospital.anna.post("/fhir/Appointment", json=meeting, headers={"X-Request-Id": rid})

    assert answer.status_code == 403, answer.text
    assert await told(hospital, rid=rid) == [None]


CREATIONS = [
    pytest.param("bert", "user/*.cruds", "a stranger", 403, id="of a stranger"),
    pytest.param("anna", "user/Practitioner.rs", "a reading", 403, id="beyond the scopes"),
    pytest.param("anna", "user/*.cruds", None, 422, id="that is not valid"),
]


@pytest.mark.parametrize("way", ["alone", "batch", "transaction"])
@pytest.mark.parametrize(("patient", "scope", "text", "status"), CREATIONS)
async def test_a_creation_that_is_refused_names_whom_its_body_names(
    hospital: Hospital, patient: str, scope: str, text: str | None, status: int, way: str
) -> None:
    """Whoever tries to plant something in a record is seen by whose it is, whether or not there is such a patient."""
    rid = f"planted-{patient}-{abs(hash(scope))}-{text is None}-{way}-{hospital.mark}"
    app = await hospital.facade.client(scope, username=hospital.id("doctor"))
    reading = hospital.reading(patient, valueString=text) if text else hospital.reading(patient, status="no status")
    sent = reading if way == "alone" else bundle(way, entry("POST", "Observation", reading))

    answer = await app.post(
        f"/fhir{'/Observation' if way == 'alone' else ''}", json=sent, headers={"X-Request-Id": rid}
    )

    assert str(status) in f"{answer.status_code} {answer.text}", answer.text
    assert set(await told(hospital, rid=rid)) - {None} == {hospital.id(patient)}


async def test_a_creation_names_nobody_in_the_name_of_a_stranger(hospital: Hospital) -> None:
    """Nobody fills the log of a patient without being known."""
    rid = f"anonymous-{hospital.mark}"

    answer = await hospital.facade.anonymous.post(
        "/fhir/Observation", json=hospital.reading("anna"), headers={"X-Request-Id": rid}
    )

    assert answer.status_code == 401
    assert not await hospital.facade.ports.state.read(
        lambda tx: tx.count(AuditLine, ("patient", "=", hospital.id("anna")), ("actor", "=", "anonymous"))
    )


@pytest.mark.parametrize("interaction", [Interaction.READ, Interaction.VREAD, Interaction.UPDATE, Interaction.DELETE])
async def test_the_question_whom_to_tell_of_a_refusal_as_a_sign_of_what_exists(
    hospital: Hospital, interaction: Interaction
) -> None:
    """What the store is asked is the same for what is foreign, own, deleted and absent, and so is the answer."""
    await hospital.put(hospital.reading("bert", id=hospital.id("went")))
    await hospital.service.delete(f"/fhir/Observation/{hospital.id('went')}")
    scopes = (Scope("patient", "Patient", frozenset("cruds")),)
    anna = Principal("patient", patient=PatientId(hospital.id("anna")), scopes=scopes)
    asked, errors = [], []

    for name in ("absent", "foreign", "own", "went"):
        store = AskedStore(hospital.facade.ports.store)
        wanted = FhirRequest(interaction, "Observation", hospital.id(name), version="1")
        with pytest.raises(Forbidden) as error:
            await dispatch(replace(hospital.facade.ports, store=cast("FhirStore", store)), anna, wanted)
        asked.append(store.asked)
        errors.append(str(error.value))

    assert asked == [["read"]] * 4
    assert len(set(errors)) == 1


async def test_labels_of_a_type_as_a_look_that_the_patient_is_not_told_of(hospital: Hospital) -> None:
    rid, label = f"labels-{hospital.mark}", {"system": "https://example.org/labels", "code": "HIV"}
    await hospital.put(hospital.reading("carl", id=hospital.id("labelled"), meta={"security": [label]}))

    answer = await hospital.doctor.get("/fhir/Observation/$meta", headers={"X-Request-Id": rid})

    assert "HIV" in answer.text
    assert hospital.id("carl") in await told(hospital, rid=rid)


@pytest.mark.parametrize("client", ["doctor", "service"])
async def test_a_count_by_subject_of_who_sees_more(hospital: Hospital, client: str) -> None:
    rid = f"count-{client}-{hospital.mark}"
    address = names(hospital, "/fhir/Observation?subject={anna}&_summary=count")

    await getattr(hospital, client).get(address, headers={"X-Request-Id": rid})

    assert await told(hospital, rid=rid) == [hospital.id("anna")]


CONDITION = "Observation?patient={anna}&code=none"
ALONE: list[Any] = [
    pytest.param("DELETE", None, {}, id="delete"),
    pytest.param("PATCH", [], JSON_PATCH, id="patch"),
    pytest.param("PUT", {}, {"If-Match": 'W/"9"'}, id="update"),
]


async def conditional(hospital: Hospital, method: str, content: Any, headers: dict[str, str]) -> httpx.Response:
    body = hospital.reading("anna") if content == {} else content
    address = f"/fhir/{names(hospital, CONDITION)}"
    return await hospital.doctor.request(method, address, json=body, headers=headers)


@pytest.mark.parametrize(("method", "content", "headers"), ALONE)
async def test_a_condition_without_a_match_as_a_question_nobody_hears(
    hospital: Hospital, method: str, content: Any, headers: dict[str, str]
) -> None:
    rid = f"condition-{method}-{hospital.mark}"

    answer = await conditional(hospital, method, content, {**headers, "X-Request-Id": rid})

    assert answer.status_code in (200, 404, 412), answer.text
    assert await told(hospital, rid=rid) == [hospital.id("anna")]


async def test_a_condition_in_a_transaction_as_a_question_nobody_hears(hospital: Hospital) -> None:
    rid = f"condition-together-{hospital.mark}"
    asked = bundle("transaction", entry("DELETE", names(hospital, CONDITION)))

    answer = await hospital.doctor.post("/fhir", json=asked, headers={"X-Request-Id": rid})

    assert answer.status_code == 200, answer.text
    assert await told(hospital, rid=rid) == [hospital.id("anna")]


async def test_a_conditional_reference_as_a_question_nobody_hears(hospital: Hospital) -> None:
    rid = f"reference-{hospital.mark}"
    derived = hospital.reading("anna", derivedFrom=[{"reference": names(hospital, CONDITION)}])
    asked = bundle("transaction", entry("POST", "Observation", derived))

    answer = await hospital.doctor.post("/fhir", json=asked, headers={"X-Request-Id": rid})

    assert answer.status_code == 404, answer.text
    assert await told(hospital, rid=rid) == [hospital.id("anna")]


# --- whose it is cannot be told ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "owner",
    [
        pytest.param({"identifier": {"system": "urn:example:mrn", "value": "1"}}, id="an identifier"),
        pytest.param({"display": "Bert"}, id="a name"),
    ],
)
async def test_a_device_whose_patient_is_not_named_by_a_reference(hospital: Hospital, owner: dict[str, Any]) -> None:
    device = hospital.id(f"pump-{next(iter(owner))}")
    await hospital.put({"resourceType": "Device", "id": device, "patient": owner})

    read = await hospital.anna.get(f"/fhir/Device/{device}")
    found = await hospital.anna.get(f"/fhir/Device?_id={device}")

    assert read.status_code == 404, read.text
    assert "entry" not in found.json()
