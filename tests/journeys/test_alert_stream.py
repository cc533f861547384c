"""The live stream of alerts: replay after a restart and from another process, for those who may see the patient."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx
import pytest

from fhir_facade.api.listeners import MOST as STREAMS
from fhir_facade.app import open_ports
from fhir_facade.errors import BadRequest, Forbidden, NotFound
from fhir_facade.flows.accounts import NewAccount, add_account, disable_account
from fhir_facade.flows.alert_stream import BEGINNING, admit_listener, alert_stream, place_of, place_text
from fhir_facade.flows.launch.tokens import mint_token
from fhir_facade.flows.launch.verify import verify_access_token
from fhir_facade.flows.load import load_files
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.events import Event
from fhir_facade.settings import Settings
from tests.facade import facade_env, served
from tests.patience import PATIENCE_S
from tests.ward import PASSWORD, admitted, as_ndjson, facade_on

STORES = ["embedded", pytest.param("hapi", marks=pytest.mark.hapi)]


@pytest.fixture(params=STORES)
async def ward(request, tmp_path):
    async with facade_on(request.param, request, tmp_path) as facade:
        yield await admitted(facade)


def _holder(client):
    return client.headers["authorization"].removeprefix("Bearer ")


@asynccontextmanager
async def listening(ports, token, **options):
    """What the holder of a token hears, as a queue; None at the end of the stream."""
    heard = asyncio.Queue()

    async def listen():
        stream = alert_stream(ports, lambda: verify_access_token(ports, token), **options)
        async for told in stream:
            heard.put_nowait(told)
        heard.put_nowait(None)

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def heard(queue, count):
    async with asyncio.timeout(PATIENCE_S):
        return [await queue.get() for _ in range(count)]


async def _events(ports):
    return await ports.state.read(lambda tx: tx.find(Event, order=("id",)))


async def test_who_listens_hears_what_happens_in_order(ward):
    doctor = await ward.staff()
    before = max((event.id for event in await _events(ward.facade.ports)), default=0)
    async with listening(ward.facade.ports, _holder(doctor), after=before) as queue:
        await ward.post(ward.reading(140, 5))
        (alert,) = await ward.alerts(doctor)
        await ward.act(doctor, alert, "acknowledge")
        await ward.post(ward.reading(80, 3))
        told = await heard(queue, 3)

    assert [each.kind for each in told] == ["raised", "acknowledged", "cleared"]
    assert [each.id for each in told] == sorted(each.id for each in told)
    assert {each.data["task"] for each in told} == {f"Task/{alert['id']}"}


async def test_every_event_given_out_is_in_the_audit_before(ward):
    doctor = await ward.staff()
    async with listening(ward.facade.ports, _holder(doctor), after=0) as queue:
        await ward.post(ward.reading(140, 5))
        (told,) = await heard(queue, 1)
        where = (("actor", "=", ward.doctor), ("detail", "=", "alert event, raised"))
        lines = await ward.facade.ports.state.read(lambda tx: tx.find(AuditLine, *where))

    assert [(line.entity, line.patient, line.outcome) for line in lines] == [
        (told.data["task"], ward.patient, "success")
    ]


async def test_what_others_patients_do_is_not_heard(ward):
    other = await admitted(ward.facade)
    doctor, person = await ward.staff(), await ward.person()
    ports = ward.facade.ports
    async with (
        listening(ports, _holder(doctor), after=0) as first,
        listening(ports, _holder(person), after=0) as second,
    ):
        await other.post(other.reading(140))
        await ward.post(ward.reading(140))
        told = [*await heard(first, 1), *await heard(second, 1)]

    assert {each.data["patient"] for each in told} == {f"Patient/{ward.patient}"}


async def test_one_patient_can_be_listened_to(ward):
    other = await admitted(ward.facade)
    async with listening(ward.facade.ports, _holder(ward.system), after=0, patient=ward.patient) as queue:
        await other.post(other.reading(140))
        await ward.post(ward.reading(140))
        (told,) = await heard(queue, 1)

    assert told.data["patient"] == f"Patient/{ward.patient}"


async def test_nobody_is_admitted_to_a_foreign_patient_or_without_the_right_to_read_tasks(ward):
    ports = ward.facade.ports
    other = await admitted(ward.facade)
    doctor = await verify_access_token(ports, _holder(await other.staff()))
    narrow = await verify_access_token(ports, await ward.facade.token("patient/Observation.rs", patient=ward.patient))

    messages = []
    for patient in (ward.patient, "nobody-at-all"):
        with pytest.raises(NotFound) as refused:
            await admit_listener(ports, doctor, patient)
        messages.append(str(refused.value).replace(patient, "X"))
    with pytest.raises(Forbidden):
        await admit_listener(ports, narrow, None)

    assert messages[0] == messages[1]


async def test_who_is_disabled_hears_nothing_more(ward):
    doctor = await ward.staff()
    async with listening(ward.facade.ports, _holder(doctor), after=0) as queue:
        await disable_account(ward.facade.ports, ward.doctor)
        await ward.post(ward.reading(140))

        assert await heard(queue, 1) == [None]


async def test_a_patient_who_left_a_doctors_care_is_heard_no_more(ward):
    doctor = await ward.staff()
    async with listening(ward.facade.ports, _holder(doctor), after=0) as queue:
        await ward.post(ward.reading(140, 5))
        await heard(queue, 1)
        await ward.put({"resourceType": "Patient", "id": ward.patient})
        await ward.post(ward.reading(80, 3))
        kept = await admitted(ward.facade)
        await ward.put(
            {
                "resourceType": "Patient",
                "id": kept.patient,
                "generalPractitioner": [{"reference": f"Practitioner/{ward.doctor}"}],
            }
        )
        await kept.post(kept.reading(140))
        (told,) = await heard(queue, 1)

    assert told.data["patient"] == f"Patient/{kept.patient}"


async def test_an_id_from_before_a_restored_backup_is_no_reason_to_hear_nothing(ward):
    async with listening(ward.facade.ports, _holder(ward.system), after=10**9, patient=ward.patient) as queue:
        await asyncio.sleep(0)
        await _begun(ward.facade.ports)
        await ward.post(ward.reading(140))
        (told,) = await heard(queue, 1)

    assert told.kind == "raised"


async def test_a_place_tells_nobody_how_much_happened_to_others(ward):
    """Neither does it open to a number: whoever could try numbers would find that of an event of their own."""
    ports = ward.facade.ports
    assert place_of(ports, BEGINNING) == 0
    texts = [place_text(ports, event) for event in (17, 17, 10**12)]
    assert [place_of(ports, text) for text in texts] == [17, 17, 10**12]
    assert len({len(text) for text in texts}) == 1
    assert texts[0] != texts[1]
    for unknown in ("17", "00", "", "yesterday", "\u00b2", "A" * len(texts[0]), texts[0][:-1]):
        with pytest.raises(BadRequest):
            place_of(ports, unknown)


async def _begun(ports):
    """Give a listener the time of a few questions to the database."""
    for _ in range(5):
        await ports.state.read(lambda tx: tx.count(Event))


# --- the real serve process -----------------------------------------------------------------------------------


class Listener:
    """An HTTP client of the stream: events as (place, name, data), None when the stream ended."""

    def __init__(self, url, token, last=None, after=None):
        self._headers = {"Authorization": f"Bearer {token}"} | (
            {"Last-Event-ID": str(last)} if last is not None else {}
        )
        self._url = f"{url}/api/v1/alerts/stream" + (f"?after={after}" if after is not None else "")
        self.queue = asyncio.Queue()
        self.open = asyncio.Event()

    async def __aenter__(self):
        self._task = asyncio.create_task(self._listen())
        async with asyncio.timeout(PATIENCE_S):
            await self.open.wait()
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _listen(self):
        with suppress(httpx.TransportError):
            async with (
                httpx.AsyncClient(timeout=None) as client,
                client.stream("GET", self._url, headers=self._headers) as answer,
            ):
                assert answer.headers["content-type"].startswith("text/event-stream")
                await self._read(answer)
        self.queue.put_nowait(None)

    async def _read(self, answer):
        event = {}
        async for line in answer.aiter_lines():
            self.open.set()
            name, _, value = line.partition(": ")
            if line:
                event[name] = value
            elif "data" in event:
                self.queue.put_nowait((event["id"], event["event"], json.loads(event["data"])))
                event = {}


@dataclass
class Home:
    """A deployment with patient p1 in the care of doctor d1, and tokens of the doctor and of a service."""

    env: dict[str, str]
    settings: Settings
    doctor: str
    system: str


@pytest.fixture
async def home(tmp_path):
    env = facade_env(tmp_path / "data")
    settings = Settings(data_dir=tmp_path / "data", public_url=env["FHIR_FACADE_PUBLIC_URL"])
    async with open_ports(settings) as ports:
        file = tmp_path / "people.ndjson"
        care = {"generalPractitioner": [{"reference": "Practitioner/d1"}]}
        people = ({"resourceType": "Practitioner", "id": "d1"}, {"resourceType": "Patient", "id": "p1", **care})
        file.write_text(as_ndjson(*people))
        assert [loaded.refused async for loaded in load_files(ports, [file])] == [[]]
        await add_account(ports, NewAccount("doctor", "practitioner", PASSWORD, practitioner_id="d1"))
        doctor = await mint_token(ports, scope="user/*.cruds", username="doctor")
        system = await mint_token(ports, scope="system/*.cruds")
    return Home(env, settings, doctor, system)


async def _bad_reading(url, token, value=140, patient="p1"):
    async with httpx.AsyncClient(
        base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S
    ) as client:
        answer = await client.post(f"/api/v1/patients/{patient}/vitals", json={"heart_rate": value})
        assert answer.status_code == 201, answer.text


async def test_what_was_missed_is_replayed_after_the_process_was_killed_and_from_another_process(home, tmp_path):
    with served(home.env, tmp_path / "log") as first:
        async with Listener(first.url, home.doctor) as listener:
            await _bad_reading(first.url, home.system)
            ((seen, name, data),) = await heard(listener.queue, 1)
        await _bad_reading(first.url, home.system, 80)
        first.kill()

    with served(home.env, tmp_path / "log") as second:
        async with Listener(second.url, home.doctor, last=seen) as listener:
            ((missed, _, cleared),) = await heard(listener.queue, 1)
        async with open_ports(home.settings, guest=True) as ports:
            before, at = place_of(ports, seen), place_of(ports, missed)
            async with listening(ports, home.doctor, after=before) as queue:
                (replayed,) = await heard(queue, 1)
                await _bad_reading(second.url, home.system)
                (live,) = await heard(queue, 1)
        async with (
            Listener(second.url, home.doctor, after=missed) as first_look,
            Listener(second.url, home.doctor, after=missed, last=seen) as again,
        ):
            ((_, _, begun),) = await heard(first_look.queue, 1)
            ((same, _, gone_on),) = await heard(again.queue, 1)

    assert (begun["kind"], begun["task"], gone_on["kind"]) == ("raised", live.data["task"], "cleared")
    assert (name, data["kind"], data["rule"], data["state"]) == ("alert", "raised", "heart-rate-very-high", "new")
    assert (cleared["kind"], at > before) == ("cleared", True)
    assert same == missed  # whoever is told of it again knows it again
    assert (replayed.id, replayed.kind, live.kind, live.id > at) == (at, "cleared", "raised", True)


async def test_who_left_a_stream_takes_no_place_any_more(home, tmp_path):
    with served(home.env, tmp_path / "log") as facade:
        answers = []
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {home.doctor}"}, timeout=PATIENCE_S) as client:
            for _ in range(2 * STREAMS):  # as pages do that are looked at and left
                async with client.stream("GET", f"{facade.url}/api/v1/alerts/stream") as answer:
                    answers.append(answer.status_code)
                    await anext(answer.aiter_lines())

    assert answers == [200] * len(answers)


async def test_streams_end_when_the_user_is_disabled_and_when_the_server_stops(home, tmp_path):
    with served(home.env, tmp_path / "log") as facade:
        async with open_ports(home.settings, guest=True) as ports:
            person = await mint_token(ports, scope="patient/*.rs", patient="p2")
            async with Listener(facade.url, home.doctor) as listener:
                await disable_account(ports, "doctor")
                assert await heard(listener.queue, 1) == [None]
        path = f"{facade.url}/api/v1/alerts/stream"
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {person}"}, timeout=PATIENCE_S) as client:
            foreign = await client.get(path, params={"patient": "p1"})
            unreadable = [await client.get(path, headers={"Last-Event-ID": place}) for place in ("yesterday", "17")]
            unsigned = await client.get(path, headers={"Authorization": f"Bearer {home.doctor}"})
        async with Listener(facade.url, person) as listener:
            facade.process.terminate()
            assert await heard(listener.queue, 1) == [None]
            assert await asyncio.to_thread(facade.process.wait, PATIENCE_S) == 0

    assert (foreign.status_code, unsigned.status_code) == (404, 401)
    assert {answer.status_code for answer in unreadable} == {400}
    assert "Traceback" not in (tmp_path / "log").read_text()
