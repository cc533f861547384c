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


async def test_a_birth_date_may_have_several_bounds(case: Case) -> None:
    for label in ("1990-05", "1990-05-02", "1991-01-01"):
        await case.put("Patient", label, birthDate=label)
    expected = {
        "birthdate=1990&birthdate=ge1990-05-02": ["1990-05", "1990-05-02"],
        "birthdate=ge1980&birthdate=ge1991": ["1991-01-01"],
        "birthdate=1990-05&birthdate=1990": ["1990-05", "1990-05-02"],
        "birthdate=1990-05-02&birthdate:missing=false": ["1990-05-02"],
    }

    assert {asked: await case.labels("Patient", f"{asked}&_sort=_id") for asked in expected} == expected


ACROSS = {
    "ge-before": {"start": "2020-05-20", "end": "2020-06-10"},
    "ge-beyond": {"start": "2020-05-20", "end": "2020-07-10"},
    "ge-open": {"start": "2020-05-20"},
    "in": {"start": "2020-06-05", "end": "2020-06-10"},
    "le-behind": {"start": "2020-06-20", "end": "2020-07-10"},
    "le-open": {"start": "2020-06-20"},
}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("date=ge2020-06", ["ge-beyond", "ge-open", "in", "le-behind", "le-open"], id="ge: ends in it"),
        pytest.param("date=le2020-06", ["ge-before", "ge-beyond", "ge-open", "in"], id="le: begins in it"),
        pytest.param("date=ge2020-06&date=le2020-06", ["ge-beyond", "ge-open", "in"], id="both"),
        pytest.param("date=ge2020-06,lt2019", ["ge-beyond", "ge-open", "in", "le-behind", "le-open"], id="one of two"),
        pytest.param(
            "date=ge2020-06&_id:not=x", ["ge-beyond", "ge-open", "in", "le-behind", "le-open"], id="not an id"
        ),
        pytest.param(
            "date=ge2020-06&date=ge2020-05-21", ["ge-beyond", "ge-open", "in", "le-behind", "le-open"], id="two"
        ),
        pytest.param(
            "_filter=date le 2020-06 or status eq amended", ["ge-before", "ge-beyond", "ge-open", "in"], id="or"
        ),
    ],
)
async def test_a_period_across_the_near_edge_is_neither_greater_nor_equal(
    case: Case, asked: str, found: list[str]
) -> None:
    """As docs/decisions/009-what-a-prefix-means.md has it."""
    for label, period in ACROSS.items():
        await case.put("Observation", label, effectivePeriod=period)

    counted = await case.search("Observation", asked, count=0, total=True)
    first = await case.search("Observation", f"{asked}&_sort=_id", count=2, total=True)

    assert await case.labels("Observation", f"{asked}&_sort=_id") == found
    assert await pages(case, f"{asked}&_sort=_id") == found
    assert (counted.total, first.total, case.labels_of(first)) == (len(found), len(found), found[:2])


COARSE = {
    "birthdate=le1980-02": ["1980", "1980-02", "1980-02-01"],
    "birthdate=le1980-01-01": [],
    "birthdate=ge1980-02-29": ["1980", "1981"],
    "birthdate=ge1980-03": ["1980", "1981"],
    "birthdate=ge1980": ["1980", "1980-02", "1980-02-01", "1981"],
    "birthdate=le1980": ["1980", "1980-02", "1980-02-01"],
    "birthdate=le1980-02-01T00:00:00Z": ["1980"],
    "birthdate=ge1980-02-01T23:59:59Z": ["1980", "1980-02", "1981"],
}


@pytest.mark.parametrize("asked", COARSE)
async def test_a_year_a_month_or_a_day_across_the_near_edge_is_neither_greater_nor_equal(
    case: Case, asked: str
) -> None:
    found = COARSE[asked]
    for label in ("1980", "1980-02", "1980-02-01", "1981"):
        patient = await case.put("Patient", label, birthDate=label)
        subject = {"reference": f"Patient/{patient.id}"}
        await case.put("Observation", label, subject=subject, effectiveDateTime=label)

    assert await case.labels("Patient", f"{asked}&_sort=_id") == found
    assert (await case.search("Patient", asked, count=0, total=True)).total == len(found)
    assert await case.labels("Observation", f"{asked.replace('birthdate', 'date')}&_sort=_id") == found
    assert await case.labels("Observation", f"patient.{asked}&_sort=_id") == found
    behind = asked.replace("birthdate", "_has:Observation:patient:date")
    assert await case.labels("Patient", f"{behind}&_sort=_id") == found


async def test_a_period_across_the_near_edge_is_not_meant_beside_a_code_or_among_several(case: Case) -> None:
    for label, period in ACROSS.items():
        await case.put("Observation", label, valuePeriod=period)
        await case.put("Encounter", label, location=[{"location": {"display": "x"}, "period": period}] * 2)

    assert await case.labels("Observation", "code-value-date=718-7$le2020-06&_sort=_id") == [
        "ge-before",
        "ge-beyond",
        "ge-open",
        "in",
    ]
    assert await case.labels("Encounter", "location-period=le2020-06&_sort=_id") == [
        "ge-before",
        "ge-beyond",
        "ge-open",
        "in",
    ]


async def test_a_tenth_of_a_second_lasts_longer_than_a_hundredth(case: Case) -> None:
    await case.put("Observation", "a", effectiveDateTime="2026-01-01T00:00:00.5Z")
    expected = {"2026-01-01T00:00:00.5Z": ["a"], "2026-01-01T00:00:00.50Z": [], "2026-01-01T00:00:00Z": ["a"]}

    assert {text: await case.labels("Observation", f"date={text}") for text in expected} == expected


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
        "date=ne2026-01-01": ["ahead"],
        "date=ne2025": ["behind"],
        "date=ne2025-12-31,ne2025": ["behind"],
        "date:missing=false&date=ne2026-01": ["ahead"],
        "date:missing=true&date=2026-01": [],
        "date:missing=false&date:missing=false": ["ahead", "behind"],
        "date:missing=false&date:missing=true": [],
        "date=ge2020&date=gt2025-01-01&date=2026": ["behind"],
        "date=ge2020&date=gt2025-12-31T20:00:00Z&date=lt2026-01-01": ["ahead"],
        "date=2026&date=2026-01&date=ne2025": ["behind"],
    }

    assert {asked: await case.labels("Observation", f"{asked}&_sort=_id") for asked in expected} == expected


async def test_a_day_is_the_one_in_utc_behind_references_too(case: Case) -> None:
    for label, moment in {"ahead": "2026-01-01T00:30:00+01:00", "behind": "2025-12-31T23:30:00-02:00"}.items():
        await case.put("Patient", label, deceasedDateTime=moment)
        about = {"reference": f"Patient/{case.name}-{label}"}
        await case.put("Observation", label, subject=about, effectiveDateTime=moment)
        parts = [{"reference": f"Observation/{case.name}-{label}"}, {"reference": about["reference"]}]
        await case.put("List", label, status="current", mode="working", entry=[{"item": part} for part in parts])
    expected = {
        "List": {
            "item:Observation.date=2026-01-01": ["behind"],
            "item:Patient.death-date=2025": ["ahead"],
        },
        "Patient": {
            "_has:Observation:patient:date=2025-12-31": ["ahead"],
            "_has:Observation:patient:date=2026-01": ["behind"],
            "_has:Observation:patient:date=2026": ["behind"],
            "_has:Observation:patient:date=2024,2026-01-01": ["behind"],
            "_has:List:item:item:Observation.date=2026-01-01": ["behind"],
            "_has:Observation:patient:date=ne2025-12-31": ["behind"],
            "_has:Observation:patient:date=ge2026,lt2024": ["behind"],
        },
        "Observation": {
            "patient.death-date=2026-01-01": ["behind"],
            "patient.death-date=ne2026-01-01": ["ahead"],
            "subject:Patient.death-date=2024,2025-12-31": ["ahead"],
            "patient.death-date=ge2020&patient.death-date=gt2025-12-31T20:00:00Z": ["ahead", "behind"],
        },
    }

    found = {
        type_: {each: await case.labels(type_, f"{each}&_sort=_id") for each in asked}
        for type_, asked in expected.items()
    }

    assert found == expected


async def test_a_day_is_the_one_in_utc_beside_a_code_too(case: Case) -> None:
    for label, moment in {"ahead": "2026-01-01T00:30:00+01:00", "behind": "2025-12-31T23:30:00-02:00"}.items():
        await case.put("Observation", label, valueDateTime=moment)
    expected = {
        "code-value-date=718-7$2025-12-31": ["ahead"],
        "code-value-date=718-7$2026-01": ["behind"],
        "code-value-date=http://loinc.org|718-7$2026": ["behind"],
    }

    assert {asked: await case.labels("Observation", f"{asked}&_sort=_id") for asked in expected} == expected


async def test_a_day_is_the_one_in_utc_for_each_of_several_values(case: Case) -> None:
    moments = {"ahead": "2026-01-01T00:30:00+01:00", "behind": "2025-12-31T23:30:00-02:00"}
    for label, moment in moments.items():
        stays = [{"location": {"display": "a"}, "period": {"start": each, "end": each}} for each in (moment, moment)]
        await case.put("Encounter", label, location=stays)
    expected = {
        "location-period=2025-12-31": ["ahead"],
        "location-period=2026-01-01": ["behind"],
        "location-period=ne2026": ["ahead"],
    }

    assert {each: await case.labels("Encounter", f"{each}&_sort=_id") for each in expected} == expected


SECONDS = {
    "a-second": "2026-05-03T10:00:00Z",
    "b-first": "2026-05-03T10:00:00.000Z",
    "c-within": "2026-05-03T10:00:00.500Z",
    "d-next": "2026-05-03T10:00:01Z",
}


async def test_a_moment_to_the_second_lasts_a_second(case: Case) -> None:
    for label, moment in SECONDS.items():
        await case.put("Patient", label, deceasedDateTime=moment)
        about = {"reference": f"Patient/{case.name}-{label}"}
        await case.put("Observation", label, subject=about, effectiveDateTime=moment)
    expected = {
        "date=2026-05-03T10:00:00Z": "abc",
        "date=2026-05-03T10:00:00.000Z": "b",
        "date=2026-05-03T10:00:00.500Z": "c",
        "date=ne2026-05-03T10:00:00.000Z": "acd",
        "date=gt2026-05-03T10:00:00.000Z": "acd",
        "date=gt2026-05-03T10:00:00.600Z": "ad",
        "date=ge2026-05-03T10:00:00.000Z": "abcd",
        "date=ge2026-05-03T10:00:00.500Z": "acd",
        "date=le2026-05-03T10:00:00.000Z": "b",
        "date=le2026-05-03T10:00:00.999Z": "abc",
        "date=lt2026-05-03T10:00:00.500Z": "ab",
        "date=eb2026-05-03T10:00:00.500Z": "b",
        "date=sa2026-05-03T10:00:00.400Z": "cd",
        "date=lt2026-05-03T10:00:00.200Z,ge2026-05-03T10:00:00.700Z": "abd",
        "patient.death-date=ge2026-05-03T10:00:00.500Z": "acd",
        "patient.death-date=le2026-05-03T10:00:00.000Z": "b",
    }

    found = {
        asked: "".join(each[0] for each in await case.labels("Observation", f"{asked}&_sort=_id")) for asked in expected
    }
    paged = await pages(case, "date=ge2026-05-03T10:00:00.500Z&_sort=_id")
    first_not_meant = await pages(case, "date=ge2026-05-03T10:00:00.500Z&_sort=date,-_id")
    counted = await case.search("Observation", "date=ge2026-05-03T10:00:00.500Z", count=0, total=True)

    assert found == expected
    assert paged == first_not_meant == ["a-second", "c-within", "d-next"]
    assert counted.total == 3


async def pages(case: Case, asked: str) -> list[str]:
    """Pages of one."""
    page = await case.search("Observation", asked, count=1)
    found = case.labels_of(page)
    while page.cursor is not None:
        page = await case.search("Observation", asked, count=1, cursor=page.cursor)
        found += case.labels_of(page)
    return found
