"""The order of what a search finds: https://hl7.org/fhir/R4/search.html#sort."""

from __future__ import annotations

import pytest

from tests.contract.case import Case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("", "abcd", id="by id when nothing is asked"),
        pytest.param("_sort=_id", "abcd", id="by id"),
        pytest.param("_sort=-_id", "dcba", id="by id, descending"),
        pytest.param("_sort=birthdate", "badc", id="by a date, then id"),
        pytest.param("_sort=-birthdate", "cadb", id="by a date, descending, then id ascending"),
        pytest.param("_sort=family", "cdab", id="by a string"),
        pytest.param("_sort=gender,-birthdate", "dbca", id="by two keys"),
        pytest.param("_sort=-_lastUpdated", "dcba", id="by the time of writing, descending"),
    ],
)
async def test_a_page_is_ordered(case: Case, asked: str, found: str) -> None:
    people = {
        "a": {"birthDate": "1990-01-02", "gender": "male", "name": [{"family": "Young"}]},
        "b": {"birthDate": "1980-01-01", "gender": "female", "name": [{"family": "Zorn"}]},
        "c": {"birthDate": "2000-03-03", "gender": "male", "name": [{"family": "Abel"}]},
        "d": {"birthDate": "1990-01-02", "gender": "female", "name": [{"family": "Bauer"}]},
    }
    for label, elements in people.items():
        await case.put("Patient", label, **elements)

    assert "".join(await case.labels("Patient", asked)) == found


async def test_readings_of_one_moment_keep_their_order(case: Case) -> None:
    labels = [f"{number:02}" for number in range(12)]
    moment = {"effectiveDateTime": "2026-01-01T00:00:00Z"}
    await case.store.write([case.put_of(case.resource("Observation", label, **moment)) for label in labels])

    assert [await case.labels("Observation", "_sort=-date") for _ in range(3)] == [labels] * 3
