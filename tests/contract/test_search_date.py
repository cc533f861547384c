"""Date parameters, their prefixes and precisions: https://hl7.org/fhir/R4/search.html#date."""

from __future__ import annotations

import pytest

from tests.contract.case import Case

WHEN = {
    "a-before": {"effectiveDateTime": "2019-12-31"},
    "b-first-day": {"effectiveDateTime": "2020-01-01"},
    "c-instant": {"effectiveDateTime": "2020-06-15T10:00:00Z"},
    "d-last-moment": {"effectiveDateTime": "2020-12-31T23:59:59.999Z"},
    "e-year-after": {"effectiveDateTime": "2021"},
    "f-period": {"effectivePeriod": {"start": "2020-06-01", "end": "2020-06-30"}},
    "g-open": {"effectivePeriod": {"start": "2020-06-01"}},
    "h-none": {},
}


@pytest.fixture
async def readings(case: Case) -> Case:
    resources = [case.resource("Observation", label, **elements) for label, elements in WHEN.items()]
    await case.store.write([case.put_of(resource) for resource in resources])
    return case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("date=2018", "", id="nothing"),
        pytest.param("date=2020", "bcdf", id="a year contains"),
        pytest.param("date=2020-06", "cf", id="a month contains"),
        pytest.param("date=2020-06-15", "c", id="a day"),
        pytest.param("date=2020-06-15T10:00Z", "c", id="a minute"),
        pytest.param("date=2020-06-15T12:00:00%2B02:00", "c", id="a second in another zone"),
        pytest.param("date=2020-06-15T10:00:00.001Z", "", id="a millisecond beside"),
        pytest.param("date=ne2020", "aeg", id="not in a year"),
        pytest.param("date=gt2020", "eg", id="after a year"),
        pytest.param("date=ge2020", "bcdefg", id="a year and after"),
        pytest.param("date=ge2020-01-01", "bcdefg", id="a day and after"),
        pytest.param("date=lt2020", "a", id="before a year"),
        pytest.param("date=le2021", "abcdefg", id="a year and before"),
        pytest.param("date=le2020-01", "ab", id="a month and before"),
        pytest.param("date=lt2020-06-15", "abfg", id="before a day, periods that begin before"),
        pytest.param("date=sa2020-06-01", "cde", id="starts after"),
        pytest.param("date=sa2020", "e", id="starts after a year"),
        pytest.param("date=eb2020-06-30", "abc", id="ends before"),
        pytest.param("date=eb2020", "a", id="ends before a year"),
        pytest.param("date=ap2020-06-15T10:00:00Z", "abcdefg", id="around, as wide as it is long ago"),
        pytest.param("date=ge2020-06-01&date=lt2020-07-01", "cfg", id="from and until"),
        pytest.param("date=2019,2021", "ae", id="one of two years"),
        pytest.param("date=lt2020,gt2020", "aeg", id="before or after"),
        pytest.param("date:missing=true", "h", id="missing"),
        pytest.param("date:missing=false", "abcdefg", id="present"),
    ],
)
async def test_a_date_is_found(readings: Case, asked: str, found: str) -> None:
    labels = await readings.labels("Observation", f"{asked}&_sort=_id")

    assert "".join(label[0] for label in labels) == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("birthdate=1990", ["day", "month", "year"], id="a year"),
        pytest.param("birthdate=ge1990", ["day", "month", "year"], id="a year and after"),
        pytest.param("birthdate=le1990", ["day", "month", "year"], id="a year and before"),
        pytest.param("birthdate=ge1990-05-02", ["day", "month", "year"], id="dates that may be later"),
        pytest.param("birthdate=1990-05", ["month"], id="a month"),
        pytest.param("birthdate=gt1990", [], id="after a year"),
    ],
)
async def test_a_birth_date_may_be_partial(case: Case, asked: str, found: list[str]) -> None:
    born = {"year": "1990", "month": "1990-05", "day": "1990-12-31"}
    await case.store.write([case.put_of(case.resource("Patient", label, birthDate=born[label])) for label in born])

    assert await case.labels("Patient", f"{asked}&_sort=_id") == found


async def test_the_time_of_writing_is_searched_like_a_date(case: Case) -> None:
    first = await case.put("Patient", "a")
    second = await case.put("Patient", "b")
    moment = second.last_updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    year = first.last_updated.year

    found = {
        asked: await case.labels("Patient", f"{asked}&_sort=_id")
        for asked in (
            f"_lastUpdated={moment}",
            f"_lastUpdated=lt{moment}",
            f"_lastUpdated=ge{moment}",
            f"_lastUpdated=gt{moment}",
            f"_lastUpdated=le{moment}&_lastUpdated=ge{year}",
            f"_lastUpdated=ge{year}&_lastUpdated=le{moment}&_lastUpdated=lt{year + 1}",
            f"_lastUpdated=ne{moment}",
            f"_lastUpdated=lt{year},gt{year}",
        )
    }

    assert list(found.values()) == [["b"], ["a"], ["b"], [], ["a", "b"], ["a", "b"], ["a"], []]


@pytest.mark.parametrize(
    ("asked", "period"),
    [
        pytest.param("date=ge2020-06", {"start": "2020-05-20", "end": "2020-06-10"}, id="begins before, ends in it"),
        pytest.param("date=le2020-06", {"start": "2020-06-20", "end": "2020-07-10"}, id="begins in it, ends after"),
    ],
)
async def test_a_period_across_the_near_edge_is_neither_greater_nor_equal(
    case: Case, request: pytest.FixtureRequest, asked: str, period: dict[str, str]
) -> None:
    """The one place where HAPI reads `ge` and `le` in its own way: docs/decisions/009-what-a-prefix-means.md."""
    await case.put("Observation", "across", effectivePeriod=period)

    found = await case.labels("Observation", asked)

    assert found == ([] if "embedded" in request.node.name else ["across"])


async def test_a_moment_belongs_to_the_day_that_it_is_in_utc(case: Case) -> None:
    await case.put("Observation", "ahead", effectiveDateTime="2026-01-01T00:30:00+01:00")
    await case.put("Observation", "behind", effectiveDateTime="2025-12-31T23:30:00-02:00")
    expected = {
        "date=2025-12-31": ["ahead"],
        "date=2026-01-01": ["behind"],
        "date=2026": ["behind"],
        "date=2024,2025": ["ahead"],
        "date=ge2026": ["behind"],
        "date=lt2026-01-01": ["ahead"],
    }

    assert {asked: await case.labels("Observation", f"{asked}&_sort=_id") for asked in expected} == expected
