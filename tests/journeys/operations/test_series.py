"""`$lastn` and `$stats` on both stores: the last observations and their statistics."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.facade import PUBLIC
from tests.journeys.operations.world import Bedside, ids, pages, parameters

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        pytest.param("patient={p}&max=0", "max", id="max of nothing"),
        pytest.param("patient={p}&max=few", "max", id="max that is no number"),
        pytest.param("patient={p}&max=1&max=2", "max", id="max twice"),
        pytest.param("code=a", "patient", id="nobody"),
        pytest.param("patient={p}&_sort=date", "_sort", id="an order"),
        pytest.param("patient={p}&colour=red", "colour", id="no parameter at all"),
    ],
)
async def test_lastn_names_what_is_wrong(bedside: Bedside, query: str, named: str) -> None:
    answer = await bedside.world.system.get(f"/fhir/Observation/$lastn?{query.format(p=bedside.patient)}")

    assert answer.status_code == 400
    assert named in answer.json()["issue"][0]["diagnostics"]


async def test_lastn_gives_the_newest_of_each_code_and_all_that_tie(bedside: Bedside) -> None:
    await bedside.mass(1, "2026-01-01", "a")
    second = await bedside.mass(2, "2026-01-02", "a")
    tied = [await bedside.mass(value, "2026-01-03T10:00:00Z", "a") for value in (3, 4, 5)]
    other = await bedside.mass(6, "2025-01-01", "b")
    await bedside.mass(7, "2026-02-01", "a", status="entered-in-error")
    path = f"/fhir/Observation/$lastn?patient={bedside.patient}"

    (one,) = await pages(bedside.world.system, path)
    (four,) = await pages(bedside.world.system, f"{path}&max=4&code=urn:codes|a")

    assert (sorted(ids(one)[:3]), ids(one)[3:], one["total"]) == (sorted(tied), [other], 4)
    assert (sorted(ids(four)[:3]), ids(four)[3:]) == (sorted(tied), [second])
    assert {entry["search"]["mode"] for entry in one["entry"]} == {"match"}
    assert one["link"][0]["url"].endswith(f"/fhir/Observation/$lastn?patient={bedside.patient}")


async def test_lastn_takes_its_search_as_values_of_parameters(bedside: Bedside) -> None:
    await bedside.mass(1, "2026-01-01", "a")
    newest = await bedside.mass(2, "2026-01-02", "a")
    await bedside.mass(3, "2026-01-03", "b")
    code = ("valueCoding", {"system": "urn:codes", "code": "a"})
    asked = [
        parameters(subject=("valueReference", {"reference": bedside.reference}), code=code),
        parameters(patient=("valueReference", {"reference": f"{PUBLIC}/fhir/{bedside.reference}"}), code=code),
        parameters(subject=("valueString", bedside.reference), code=("valueString", "urn:codes|a")),
        parameters(patient=("valueString", bedside.patient), code=("valueCode", "a")),
    ]

    answers = [await bedside.world.system.post("/fhir/Observation/$lastn", json=each) for each in asked]

    assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]
    assert [ids(answer.json()) for answer in answers] == [[newest]] * 4


async def test_lastn_by_a_reference_gives_a_person_own_readings_only(bedside: Bedside) -> None:
    other = await bedside.world.new_patient()
    await other.mass(1, "2026-01-01", "a")
    asked = parameters(subject=("valueReference", {"reference": other.reference}))
    async with await bedside.world.person(bedside.patient) as person:
        answer = await person.post("/fhir/Observation/$lastn", json=asked)

    assert (answer.status_code, ids(answer.json())) == (200, [])


async def test_observations_that_share_a_coding_are_of_one_group(bedside: Bedside) -> None:
    await bedside.mass(1, "2026-01-01", "a")
    await bedside.mass(2, "2026-01-02", "b")
    newest = await bedside.mass(3, "2026-01-03", "a", "b")
    text = await bedside.mass(4, "2020-01-01", code={"text": "Something"})

    (found,) = await pages(bedside.world.system, f"/fhir/Observation/$lastn?subject={bedside.reference}")

    assert sorted(ids(found)) == sorted([newest, text])


async def test_the_beginning_of_a_period_says_when_it_was(bedside: Bedside) -> None:
    night = {"effectivePeriod": {"start": "2026-01-01T22:00:00Z", "end": "2026-01-02T06:00:00Z"}}
    body = {"status": "final", "code": {"coding": [{"system": "urn:codes", "code": "a"}]}}
    slept = (await bedside.post("Observation", **body, **night))["id"]
    noon = await bedside.mass(1, "2026-01-01T12:00:00Z", "a")
    never = (await bedside.post("Observation", **body))["id"]

    asked = parameters(patient=("valueString", bedside.patient), max=("valuePositiveInt", 1))
    one = await bedside.world.system.post("/fhir/Observation/$lastn", json=asked)
    (all_,) = await pages(bedside.world.system, f"/fhir/Observation/$lastn?patient={bedside.patient}&code=a&max=5")

    assert (ids(one.json()), ids(all_)) == ([slept], [slept, noon, never])


async def test_named_codes_are_read_until_no_other_can_be_among_the_newest(bedside: Bedside) -> None:
    for day in range(1, 29):
        await bedside.mass(day, f"2026-01-{day:02}", "a", "b" if day % 2 else "c")
    path = f"/fhir/Observation/$lastn?patient={bedside.patient}&max=3"

    (apart,) = await pages(bedside.world.system, f"{path}&code=urn:codes|b,urn:codes|c")
    (together,) = await pages(bedside.world.system, f"{path}&code:not=urn:codes|d")

    assert [entry["resource"]["valueQuantity"]["value"] for entry in apart["entry"]] == [28, 27, 26]
    assert ids(apart) == ids(together), "all of them share a coding"


async def test_a_person_gets_own_readings_only(bedside: Bedside) -> None:
    own = await bedside.mass(1, "2026-01-01", "a")
    foreign = await (await bedside.world.new_patient()).mass(2, "2026-01-02", "a")
    async with await bedside.world.person(bedside.patient) as person:
        asked = [f"/fhir/Observation/$lastn?patient={id_}" for id_ in (bedside.patient, foreign)]
        answers = [(await person.get(path)).json() for path in asked]
        other = await person.get(f"/fhir/Observation/$stats?subject=Patient/{foreign}&code=a&statistic=count")

    assert [ids(answer) for answer in answers] == [[own], []]
    assert value_of(other.json(), "count")["value"] == 0


def value_of(answer: dict[str, Any], code: str, at: int = 0) -> Any:
    found = [one["resource"] for one in answer["parameter"] if one["name"] == "statistics"][at]
    (component,) = [one for one in found["component"] if one["code"]["coding"][0]["code"] == code]
    return component.get("valueQuantity")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        pytest.param("code=a&statistic=count", "subject", id="nobody"),
        pytest.param("subject=Patient/x&code=a", "statistic", id="no statistic"),
        pytest.param("subject=Patient/x&statistic=count", "code", id="no code"),
        pytest.param("subject=Patient/x&code=a&statistic=mode", "statistic=mode", id="unknown statistic"),
        pytest.param("subject=Patient/x&code=a&statistic=sum&duration=long", "duration", id="no number of hours"),
        pytest.param("subject=Patient/x&code=a&statistic=sum&duration=99999999999", "duration", id="older than time"),
        pytest.param("subject=Patient/x&code=a&statistic=sum&period=2026", "period", id="period in an address"),
    ],
)
async def test_stats_names_what_is_wrong(bedside: Bedside, query: str, named: str) -> None:
    answer = await bedside.world.system.get(f"/fhir/Observation/$stats?{query}")

    assert answer.status_code == 400
    assert named in answer.json()["issue"][0]["diagnostics"]


async def test_stats_are_those_of_the_textbook(bedside: Bedside) -> None:
    values = [2, 4, 4, 4, 5, 5, 7, 9]
    for day, value in enumerate(values, 1):
        await bedside.mass(value, f"2026-01-{day:02}", "a")
    asked = "average,median,std-dev,variance,sum,minimum,maximum,count,4-lower,4-upper,4-dev,20-percent,5-4"

    answer = await bedside.world.system.get(
        f"/fhir/Observation/$stats?subject={bedside.reference}&code=a&system=urn:codes&statistic={asked}"
    )

    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    fifths = statistics.quantiles(values, n=5, method="inclusive")
    expected = {
        "average": statistics.mean(values),
        "median": statistics.median(values),
        "std-dev": statistics.stdev(values),
        "variance": statistics.variance(values),
        "sum": sum(values),
        "minimum": 2,
        "maximum": 9,
        "count": 8,
        "4-lower": lower,
        "4-upper": upper,
        "4-dev": (upper - lower) / 2,
        "20-percent": fifths[0],
        "5-4": fifths[3],
    }
    assert {code: value_of(answer.json(), code)["value"] for code in asked.split(",")} == pytest.approx(expected)
    assert value_of(answer.json(), "average")["code"] == "g"
    assert value_of(answer.json(), "count")["code"] == "1"


async def test_stats_of_a_period_convert_units_and_count_what_has_none(bedside: Bedside) -> None:
    await bedside.mass(1000, "2025-01-01", "a")
    kept = [await bedside.mass(1, "2026-01-01", "a"), await bedside.mass(2, "2026-01-02", "a")]
    kept.append(await bedside.mass(4000, "2026-01-03", "a", unit="mg"))
    kept.append(await bedside.mass(9, "2026-01-03", "a", unit="mm[Hg]"))
    component = {"code": {"coding": [{"system": "urn:codes", "code": "b"}]}}
    quantity = {"value": 8, "unit": "g", "system": "http://unitsofmeasure.org", "code": "g"}
    part = await bedside.mass(3, "2026-01-04", "panel", component=[{**component, "valueQuantity": quantity}])
    asked = parameters(
        subject=("valueUri", bedside.reference),
        period=("valuePeriod", {"start": "2026-01-01", "end": "2026-01-31"}),
        include=("valueBoolean", True),
    )
    asked["parameter"] += [{"name": "coding", "valueCoding": {"system": "urn:codes", "code": code}} for code in "ab"]
    asked["parameter"] += [{"name": "statistic", "valueCode": one} for one in ("sum", "count", "total-count", "skew")]

    answer = (await bedside.world.system.post("/fhir/Observation/$stats", json=asked)).json()

    shown = [value_of(answer, code)["value"] for code in ("sum", "count", "total-count")]
    assert shown == [7, 3, 4]
    assert (value_of(answer, "sum", at=1)["value"], value_of(answer, "skew", at=1)) == (8, None)
    assert sorted(one["resource"]["id"] for one in answer["parameter"] if one["name"] == "source") == sorted(
        [*kept, part]
    )
    assert answer["parameter"][0]["resource"]["subject"] == {"reference": bedside.reference}


async def test_stats_of_the_last_hours(bedside: Bedside) -> None:
    now = datetime.now(UTC)
    await bedside.mass(5, (now - timedelta(hours=1)).isoformat(), "a")
    await bedside.mass(7, (now - timedelta(hours=5)).isoformat(), "a")
    hours = parameters(subject=("valueUri", bedside.reference), duration=("valueDecimal", 2.5))
    hours["parameter"] += [{"name": "code", "valueString": "a"}, {"name": "statistic", "valueCode": "sum"}]
    both = {**hours, "parameter": [*hours["parameter"], {"name": "period", "valuePeriod": {"start": "2026"}}]}

    answer = await bedside.world.system.post("/fhir/Observation/$stats", json=hours)
    refused = await bedside.world.system.post("/fhir/Observation/$stats", json=both)

    assert value_of(answer.json(), "sum")["value"] == 5
    assert set(answer.json()["parameter"][0]["resource"]["effectivePeriod"]) == {"start", "end"}
    assert (refused.status_code, "not both" in refused.text) == (400, True)


async def test_a_text_with_a_comparator_is_no_number(bedside: Bedside) -> None:
    below = {"value": 1, "comparator": "<", "unit": "g", "system": "http://unitsofmeasure.org", "code": "g"}
    await bedside.mass(1, "2026-01-01", "a", valueQuantity=below)
    asked = f"subject={bedside.reference}&code=a&statistic=average,count,total-count"

    answer = (await bedside.world.system.get(f"/fhir/Observation/$stats?{asked}")).json()

    assert value_of(answer, "average") is None
    assert [value_of(answer, code)["value"] for code in ("count", "total-count")] == [0, 1]


async def test_series_ask_for_the_right_to_search(bedside: Bedside) -> None:
    async with await bedside.world.person(bedside.patient, "patient/Observation.r") as person:
        answers = [
            await person.get(f"/fhir/Observation/$lastn?patient={bedside.patient}"),
            await person.get(f"/fhir/Observation/$stats?subject={bedside.reference}&code=a&statistic=sum"),
        ]

    assert [answer.status_code for answer in answers] == [403, 403]


async def test_regression_counts_days_from_the_beginning(bedside: Bedside) -> None:
    for day in (1, 2, 4):
        await bedside.mass(10 + 2 * day, f"2026-01-{day:02}", "a")
    asked = f"subject={bedside.reference}&code=a&statistic=regression,kurtosis"

    answer = (await bedside.world.system.get(f"/fhir/Observation/$stats?{asked}")).json()

    slope, intercept, kurtosis = answer["parameter"][0]["resource"]["component"]
    assert (slope["valueQuantity"]["value"], slope["valueQuantity"]["code"]) == (2, "(g)/d")
    assert intercept["valueQuantity"]["value"] == 12
    assert kurtosis["dataAbsentReason"]["coding"][0]["code"] == "not-a-number"
