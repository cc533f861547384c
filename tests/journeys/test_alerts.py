"""Readings beyond a limit become alerts on every way in, people work with them, and those who may hear of it at once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fhir_facade.adapters.locks import ProcessLocks
from fhir_facade.flows.load import load_files
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.events import Event
from fhir_facade.values import FhirRequest, Interaction, Principal
from tests.ward import RESTING, admitted, as_ndjson, bundle, facade_on

IMPORT = Principal("engine", name="import")
STORES = ["embedded", pytest.param("hapi", marks=pytest.mark.hapi)]


@pytest.fixture(params=STORES)
async def ward(request, tmp_path):
    async with facade_on(request.param, request, tmp_path) as facade:
        yield await admitted(facade)


# --- every way in ---------------------------------------------------------------------------------------------


async def _by_post(ward, _folder):
    await ward.post(ward.reading(140))


async def _by_put(ward, _folder):
    await ward.put(ward.reading(140, id=f"{ward.patient}-o"))


async def _by_patch(ward, _folder):
    stored = await ward.post(ward.reading(80))
    patch = [{"op": "replace", "path": "/valueQuantity/value", "value": 140}]
    content_type = {"Content-Type": "application/json-patch+json"}
    answer = await ward.system.patch(
        f"/fhir/Observation/{stored['id']}", content=json.dumps(patch), headers=content_type
    )
    assert answer.status_code == 200, answer.text


async def _by_bundle(ward, kind):
    other = ("PUT", f"Observation/{ward.patient}-t", ward.reading(20, code="39156-5", id=f"{ward.patient}-t"))
    body = bundle(kind, ("POST", "Observation", ward.reading(140)), other)
    answer = await ward.system.post("/fhir", json=body)
    assert answer.status_code == 200, answer.text
    assert all(entry["response"]["status"].startswith("201") for entry in answer.json()["entry"]), answer.text


async def _by_batch(ward, _folder):
    await _by_bundle(ward, "batch")


async def _by_transaction(ward, _folder):
    await _by_bundle(ward, "transaction")


async def _loaded(ward, file):
    results = [result async for result in load_files(ward.facade.ports, [file])]
    assert [result.refused for result in results] == [[]]


async def _by_ndjson(ward, folder):
    file = folder / "readings.ndjson"
    file.write_text(as_ndjson(ward.reading(80, 20, id=f"{ward.patient}-a"), ward.reading(140, id=f"{ward.patient}-b")))
    await _loaded(ward, file)


async def _by_imported_bundle(ward, folder):
    file = folder / "bundle.json"
    file.write_text(json.dumps(bundle("transaction", ("POST", "Observation", ward.reading(140)))))
    await _loaded(ward, file)


async def _by_vitals(ward, _folder):
    answer = await ward.system.post(f"/api/v1/patients/{ward.patient}/vitals", json={"heart_rate": 140})
    assert answer.status_code == 201, answer.text


async def _by_the_patient_with_an_app(ward, _folder):
    answer = await (await ward.person()).post("/fhir/Observation", json=ward.reading(140))
    assert answer.status_code == 201, answer.text


WAYS = [
    _by_post, _by_put, _by_patch, _by_batch, _by_transaction, _by_ndjson, _by_imported_bundle, _by_vitals,
    _by_the_patient_with_an_app,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__[1:])
async def test_a_reading_beyond_the_limit_is_an_alert_whichever_way_it_comes(ward, way, tmp_path):
    await way(ward, tmp_path)

    (issue,), (task,), (flag,) = await ward.find("DetectedIssue"), await ward.find("Task"), await ward.find("Flag")
    assert (issue["severity"], flag["status"], task["status"]) == ("high", "active", "requested")
    assert task["focus"]["reference"] == f"DetectedIssue/{issue['id']}"
    (alert,) = await ward.alerts()
    assert (alert["state"], alert["rule"], alert["observed"]) == ("new", "heart-rate-very-high", 140)


async def test_a_synchronised_wearable_raises_alerts_of_the_last_day_only(world):
    connection = await world.connect()

    await world.sync(connection)

    issues = {each["code"]["coding"][0]["code"]: each for each in await world.search("DetectedIssue", patient="p1")}
    assert issues.keys() == {"resting-heart-rate-high", "oxygen-saturation-low"}
    assert len(await world.search("Task", patient="p1")) == 2
    await world.sync(connection, full=True)
    assert len(await world.search("Task", patient="p1")) == 2


async def test_a_reading_within_the_limits_leaves_no_trace_of_the_engine(ward):
    await ward.post(ward.reading(80))

    assert await ward.alerts() == []
    assert (await ward.find("DetectedIssue"), await ward.find("Flag")) == ([], [])
    assert await ward.facade.ports.state.read(lambda tx: tx.count(Event, ("patient", "=", ward.patient))) == 0


async def test_a_refused_write_raises_nothing(ward):
    body = bundle(
        "transaction",
        ("POST", "Observation", ward.reading(140)),
        ("POST", "Observation", ward.reading(80, subject={"reference": "Patient/nobody-at-all"})),
    )

    answer = await ward.system.post("/fhir", json=body)

    assert answer.status_code in (400, 422)
    assert (await ward.alerts(), await ward.find("Observation")) == ([], [])


# --- when it opens, goes on and ends --------------------------------------------------------------------------


async def test_a_back_filled_reading_older_than_a_day_raises_nothing(ward):
    await ward.post(ward.reading(140, 25 * 60))
    assert await ward.states() == []

    await ward.post(ward.reading(140, 23 * 60))
    assert await ward.states() == ["new"]


async def test_an_alert_ends_at_its_own_limit_and_a_later_one_is_new(ward):
    seen = []
    for ago, value in ((9, 140), (8, 120), (7, 105), (6, 125), (5, 135)):
        await ward.post(ward.reading(value, ago))
        seen.append(await ward.states())

    assert seen == [["new"], ["new"], ["cleared-unacked"], ["cleared-unacked"], ["cleared-unacked", "new"]]
    assert Counter(await ward.flags()) == {"inactive": 1, "active": 1}


async def test_more_bad_readings_are_more_evidence_of_the_same_alert(ward):
    bad = [await ward.post(ward.reading(140 + minute, 9 - minute)) for minute in range(4)]

    (alert,) = await ward.alerts()
    assert alert["evidence"] == [f"Observation/{each['id']}" for each in bad]
    assert (alert["observed"], alert["version"]) == (143, "1")


@pytest.mark.parametrize("racers", [8, 16])
async def test_racing_readings_raise_one_alert(ward, racers):
    await asyncio.gather(*(ward.post(ward.reading(140 + number, number)) for number in range(racers)))

    (alert,) = await ward.alerts()
    assert (alert["state"], len(alert["evidence"])) == ("new", racers)
    assert len(await ward.find("Observation")) == racers


async def test_racers_that_share_no_lock_raise_one_alert_too(ward):
    """As between processes whose locks were lost: the version of the guard decides alone."""

    async def write(number):
        ports = replace(ward.facade.ports, locks=ProcessLocks())
        body = json.dumps(ward.reading(140, number)).encode()
        return await dispatch(ports, IMPORT, FhirRequest(Interaction.CREATE, "Observation", body=body))

    answers = await asyncio.gather(*(write(number) for number in range(8)))

    assert {answer.status for answer in answers} == {201}
    (alert,) = await ward.alerts()
    assert len(alert["evidence"]) == 8
    assert len(await ward.find("Flag")) == 1


async def test_good_and_bad_readings_that_race_end_as_their_times_say(ward):
    values = [80, 140] * 6 + [85]
    await asyncio.gather(*(ward.post(ward.reading(value, 30 - minute)) for minute, value in enumerate(values)))

    assert "new" not in await ward.states()
    assert "active" not in await ward.flags()


async def test_a_late_bad_reading_before_a_good_one_is_an_alert_that_is_over_already(ward):
    await ward.post(ward.reading(80, 5))
    await ward.post(ward.reading(140, 10))

    (alert,) = await ward.alerts()
    assert (alert["state"], alert["condition_active"], alert["open"]) == ("cleared-unacked", False, True)
    assert await ward.flags() == []


async def test_a_late_reading_completes_the_window_of_a_rule_on_a_mean(ward):
    for hours in (150, 120, 90, 60, 30):
        await ward.post(ward.pressure(140, hours * 60))
    await ward.post(ward.pressure(131, 1))
    (alert,) = await ward.alerts()
    assert (alert["rule"], alert["severity"]) == ("home-systolic-pressure-high", "low")
    assert alert["observed"] == pytest.approx((5 * 140 + 131) / 6, abs=0.01)
    assert await ward.flags() == []

    other = await admitted(ward.facade)
    for hours in (1, 150, 120, 90, 60):
        await other.post(other.pressure(140, hours * 60))
    assert await other.alerts() == []
    await other.post(other.pressure(140, 30 * 60))
    assert len(await other.alerts()) == 1


async def test_many_readings_of_one_transaction_are_judged_once_in_the_order_of_their_times(ward):
    values = [80, 90, 140, 150, 145, 100, 90]
    rows = [("POST", "Observation", ward.reading(value, 30 - minute)) for minute, value in enumerate(values)]
    answer = await ward.system.post("/fhir", json=bundle("transaction", *reversed(rows)))
    assert answer.status_code == 200, answer.text

    (alert,) = await ward.alerts()
    assert (alert["state"], alert["observed"]) == ("cleared-unacked", 145)
    (event,) = await ward.facade.ports.state.read(lambda tx: tx.find(Event, ("patient", "=", ward.patient)))
    assert event.kind == "raised"


async def test_a_daily_value_counts_until_the_day_of_the_patient_ends(ward):
    today = datetime.now(UTC).date()
    await ward.post(ward.reading(120, code=RESTING, effectiveDateTime=(today - timedelta(days=4)).isoformat()))
    assert await ward.alerts() == []

    await ward.post(ward.reading(120, code=RESTING, effectiveDateTime=today.isoformat()))
    (alert,) = await ward.alerts()
    assert alert["rule"] == "resting-heart-rate-high"


# --- corrections ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"valueQuantity": {"value": 80, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}}, id="corrected value"),
        pytest.param({"status": "entered-in-error"}, id="entered in error"),
        pytest.param({"code": {"text": "something else"}}, id="another code"),
        pytest.param({"subject": {"reference": "Patient/somebody-else"}}, id="another patient"),
    ],
)  # fmt: skip
async def test_an_alert_ends_when_its_reading_is_taken_back(ward, change):
    await ward.put({"resourceType": "Patient", "id": "somebody-else"})
    bad = await ward.post(ward.reading(140, 5))

    await ward.put({**bad, **change})

    assert await ward.states() == ["cleared-unacked"]
    assert await ward.flags() == ["inactive"]


async def test_an_alert_ends_when_its_last_reading_became_something_else(ward):
    first, second = await ward.post(ward.reading(140, 5)), await ward.post(ward.reading(145, 4))
    other = {"code": {"text": "something else"}}

    await ward.put({**second, **other})
    assert await ward.states() == ["new"]

    document = [{"op": "replace", "path": "/code", "value": other["code"]}]
    patched = await ward.system.patch(
        f"/fhir/Observation/{first['id']}", json=document, headers={"Content-Type": "application/json-patch+json"}
    )
    assert patched.status_code == 200
    assert await ward.states() == ["cleared-unacked"]


async def test_an_alert_goes_on_while_another_reading_shows_it(ward):
    first, second = await ward.post(ward.reading(140, 5)), await ward.post(ward.reading(145, 4))

    await ward.put({**second, "status": "entered-in-error"})
    assert await ward.states() == ["new"]

    await ward.put({**first, "status": "entered-in-error"})
    assert await ward.states() == ["cleared-unacked"]


async def test_a_reading_corrected_beyond_the_limit_raises_an_alert(ward):
    stored = await ward.post(ward.reading(80, 5))

    await ward.put(ward.reading(150, 5, id=stored["id"]))

    assert await ward.states() == ["new"]


async def test_a_reading_that_turns_out_to_be_somebody_elses_ends_the_alert(ward):
    other = await admitted(ward.facade)
    bad = await ward.post(ward.reading(140, 5))
    doctor = await ward.staff()

    moved = {**bad, "code": {"coding": [{"system": "http://loinc.org", "code": "11328-0"}]}}
    answer = await doctor.put(f"/fhir/Observation/{bad['id']}", json=moved)

    assert answer.status_code == 200, answer.text
    assert (await ward.states(), await other.states()) == (["cleared-unacked"], [])


async def test_a_reading_on_which_an_alert_rests_cannot_be_deleted(ward):
    bad, good = await ward.post(ward.reading(140, 5)), await ward.post(ward.reading(80, 50))

    refused = await ward.system.delete(f"/fhir/Observation/{bad['id']}")
    assert refused.status_code == 409
    assert "entered-in-error" in refused.text
    assert (await ward.system.delete(f"/fhir/Observation/{good['id']}")).status_code == 200
    assert await ward.states() == ["new"]


async def test_writing_the_same_reading_again_says_nothing_new(ward):
    body = ward.reading(140, 5, id=f"{ward.patient}-o")
    await ward.put(body)
    (alert,) = await ward.alerts()
    assert (await ward.act(ward.system, alert, "resolve")).status_code == 200

    await ward.put(body)

    assert await ward.states() == ["resolved"]


# --- what people do with it -----------------------------------------------------------------------------------


async def test_who_does_not_say_which_version_or_says_an_old_one_changes_nothing(ward):
    await ward.post(ward.reading(140))
    doctor = await ward.staff()
    (alert,) = await ward.alerts(doctor)

    blind = await doctor.post(f"/api/v1/alerts/{alert['id']}/acknowledge")
    first = await ward.act(doctor, alert, "acknowledge", note="On my way")
    second = await ward.act(doctor, alert, "respond")

    assert (blind.status_code, first.status_code, second.status_code) == (428, 200, 412)
    answer = first.json()
    assert (answer["state"], answer["owner"]) == ("acknowledged", f"Practitioner/{ward.doctor}")
    assert (answer["version"], first.headers["etag"]) == ("2", 'W/"2"')
    assert [note["text"] for note in answer["notes"]] == ["On my way"]
    (task,) = await ward.find("Task")
    assert (task["status"], task["owner"]["reference"]) == ("accepted", f"Practitioner/{ward.doctor}")


async def test_of_two_who_act_at_once_one_is_told_to_look_again(ward):
    await ward.post(ward.reading(140))
    (alert,) = await ward.alerts()

    answers = await asyncio.gather(*(ward.act(ward.system, alert, action) for action in ("acknowledge", "respond")))

    assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_what_is_not_possible_in_a_state_is_a_conflict_that_says_what_is(ward):
    await ward.post(ward.reading(140))
    (alert,) = await ward.alerts()
    acknowledged = (await ward.act(ward.system, alert, "acknowledge")).json()

    again = await ward.act(ward.system, acknowledged, "acknowledge")
    unknown = await ward.act(ward.system, acknowledged, "false-alarm", reason="bored")

    assert (again.status_code, unknown.status_code) == (409, 400)
    assert "possible now: respond, resolve, false-alarm" in again.json()["detail"]
    assert acknowledged["actions"] == ["respond", "resolve", "false-alarm"]


@pytest.mark.parametrize(
    ("action", "body", "verdict"),
    [
        ("resolve", {"reason": "true-actionable", "note": "Called the patient"}, "true-actionable"),
        ("resolve", {}, None),
        ("false-alarm", {"reason": "artefact"}, "artefact"),
        ("false-alarm", {}, "false-alarm"),
    ],
)
async def test_closing_an_alert_lowers_the_flag_and_the_next_bad_reading_is_a_new_alert(ward, action, body, verdict):
    await ward.post(ward.reading(140, 5))
    doctor = await ward.staff()
    (alert,) = await ward.alerts(doctor)

    closed = (await ward.act(doctor, alert, action, **body)).json()

    assert (closed["open"], closed["verdict"], closed["condition_active"]) == (False, verdict, False)
    assert await ward.flags() == ["inactive"]
    assert await ward.alerts(state="open") == []
    await ward.post(ward.reading(141, 4))
    assert [each["state"] for each in await ward.alerts(state="open")] == ["new"]
    assert Counter(await ward.flags()) == {"inactive": 1, "active": 1}


async def test_closing_the_task_over_fhir_is_the_same(ward):
    await ward.post(ward.reading(140, 5))
    (task,) = await ward.find("Task")
    state = {**task["businessStatus"], "coding": [{**task["businessStatus"]["coding"][0], "code": "resolved"}]}

    await ward.put({**task, "status": "completed", "businessStatus": state})

    assert (await ward.states(), await ward.flags()) == (["resolved"], ["inactive"])
    await ward.put({**task, "status": "completed", "businessStatus": state, "note": [{"text": "seen"}]})
    events = await ward.facade.ports.state.read(
        lambda tx: tx.find(Event, ("patient", "=", ward.patient), order=("id",))
    )
    assert [event.kind for event in events] == ["raised", "resolved"]
    await ward.post(ward.reading(141, 4))
    assert await ward.states() == ["resolved", "new"]


async def test_an_alert_of_somebody_else_is_not_there(ward):
    await ward.post(ward.reading(140))
    (alert,) = await ward.alerts()
    other = await admitted(ward.facade)
    for client in (await other.staff(), await other.person()):
        missing = {**alert, "id": "00000000-0000-0000-0000-000000000000"}
        foreign, absent = await ward.act(client, alert, "resolve"), await ward.act(client, missing, "resolve")
        shown = await client.get(f"/api/v1/alerts/{alert['id']}")

        assert (foreign.status_code, absent.status_code, shown.status_code) == (404, 404, 404)
        details = [answer.json()["detail"].replace(each["id"], "X") for answer, each in ((foreign, alert), (absent, missing))]  # fmt: skip
        assert details[0] == details[1]
        assert await ward.alerts(client) == []


async def test_a_task_that_is_no_alert_is_none(ward):
    task = await ward.post(
        {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "for": {"reference": f"Patient/{ward.patient}"},
        }
    )

    assert (await ward.system.get(f"/api/v1/alerts/{task['id']}")).status_code == 404
    assert await ward.alerts() == []


async def test_patients_see_their_alerts_and_close_none(ward):
    await ward.post(ward.reading(140))
    person = await ward.person()

    (alert,) = await ward.alerts(person)
    answer = await ward.act(person, alert, "resolve")

    assert (alert["severity"], alert["actions"], answer.status_code) == ("high", [], 403)


async def test_a_list_is_read_page_by_page(ward):
    for number in range(5):
        await ward.post(ward.reading(140, 20 - 2 * number))
        await ward.post(ward.reading(80, 19 - 2 * number))
    doctor = await ward.staff()
    seen, page = [], None
    while True:
        params = {"page": page} if page else {"state": "all", "limit": "2"}
        answer = (await doctor.get("/api/v1/alerts", params=params)).json()
        seen.append([alert["id"] for alert in answer["alerts"]])
        page = answer["next"]
        if page is None:
            break

    assert [len(each) for each in seen] == [2, 2, 1]
    assert len({id_ for each in seen for id_ in each}) == 5


# --- what it costs, what is kept ------------------------------------------------------------------------------


class CountedStore:
    """The real store, and how often it was asked."""

    def __init__(self, store):
        self._store = store
        self.asked = Counter()

    def __getattr__(self, name):
        self.asked[name] += 1
        return getattr(self._store, name)


async def _transaction(ward, *rows):
    store = CountedStore(ward.facade.ports.store)
    ports = replace(ward.facade.ports, store=store)
    body = json.dumps(bundle("transaction", *rows)).encode()
    await dispatch(ports, IMPORT, FhirRequest(Interaction.TRANSACTION, body=body))
    return store.asked


async def test_readings_that_no_rule_reads_ask_the_store_nothing(ward):
    rows = [("POST", "Observation", ward.reading(20, code="39156-5")) for _ in range(20)]

    assert await _transaction(ward, *rows) == {}


async def test_a_bulk_of_many_patients_asks_for_its_guards_together(ward):
    patients = [f"{ward.patient}-{number}" for number in range(60)]
    people = [("PUT", f"Patient/{each}", {"resourceType": "Patient", "id": each}) for each in patients]
    rows = [
        ("POST", "Observation", ward.reading(80, minute, subject={"reference": f"Patient/{each}"}))
        for each in patients
        for minute in range(3)
    ]

    asked = await _transaction(ward, *people, *rows)

    assert sum(asked.values()) <= 4


async def test_the_engine_is_one_device(ward):
    await ward.post(ward.reading(140))

    (issue,) = await ward.find("DetectedIssue")
    device = await ward.system.get(f"/fhir/{issue['author']['reference']}")

    assert (device.status_code, device.json()["meta"]["versionId"]) == (200, "1")


async def test_what_the_engine_writes_is_in_the_audit(ward):
    await ward.post(ward.reading(140))

    lines = await ward.facade.ports.state.read(
        lambda tx: tx.find(AuditLine, ("patient", "=", ward.patient), ("actor", "=", "alert-engine"))
    )

    assert {line.entity.partition("/")[0] for line in lines} == {"Basic", "DetectedIssue", "Task", "Flag"}
    assert {(line.action, line.outcome) for line in lines} == {("create", "success")}


async def test_events_are_references_and_codes(ward):
    bad = await ward.post(ward.reading(140.25, 5))
    (alert,) = await ward.alerts()
    await ward.act(ward.system, alert, "acknowledge", note="Frau Mustermann called")
    await ward.post(ward.reading(80, 3))

    events = await ward.facade.ports.state.read(
        lambda tx: tx.find(Event, ("patient", "=", ward.patient), order=("id",))
    )

    assert [(event.topic, event.kind) for event in events] == [("alert", kind) for kind in ("raised", "acknowledged", "cleared")]  # fmt: skip
    assert not any(text in event.data for event in events for text in ("140.25", "Mustermann", bad["id"], "doctor"))
    data = json.loads(events[0].data)
    assert data == {
        "patient": f"Patient/{ward.patient}",
        "task": f"Task/{alert['id']}",
        "issue": alert["issue"],
        "rule": "heart-rate-very-high",
        "severity": "high",
        "state": "new",
    }
