"""A connected wearable is read into the record: everything once, corrections as versions, failures infer nothing."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from fhir_facade.errors import Conflict
from fhir_facade.flows.connect import begin
from fhir_facade.flows.connections import look
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.rows.connections import Connection, Cursor, SyncRun
from fhir_facade.values import FhirRequest, Interaction
from tests.google_discovery import request_errors
from tests.wearables import ALEX, CALLBACK, IMPORT, person

RESPIRATION = "daily-respiratory-rate"
METRICS = {
    "steps",
    "distance",
    "total-calories",
    "active-minutes",
    "heart-rate",
    "daily-resting-heart-rate",
    "daily-oxygen-saturation",
    RESPIRATION,
    "daily-heart-rate-variability",
    "weight",
    "body-fat",
    "sleep",
}


def _today():
    return datetime.now(UTC).astimezone(ZoneInfo("Europe/Berlin")).date()


def _days_ago(days):
    return (_today() - timedelta(days=days)).isoformat()


async def _synced(world):
    connection = await world.connect()
    return connection, await world.sync(connection)


async def _of_day(world, day, data_type=RESPIRATION):
    """The Observation of a daily value."""
    found = [each for each in (await world.observations()).values() if each.get("effectiveDateTime") == day]
    return next(each for each in found if f"|{data_type}|" in each["identifier"][0]["value"])


def _worn_day(observations, newest, oldest):
    """A day between so many and so many days ago on which the tracker was worn."""
    worn = {each.get("effectiveDateTime") for each in observations.values() if RESPIRATION in str(each["identifier"])}
    return next(day for ago in range(newest, oldest) if (day := _days_ago(ago)) in worn)


def _sums(report):
    totals = dict.fromkeys(("created", "updated", "unchanged", "removed"), 0)
    for metric in report.metrics.values():
        for name in totals:
            totals[name] += getattr(metric, name)
    return totals


def _targets(provenance):
    """What a Provenance says was written, besides the patient whose record it is."""
    references = [target["reference"] for target in provenance["target"]]
    return sorted(each for each in references if each != "Patient/p1")


# --- the usual course -----------------------------------------------------------------------------------------


async def test_a_connection_that_was_never_completed_cannot_be_synchronised(world):
    begun = await begin(world.ports, person("p1"), vendor="google-health", redirect_uri=CALLBACK)

    with pytest.raises(Conflict, match="authorize_url"):
        await world.sync(begun.connection)


@pytest.mark.lookback(90)
@pytest.mark.both_stores
async def test_the_first_sync_fills_ninety_days_of_every_metric(world):
    connection, report = await _synced(world)

    observations = await world.observations()
    days = {each["effectiveDateTime"][:10] for each in observations.values() if "effectiveDateTime" in each}
    assert report.error is None
    assert report.metrics.keys() == METRICS
    assert all(metric.created > 10 for metric in report.metrics.values())
    assert _sums(report) == {"created": len(observations), "updated": 0, "unchanged": 0, "removed": 0}
    assert (min(days), max(days)) == (_days_ago(89), _days_ago(0))
    assert {each["device"]["reference"] for each in observations.values()} == {
        f"Device/{(await _connection(world)).device}"
    }
    assert (await look(world.ports, person("p1"), connection.id)).last_sync_at is not None


async def _connection(world):
    return (await world.ports.state.read(lambda tx: tx.find(Connection)))[0]


async def test_every_request_of_a_sync_is_one_the_vendor_describes(world):
    await _synced(world)

    for asked in await world.asked("/v4/"):
        assert request_errors(asked["method"], asked["path"], asked["query"], asked["body"]) == []
        assert asked["status"] == 200


@pytest.mark.both_stores
async def test_one_provenance_names_everything_a_sync_wrote(world):
    _, report = await _synced(world)

    (provenance,) = await world.search("Provenance", patient="p1")

    assert provenance["id"] == report.provenance
    assert _targets(provenance) == sorted(f"Observation/{key}" for key in await world.observations())
    assert await world.ports.state.read(lambda tx: tx.find(SyncRun)) == []


@pytest.mark.both_stores
async def test_a_repeat_reads_a_week_and_changes_nothing(world):
    connection, _ = await _synced(world)
    before = await world.versions()
    await world.forget_log()

    report = await world.sync(connection)

    sums = _sums(report)
    assert await world.versions() == before
    assert set(before.values()) == {"1"}
    assert sums.pop("unchanged") > 60
    assert set(sums.values()) == {0}
    assert report.provenance is None
    (asked,) = await world.asked("steps/dataPoints:dailyRollUp")
    start = asked["body"]["range"]["start"]["date"]
    assert date(**start) == _today() - timedelta(days=7)


async def test_a_full_repeat_reads_everything_and_changes_nothing(world):
    connection, first = await _synced(world)

    report = await world.sync(connection, full=True)

    assert _sums(report) == {"created": 0, "updated": 0, "unchanged": _sums(first)["created"], "removed": 0}
    assert set((await world.versions()).values()) == {"1"}


async def test_days_without_a_sync_are_caught_up_from_the_cursor(world):
    connection, _ = await _synced(world)
    old = (_today() - timedelta(days=30)).isoformat()
    await world.ports.state.write(lambda tx: tx.change(Cursor, [("data_type", "=", "steps")], through=old))
    await world.forget_log()

    await world.sync(connection)

    asked = await world.asked("steps/dataPoints:dailyRollUp")
    starts = [date(**each["body"]["range"]["start"]["date"]) for each in asked]
    assert min(starts) == _today() - timedelta(days=37)
    cursor = await world.ports.state.read(lambda tx: tx.get(Cursor, connection.id, "steps"))
    assert cursor.through == _days_ago(0)


@pytest.mark.both_stores
async def test_two_who_ask_at_once_are_told_of_one_sync(world):
    connection = await world.connect()

    first, second = await asyncio.gather(world.sync(connection), world.sync(connection))

    assert _sums(first) == _sums(second)
    assert _sums(first)["created"] == len(await world.observations())
    assert set((await world.versions()).values()) == {"1"}


# --- corrections and deletions --------------------------------------------------------------------------------


@pytest.mark.both_stores
async def test_a_correction_makes_version_two(world):
    connection, _ = await _synced(world)
    day = _worn_day(await world.observations(), 1, 7)
    before = await _of_day(world, day, "steps")
    await world.fault(kind="correct", account=ALEX, where="steps", date=day, factor=2)

    report = await world.sync(connection)

    after = await _of_day(world, day, "steps")
    assert report.metrics["steps"].updated == 1
    assert after["id"] == before["id"]
    assert after["meta"]["versionId"] == "2"
    assert after["valueQuantity"]["value"] == 2 * before["valueQuantity"]["value"]


async def test_an_old_correction_is_found_by_a_full_sync(world):
    connection, _ = await _synced(world)
    day = _worn_day(await world.observations(), 9, 14)
    await world.fault(kind="correct", account=ALEX, where=RESPIRATION, date=day, factor=1.5)

    usual, full = await world.sync(connection), await world.sync(connection, full=True)

    assert (usual.metrics[RESPIRATION].updated, full.metrics[RESPIRATION].updated) == (0, 1)


async def test_what_cannot_be_read_is_counted_with_its_reason_and_taken_out_of_nothing(world):
    connection, first = await _synced(world)
    day = _worn_day(await world.observations(), 1, 7)
    before = await world.versions()
    await world.fault(kind="correct", account=ALEX, where=RESPIRATION, date=day, factor=-1)

    report, again = await world.sync(connection), await world.sync(connection)
    await world.calm()
    repaired = await world.sync(connection)

    assert report.metrics[RESPIRATION].unreadable == {"breathsPerMinute is out of range": 1}
    assert all(not metric.unreadable for name, metric in report.metrics.items() if name != RESPIRATION)
    assert again.metrics == report.metrics
    assert report.error is None
    assert (await world.versions()) == before
    assert [metric.unreadable for metric in repaired.metrics.values()] == [{}] * len(first.metrics)


async def test_what_the_vendor_did_not_measure_is_nothing_that_could_not_be_read(world):
    connection, _ = await _synced(world)
    day = _worn_day(await world.observations(), 1, 7)
    await world.fault(kind="correct", account=ALEX, where=RESPIRATION, date=day, factor=0.000001)

    metric = (await world.sync(connection)).metrics[RESPIRATION]

    assert metric.read == metric.unchanged + 1, "a zero stands for a value that was not computed"
    assert metric.unreadable == {}


@pytest.mark.parametrize("data_type", [RESPIRATION, "steps", "sleep", "weight"])
async def test_what_vanished_is_entered_in_error_and_comes_back(world, data_type):
    connection, _ = await _synced(world)
    for ago in range(1, 6):
        await world.fault(kind="vanish", account=ALEX, where=data_type, date=_days_ago(ago))

    gone = await world.sync(connection)
    statuses = {each["status"] for each in (await world.observations()).values()}
    again = await world.sync(connection)
    await world.calm()
    back = await world.sync(connection)

    assert gone.metrics[data_type].removed >= 1
    assert statuses == {"final", "entered-in-error"}
    assert again.metrics[data_type].removed == 0
    assert back.metrics[data_type].updated == gone.metrics[data_type].removed
    assert {each["status"] for each in (await world.observations()).values()} == {"final"}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "partial-page"}, id="partial page"),
        pytest.param({"kind": "truncated", "times": -1}, id="cut page"),
        pytest.param({"kind": "empty", "times": -1}, id="nothing"),
        pytest.param({"kind": "server-error", "times": -1, "page": 2}, id="second page fails"),
        pytest.param({"kind": "empty-page"}, id="empty page with a link"),
        pytest.param({"kind": "garbage", "times": -1}, id="garbage"),
        pytest.param({"kind": "forbidden", "times": -1}, id="403"),
        pytest.param({"kind": "throttled", "times": -1}, id="429"),
        pytest.param({"kind": "unauthorized", "times": -1}, id="401"),
        pytest.param({"kind": "slow", "times": -1, "seconds": 3}, id="slowly"),
    ],
)
async def test_nothing_vanishes_because_a_page_was_not_read(world, fault):
    connection, _ = await _synced(world)
    before = await world.versions()
    await world.fault(where="sleep", **fault)

    report = await world.sync(connection, full=True)

    assert report.metrics["sleep"].removed == 0
    assert await world.versions() == before


# --- faults of the vendor -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["forbidden", "server-error", "garbage", "empty", "truncated", "slow", "partial-page"])
async def test_a_failing_data_type_leaves_the_others_alone_and_is_caught_up(world, kind):
    connection = await world.connect()
    await world.fault(kind=kind, where="distance", times=-1, seconds=3)
    failed = await world.sync(connection)
    await world.calm()

    repaired = await world.sync(connection)

    assert failed.metrics["distance"].error
    assert failed.metrics["distance"].created == 0
    assert all(metric.error is None for name, metric in failed.metrics.items() if name != "distance")
    assert failed.connection.state == "active"
    assert failed.connection.last_error == failed.metrics["distance"].error
    assert repaired.metrics["distance"].created > 10
    assert repaired.connection.last_error is None


@pytest.mark.parametrize("kind", ["unauthorized", "throttled", "server-error", "garbage", "empty", "truncated"])
async def test_a_fault_of_one_call_is_overcome(world, kind):
    connection = await world.connect()
    await world.fault(kind=kind, where="weight")

    report = await world.sync(connection)

    assert (report.error, report.connection.state) == (None, "active")
    assert report.metrics["weight"].created > 1


async def _is_caught_up(world, kind, word):
    connection = await world.connect()
    await world.fault(kind=kind, times=-1, seconds=3)
    failed = await world.sync(connection)
    looked_at = await look(world.ports, person("p1"), connection.id)
    left = (await world.observations(), await world.search("Provenance", patient="p1"))
    rows = await world.ports.state.read(lambda tx: (tx.find(Cursor), tx.find(SyncRun)))
    await world.calm()

    repaired = await world.sync(connection)

    assert word in failed.error
    assert "Google" in failed.error
    assert {metric.error for metric in failed.metrics.values()} == {failed.error}
    assert (looked_at.state, looked_at.last_error, looked_at.last_sync_at) == ("error", failed.error, None)
    assert (left, rows) == (({}, []), ([], []))
    assert (repaired.connection.state, repaired.connection.last_error) == ("active", None)
    assert _sums(repaired)["created"] == len(await world.observations())


@pytest.mark.lookback(3)
@pytest.mark.parametrize(
    ("kind", "word"),
    [
        pytest.param("unauthorized", "access token", id="401"),
        pytest.param("forbidden", "403", id="403"),
        pytest.param("throttled", "slow", id="429"),
        pytest.param("garbage", "no JSON", id="garbage"),
        pytest.param("empty", "no JSON", id="nothing"),
        pytest.param("slow", "answer", id="slowly"),
    ],
)
async def test_a_vendor_that_answers_badly_is_named_leaves_no_trace_and_is_caught_up(world, kind, word):
    """Which fault it was is known before a store is asked."""
    await _is_caught_up(world, kind, word)


@pytest.mark.lookback(3)
@pytest.mark.both_stores
async def test_a_vendor_that_fails_leaves_no_trace_in_any_store_and_is_caught_up(world):
    await _is_caught_up(world, "server-error", "500")


async def test_a_vendor_that_is_down_ends_the_sync_soon_and_the_next_one_works(world):
    connection = await world.connect()
    await world.fault(kind="server-error", times=-1)
    down = await world.sync(connection)
    await world.calm()

    assert (down.connection.state, len(down.metrics)) == ("error", 2)
    assert await world.observations() == {}
    assert (await world.sync(connection)).connection.state == "active"


async def test_a_scope_that_is_missing_at_the_vendor_skips_its_types(world):
    connection = await world.connect()
    await world.fault(kind="missing-scope", where="sleep", times=-1)

    report = await world.sync(connection)

    assert report.connection.state == "missing-scopes"
    assert "not granted" in report.metrics["sleep"].error
    assert report.metrics["steps"].created > 10


@pytest.mark.parametrize(("kind", "state"), [("gone", "retired"), ("not-linked", "not-linked")])
async def test_what_only_people_can_repair_stops_the_sync(world, kind, state):
    connection = await world.connect()
    await world.fault(kind=kind, where="distance", times=-1)

    report = await world.sync(connection)

    assert report.connection.state == state
    assert report.metrics.keys() == {"steps"}
    assert (await _connection(world)).due_at is None


async def test_a_long_retry_after_ends_the_sync_and_sets_the_next_one(world):
    connection = await world.connect()
    await world.fault(kind="throttled", where="distance", retry_after="7200", times=-1)

    report = await world.sync(connection)

    wait = (await _connection(world)).due_at - world.clock.now()
    assert report.metrics.keys() == {"steps", "distance"}
    assert timedelta(minutes=119) < wait <= timedelta(minutes=120)


@pytest.mark.both_stores
async def test_dead_tokens_in_the_middle_keep_what_was_written(world):
    connection = await world.connect()
    await world.fault(kind="unauthorized", where="distance", times=1)
    await world.fault(kind="invalid-grant", where="token", times=-1)

    report = await world.sync(connection)

    assert report.connection.state == "reconsent-needed"
    assert len(await world.observations()) == report.metrics["steps"].created > 10
    (provenance,) = await world.search("Provenance", patient="p1")
    assert len(_targets(provenance)) == report.metrics["steps"].created


# --- consent --------------------------------------------------------------------------------------------------


@pytest.mark.both_stores
async def test_without_an_active_consent_nothing_is_fetched(world):
    connection = await world.connect()
    consent = await world.read("Consent", (await _connection(world)).consent)
    ended = json.dumps({**consent, "status": "inactive"}).encode()
    await dispatch(world.ports, IMPORT, FhirRequest(Interaction.UPDATE, "Consent", consent["id"], body=ended))
    await world.forget_log()

    report = await world.sync(connection)

    assert report.connection.state == "reconsent-needed"
    assert "consent" in report.error
    assert await world.asked("/v4/") == []


async def test_a_consent_to_less_than_was_granted_limits_what_is_fetched(world):
    connection = await world.connect()
    consent = await world.read("Consent", (await _connection(world)).consent)
    kept = [code for code in consent["provision"]["code"] if "sleep" in code["coding"][0]["code"]]
    less = json.dumps({**consent, "provision": {**consent["provision"], "code": kept}}).encode()
    await dispatch(world.ports, IMPORT, FhirRequest(Interaction.UPDATE, "Consent", consent["id"], body=less))
    await world.forget_log()

    report = await world.sync(connection)

    assert {name for name, metric in report.metrics.items() if metric.error is None} == {"sleep"}
    assert {each["path"].split("/")[5] for each in await world.asked()} == {"sleep"}


# --- dying ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.4, 0.7, 1.0])
async def test_a_sync_that_was_cut_off_is_completed_by_the_next_one(world, after_s):
    connection = await world.connect()
    running = asyncio.create_task(world.sync(connection))
    await asyncio.wait([running], timeout=after_s)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    await world.sync(connection)

    observations = await world.observations()
    targets = [target for each in await world.search("Provenance", patient="p1") for target in _targets(each)]
    assert set((await world.versions()).values()) == {"1"}
    assert sorted(targets) == sorted(f"Observation/{key}" for key in observations)
    assert _sums(await world.sync(connection, full=True))["unchanged"] == len(observations)
