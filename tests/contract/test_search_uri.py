"""Uri parameters: https://hl7.org/fhir/R4/search.html#uri."""

from __future__ import annotations

import pytest

from tests.contract.case import Case

BASE = "http://example.org/{0}/fhir"


@pytest.fixture
async def value_sets(case: Case) -> Case:
    ends = {"a": "", "b": "/one", "c": "/one/two", "d": "x"}
    await case.store.write(
        [case.put_of(case.resource("ValueSet", label, url=BASE.format(case.name) + end)) for label, end in ends.items()]
    )
    return case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param(f"url={BASE}/none", "", id="nothing"),
        pytest.param(f"url={BASE}", "a", id="the whole address"),
        pytest.param(f"url={BASE.upper()}", "", id="with its case"),
        pytest.param(f"url={BASE},{BASE}/one", "ab", id="one of a list"),
        pytest.param(f"url:below={BASE}/one", "bc", id="below"),
        pytest.param(f"url:below={BASE}", "abcd", id="below, as far as the text agrees"),
        pytest.param(f"url:above={BASE}/one/two", "abc", id="above"),
        pytest.param(f"url:above={BASE}/one/two/three", "abc", id="above what is not there"),
        pytest.param(f"url:above={BASE}/none,{BASE}x", "ad", id="above one of a list"),
        pytest.param("url:missing=true", "", id="missing"),
        pytest.param(f"url:below={BASE}_one", "", id="below, an underline being a sign like any other"),
        pytest.param(f"url:below={BASE}/one\\\\", "", id="below, a backslash too"),
        pytest.param(f"url:below={BASE}%25", "", id="below, a percent sign too"),
    ],
)
async def test_a_uri_is_found(value_sets: Case, asked: str, found: str) -> None:
    labels = await value_sets.labels("ValueSet", f"{asked.format(value_sets.name)}&_sort=_id")

    assert "".join(labels) == found
