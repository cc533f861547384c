"""The simulated Health API: answers as the discovery document describes them, refusals as documented."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from fhir_facade.simulator.data_types import ACTIVITY, DATA_TYPES, SLEEP
from tests.google_discovery import answer_errors, schema_errors

_LISTED = sorted(name for name, row in DATA_TYPES.items() if "list" in row.methods)
_ROLLED = sorted(name for name, row in DATA_TYPES.items() if "dailyRollUp" in row.methods)


def _reason(answer):
    details = answer.json()["error"].get("details", [{}])
    return answer.status_code, details[0].get("reason")


@pytest.mark.parametrize("account", ["alex@example.com", "sam@example.com"])
@pytest.mark.parametrize("resource", ["identity", "profile", "settings", "pairedDevices"])
async def test_resources_are_as_described(person, account, resource):
    await person.sign_in(account)

    answer = await person.http.get(f"/v4/users/me/{resource}")

    assert answer.status_code == 200
    assert answer_errors("GET", f"/v4/users/me/{resource}", answer.json()) == []


@pytest.mark.parametrize("account", ["alex@example.com", "sam@example.com"])
@pytest.mark.parametrize("method", ["", ":reconcile"])
@pytest.mark.parametrize("data_type", _LISTED)
async def test_points_are_as_described(person, account, method, data_type):
    await person.sign_in(account)

    answer = await person.points(data_type, method)

    assert len(answer.json()["dataPoints"]) > 5
    assert answer_errors("GET", f"/v4/users/me/dataTypes/{data_type}/dataPoints{method}", answer.json()) == []


@pytest.mark.parametrize("account", ["alex@example.com", "sam@example.com"])
@pytest.mark.parametrize("data_type", _ROLLED)
async def test_rollups_are_as_described(person, account, data_type):
    await person.sign_in(account)

    answer = await person.rollup(data_type, "2026-11-08", "2026-11-22")

    path = f"/v4/users/me/dataTypes/{data_type}/dataPoints:dailyRollUp"
    assert answer.json()["rollupDataPoints"]
    assert answer_errors("POST", path, answer.json()) == []


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        pytest.param({"dataPoints": {}}, "no array", id="wrong type"),
        pytest.param({"points": []}, "not a member", id="unknown member"),
        pytest.param({"dataPoints": [{"steps": {"count": 1}}]}, "no string", id="int64 as a number"),
        pytest.param({"dataPoints": [{"sleep": {"type": "DEEP"}}]}, "none of", id="unknown enum value"),
        pytest.param({"dataPoints": [{"sleep": {"createTime": "today"}}]}, "google-datetime", id="wrong time"),
        pytest.param([], "no object", id="no object"),
    ],
)
def test_the_check_against_the_description_finds_what_is_wrong(value, complaint):
    assert complaint in schema_errors("ListDataPointsResponse", value)[0]


async def test_the_same_question_has_the_same_answer(person):
    await person.sign_in()

    assert (await person.points("sleep")).content == (await person.points("sleep")).content


@pytest.mark.parametrize("data_type", ["floors", "active-minutes", "total-calories"])
@pytest.mark.parametrize("method", ["", ":reconcile"])
async def test_types_without_a_list_refuse_it(person, data_type, method):
    await person.sign_in()

    answer = await person.points(data_type, method)

    assert answer.status_code == 400
    assert "is not supported for data type" in answer.json()["error"]["message"]


@pytest.mark.parametrize("data_type", ["daily-resting-heart-rate", "daily-oxygen-saturation", "sleep"])
async def test_types_without_a_rollup_refuse_it(person, data_type):
    await person.sign_in()

    assert (await person.rollup(data_type, "2026-11-10", "2026-11-12")).status_code == 400


async def test_an_unknown_type_is_refused(person):
    await person.sign_in()

    assert (await person.points("mood-rings")).status_code == 400


@pytest.mark.parametrize(
    ("data_type", "first", "members", "status"),
    [
        pytest.param("heart-rate", "2026-11-07", {}, 400, id="15 days of a type with 14"),
        pytest.param("heart-rate", "2026-11-08", {}, 200, id="14 days of a type with 14"),
        pytest.param("steps", "2026-08-23", {}, 400, id="91 days of a type with 90"),
        pytest.param("steps", "2026-08-24", {}, 200, id="90 days of a type with 90"),
        pytest.param("steps", "2026-11-01", {"windowSizeDays": 2, "pageSize": 46}, 400, id="window times page size"),
        pytest.param("steps", "2026-11-01", {"windowSizeDays": 0}, 400, id="window of no days"),
        pytest.param("steps", "2026-11-22", {}, 400, id="empty range"),
        pytest.param("steps", "2026-11-01", {"windows": 1}, 400, id="unknown member"),
        pytest.param("steps", "2026-11-01", {"dataSourceFamily": "google-wearables"}, 400, id="bare family name"),
    ],
)
async def test_the_limits_of_a_rollup_hold(person, data_type, first, members, status):
    await person.sign_in()

    assert (await person.rollup(data_type, first, "2026-11-22", **members)).status_code == status


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"range":{}}', b'{"range":{"start":{"date":{"year":2026}}}}'])
async def test_a_rollup_without_a_range_is_refused(person, body):
    await person.sign_in()

    answer = await person.http.post("/v4/users/me/dataTypes/steps/dataPoints:dailyRollUp", content=body)

    assert answer.status_code == 400


async def test_rollups_are_newest_first_and_their_end_is_exclusive(person):
    await person.sign_in("sam@example.com")

    rows = (await person.rollup("steps", "2026-10-01", "2026-10-31")).json()["rollupDataPoints"]

    days = [row["civilStartTime"]["date"]["day"] for row in rows]
    assert days == sorted(days, reverse=True)
    assert max(days) <= 30
    assert len(days) >= 25


async def test_a_rollup_is_the_sum_of_the_points(person):
    await person.sign_in()
    civil = 'steps.interval.civil_start_time >= "2026-11-19" AND steps.interval.civil_start_time < "2026-11-20"'

    points = (await person.points("steps", filter=civil)).json()["dataPoints"]
    rows = (await person.rollup("steps", "2026-11-19", "2026-11-20")).json()["rollupDataPoints"]

    assert int(rows[0]["steps"]["countSum"]) == sum(int(point["steps"]["count"]) for point in points) > 500


async def test_a_window_of_several_days_is_summed(person):
    await person.sign_in()

    days = (await person.rollup("steps", "2026-11-17", "2026-11-20")).json()["rollupDataPoints"]
    whole = (await person.rollup("steps", "2026-11-17", "2026-11-20", windowSizeDays=3)).json()["rollupDataPoints"]

    assert len(whole) == 1
    assert int(whole[0]["steps"]["countSum"]) == sum(int(day["steps"]["countSum"]) for day in days)


@pytest.mark.parametrize(
    ("data_type", "text"),
    [
        pytest.param("steps", 'steps.interval.end_time >= "2026-11-01T00:00:00Z"', id="field of another kind"),
        pytest.param("steps", 'weight.sample_time.physical_time >= "2026-11-01T00:00:00Z"', id="field of another type"),
        pytest.param("steps", 'steps.interval.start_time > "2026-11-01T00:00:00Z"', id="operator"),
        pytest.param("steps", 'steps.interval.start_time >= "2026-11-01"', id="physical time without zone"),
        pytest.param("steps", 'steps.interval.civil_start_time >= "2026-11-01T00:00:00Z"', id="civil time with zone"),
        pytest.param("steps", 'steps.interval.civil_start_time >= "2026-13-01"', id="no such month"),
        pytest.param("steps", "steps.interval.civil_start_time >= 2026-11-01", id="no quotes"),
        pytest.param("sleep", 'sleep.interval.civil_start_time >= "2026-11-01"', id="sleep by its start"),
        pytest.param(
            "daily-respiratory-rate", 'daily_respiratory_rate.date >= "2026-11-01T00:00:00"', id="date with time"
        ),
        pytest.param("daily-respiratory-rate", 'dailyRespiratoryRate.date >= "2026-11-01"', id="camel case"),
    ],
)
async def test_filters_that_are_not_documented_are_refused(person, data_type, text):
    await person.sign_in()

    assert _reason(await person.points(data_type, filter=text)) == (400, "INVALID_DATA_POINT_FILTER")


async def test_a_filter_selects_a_closed_open_range(person):
    await person.sign_in("sam@example.com")
    text = 'daily_respiratory_rate.date >= "2026-10-01" AND daily_respiratory_rate.date < "2026-10-11"'

    points = (await person.points("daily-respiratory-rate", filter=text)).json()["dataPoints"]

    days = [point["dailyRespiratoryRate"]["date"]["day"] for point in points]
    assert set(days) <= set(range(1, 11))
    assert days == sorted(days, reverse=True)


async def test_pages_join_to_the_whole_without_repetition(person):
    await person.sign_in()
    seen, token = [], None
    while True:
        page = (await person.points("sleep", ":reconcile", **({"pageToken": token} if token else {}))).json()
        assert len(page["dataPoints"]) <= 25
        seen += [point["dataPointName"] for point in page["dataPoints"]]
        token = page.get("nextPageToken")
        if not token:
            break

    assert len(seen) == len(set(seen)) > 80


async def test_a_page_token_belongs_to_its_request(person):
    await person.sign_in()
    token = (await person.points("sleep")).json()["nextPageToken"]

    other = await person.points("sleep", filter='sleep.interval.civil_end_time >= "2026-11-01"', pageToken=token)

    assert _reason(other) == (400, "INVALID_PAGE_TOKEN")
    assert _reason(await person.points("sleep", pageToken="nonsense")) == (400, "INVALID_PAGE_TOKEN")


@pytest.mark.parametrize("query", [{"pagesize": "5"}, {"pageSize": "many"}, {"page_token": "x"}])
async def test_unknown_parameters_and_wrong_numbers_are_refused(person, query):
    await person.sign_in()

    assert (await person.points("weight", **query)).status_code == 400


async def test_a_data_source_family_needs_its_full_name_and_hides_what_was_typed_in(person):
    await person.sign_in()
    wearables = "users/me/dataSourceFamilies/google-wearables"

    everything = (await person.points("weight")).json()["dataPoints"]
    measured = (await person.points("weight", dataSourceFamily=wearables)).json()["dataPoints"]
    own = (await person.points("weight", dataSourceFamily="users/me/dataSourceFamilies/self-sources")).json()

    assert (await person.points("weight", dataSourceFamily="google-wearables")).status_code == 400
    assert (await person.points("sleep", dataSourceFamily=wearables)).status_code == 400
    assert (await person.points("sleep", ":reconcile", dataSourceFamily=wearables)).status_code == 200
    assert 0 < len(measured) < len(everything)
    assert "MANUAL" not in {point["dataSource"]["recordingMethod"] for point in measured}
    assert own == {}


async def test_a_missing_scope_is_403(person):
    await person.sign_in(scopes=[SLEEP])

    assert _reason(await person.points("steps")) == (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
    assert (await person.points("sleep")).status_code == 200


async def test_an_account_without_a_profile_is_not_linked(person):
    await person.sign_in("kim@example.com", [ACTIVITY])

    answer = await person.http.get("/v4/users/me/identity")

    assert _reason(answer) == (400, "ACCOUNT_NOT_LINKED")
    assert answer.json()["error"]["status"] == "FAILED_PRECONDITION"


async def test_a_call_without_a_token_is_401(person):
    assert _reason(await person.points("steps")) == (401, "CREDENTIALS_MISSING")


# --- what the data are like -----------------------------------------------------------------------------------


async def test_ninety_days_are_there_with_a_few_gaps(person):
    await person.sign_in()

    points = (await person.points("daily-resting-heart-rate")).json()["dataPoints"]

    dates = {date(**point["dailyRestingHeartRate"]["date"]) for point in points}
    assert max(dates) == date(2026, 11, 21)
    assert 75 <= len(dates) < 90
    assert min(dates) >= date(2026, 11, 21) - timedelta(days=89)


async def test_the_resting_heart_rate_rises_in_the_last_days_of_one_account(person):
    await person.sign_in()

    points = (await person.points("daily-resting-heart-rate", pageSize="8")).json()["dataPoints"]

    beats = [int(point["dailyRestingHeartRate"]["beatsPerMinute"]) for point in points]
    assert beats[:4] == [108, 99, 88, 74]
    assert all(55 <= usual <= 68 for usual in beats[4:])


async def test_nights_have_stages_and_some_have_none_and_there_are_naps(person):
    await person.sign_in()
    nights = []
    token = {}
    while token is not None:
        page = (await person.points("sleep", ":reconcile", **token)).json()
        nights += [point["sleep"] for point in page["dataPoints"]]
        token = {"pageToken": page["nextPageToken"]} if "nextPageToken" in page else None

    assert {night["type"] for night in nights} == {"STAGES", "CLASSIC"}
    assert any(night["metadata"]["nap"] for night in nights)
    for night in nights:
        ends = [stage["endTime"] for stage in night["stages"]]
        starts = [stage["startTime"] for stage in night["stages"]]
        assert (starts[0], ends[-1]) == (night["interval"]["startTime"], night["interval"]["endTime"])
        assert starts[1:] == ends[:-1]


async def test_offsets_change_with_daylight_saving_time(person):
    await person.sign_in()

    points = (await person.points("weight")).json()["dataPoints"]

    offsets = {point["weight"]["sampleTime"]["utcOffset"] for point in points}
    assert offsets == {"3600s", "7200s"}


async def test_nothing_lies_after_the_last_sync_of_the_tracker_which_happens_every_six_hours(person, clock):
    await person.sign_in()
    newest = 'steps.interval.civil_start_time >= "2026-11-21"'
    at_noon = (await person.points("steps", filter=newest)).json()["dataPoints"]
    clock.forward(minutes=50)
    soon = (await person.points("steps", filter=newest)).json()["dataPoints"]
    clock.forward(hours=9)
    await person.sign_in()
    later = (await person.points("steps", filter=newest)).json()["dataPoints"]

    assert all(point["steps"]["interval"]["endTime"] <= "2026-11-21T12:00:00Z" for point in at_noon)
    assert soon == at_noon
    assert len(later) > len(at_noon)


async def test_answers_leave_out_zero_members_of_civil_times(person):
    await person.sign_in()

    text = (await person.points("heart-rate", pageSize="200")).text

    assert '"minutes":0' not in json.dumps(json.loads(text), separators=(",", ":"))
