"""Faults can be switched on, one call long or until reset, and every request can be read back."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys

import httpx
import pytest

from fhir_facade.simulator.app import create_simulator
from fhir_facade.simulator.faults import Fault
from tests.patience import PATIENCE_S

_DAY = 'daily_respiratory_rate.date >= "2026-11-20" AND daily_respiratory_rate.date < "2026-11-21"'


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "meteorite"}, id="unknown kind"),
        pytest.param({"kind": "gone", "colour": "red"}, id="unknown member"),
        pytest.param({}, id="no kind"),
        pytest.param({"kind": "correct", "where": "steps"}, id="correction of nobody"),
        pytest.param({"kind": "vanish", "where": "steps", "account": "a", "date": "soon"}, id="no date"),
        pytest.param({"kind": "vanish", "where": "steps", "account": "a", "date": 5}, id="a number for a date"),
        pytest.param({"kind": "gone", "where": "moon"}, id="unknown place"),
        pytest.param({"kind": "gone", "times": "x"}, id="a text for a number"),
        pytest.param({"kind": "gone", "page": "x"}, id="a text for a page"),
        pytest.param({"kind": "slow", "seconds": "x"}, id="a text for seconds"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(person, fault):
    assert (await person.fault(**fault)).status_code == 400


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("unauthorized", 401),
        ("missing-scope", 403),
        ("forbidden", 403),
        ("not-linked", 400),
        ("gone", 410),
        ("throttled", 429),
        ("server-error", 500),
    ],
)
async def test_a_refusing_fault_hits_once_and_is_gone(person, kind, status):
    await person.sign_in()
    await person.fault(kind=kind)

    answers = [(await person.points("weight")).status_code for _ in range(2)]

    assert answers == [status, 200]


async def test_a_fault_can_stay_until_reset(person):
    await person.sign_in()
    await person.fault(kind="server-error", times=-1)
    spoilt = [(await person.points("weight")).status_code for _ in range(3)]
    await person.http.delete("/simulator/faults")

    assert spoilt == [500, 500, 500]
    assert (await person.points("weight")).status_code == 200


async def test_a_fault_can_last_for_some_calls_of_one_place(person):
    await person.sign_in()
    await person.fault(kind="gone", times=2, where="weight", account="alex@example.com")

    seen = [(await person.points(name)).status_code for name in ("sleep", "weight", "weight", "weight")]

    assert seen == [200, 410, 410, 200]


@pytest.mark.parametrize("retry_after", ["7", 7])
async def test_retry_after_is_sent_only_when_asked(person, retry_after):
    await person.sign_in()
    await person.fault(kind="throttled", retry_after=retry_after)
    await person.fault(kind="throttled")

    first, second = await person.points("weight"), await person.points("weight")

    assert first.headers["retry-after"] == "7"
    assert "retry-after" not in second.headers


async def test_a_dead_grant_can_be_played_at_the_token_endpoint(person):
    tokens = await person.tokens()
    await person.fault(kind="invalid-grant", where="token")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    client = {"client_id": "fhir-facade", "client_secret": "simulator-secret"}

    refused = await person.http.post("/token", data={**form, **client})

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await person.http.post("/token", data={**form, **client})).status_code == 200


async def test_answers_can_be_garbage_empty_or_cut(person):
    await person.sign_in()
    for kind in ("garbage", "empty", "truncated"):
        await person.fault(kind=kind)

    garbage, empty, cut = [await person.points("weight") for _ in range(3)]

    assert {each.status_code for each in (garbage, empty, cut)} == {200}
    assert garbage.text.startswith("<html>")
    assert empty.content == b""
    with pytest.raises(json.JSONDecodeError):
        cut.json()


async def test_a_partial_page_ends_in_a_link_that_cannot_be_read(person):
    await person.sign_in()
    whole = (await person.points("weight")).json()["dataPoints"]
    await person.fault(kind="partial-page")

    half = (await person.points("weight")).json()

    assert half["dataPoints"] == whole[: len(whole) // 2]
    assert (await person.points("weight", pageToken=half["nextPageToken"])).status_code == 400


async def test_an_empty_page_may_be_followed_by_the_data(person):
    await person.sign_in()
    await person.fault(kind="empty-page", page=1)

    page = (await person.points("weight")).json()

    assert page.keys() == {"nextPageToken"}
    assert (await person.points("weight", pageToken=page["nextPageToken"])).json()["dataPoints"]


async def test_a_fault_can_wait_for_the_second_page(person):
    await person.sign_in()
    await person.fault(kind="server-error", page=2)

    first = await person.points("sleep")

    assert first.status_code == 200
    assert (await person.points("sleep", pageToken=first.json()["nextPageToken"])).status_code == 500


async def test_an_answer_can_be_slow(person):
    await person.sign_in()
    await person.fault(kind="slow", seconds=30)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(person.points("weight"), 0.05)


async def test_a_day_can_be_corrected_and_a_record_can_vanish(person):
    await person.sign_in()
    before = (await person.rollup("steps", "2026-11-20", "2026-11-21")).json()["rollupDataPoints"][0]
    await person.fault(kind="correct", account="alex@example.com", where="steps", date="2026-11-20", factor=2)
    await person.fault(kind="vanish", account="alex@example.com", where="daily-respiratory-rate", date="2026-11-20")

    after = (await person.rollup("steps", "2026-11-20", "2026-11-21")).json()["rollupDataPoints"][0]

    assert int(after["steps"]["countSum"]) == 2 * int(before["steps"]["countSum"])
    assert (await person.points("daily-respiratory-rate", filter=_DAY)).json() == {}
    await person.http.delete("/simulator/faults")
    assert (await person.points("daily-respiratory-rate", filter=_DAY)).json()["dataPoints"]


@pytest.mark.parametrize("data_type", ["sleep", "daily-oxygen-saturation", "weight", "heart-rate"])
async def test_a_correction_changes_numbers_and_nothing_else(person, data_type):
    await person.sign_in()
    before = (await person.points(data_type, pageSize="25")).json()["dataPoints"]
    for day in range(1, 22):
        date = f"2026-11-{day:02}"
        await person.fault(kind="correct", account="alex@example.com", where=data_type, date=date, factor=0.9)

    after = (await person.points(data_type, pageSize="25")).json()["dataPoints"]

    assert after != before
    assert len(after) == len(before)
    assert [point.get("name") for point in after] == [point.get("name") for point in before]


async def test_the_log_tells_what_was_asked_and_never_a_token(person):
    tokens = await person.tokens()
    person.http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    await person.rollup("steps", "2026-11-20", "2026-11-21")

    log = await person.http.get("/simulator/log")

    last = log.json()["requests"][-1]
    assert last["path"] == "/v4/users/me/dataTypes/steps/dataPoints:dailyRollUp"
    assert (last["account"], last["status"]) == ("alex@example.com", 200)
    assert last["body"]["range"]["start"] == {"date": {"year": 2026, "month": 11, "day": 20}}
    assert tokens["access_token"] not in log.text
    assert (await person.http.delete("/simulator/log")).json() == {"requests": []}


async def test_faults_can_be_given_at_the_start(clock):
    app = create_simulator(clock, faults=[Fault("server-error", where="token")])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://vendor") as http:
        shown = (await http.get("/simulator/faults")).json()["faults"]

        assert [(fault["kind"], fault["where"]) for fault in shown] == [("server-error", "token")]
        assert (await http.post("/token")).status_code == 500


@pytest.mark.parametrize("fault", ['{"kind": "meteorite"}', '{"kind": "gone", "times": "x"}', "[]", "x"])
def test_the_program_refuses_a_fault_that_makes_no_sense(fault):
    command = [sys.executable, "-m", "fhir_facade.simulator", "--port", "0", "--fault", fault]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    assert done.returncode == 2
    assert "is not a fault" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_program_says_where_it_listens_and_answers_there():
    command = [sys.executable, "-m", "fhir_facade.simulator", "--port", "0", "--now", "2026-11-21T12:00:00+00:00"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            address = program.stdout.readline().rpartition(" ")[2].strip()
            emails = [each["email"] for each in httpx.get(address, timeout=PATIENCE_S).json()["accounts"]]
        finally:
            program.terminate()

    assert emails == ["alex@example.com", "sam@example.com", "kim@example.com"]
    assert program.returncode in (0, -signal.SIGTERM)
