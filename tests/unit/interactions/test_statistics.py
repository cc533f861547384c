"""The statistics of `$stats`; https://hl7.org/fhir/R4/valueset-observation-statistics.html.

Expected values: the examples of the functions SKEW and KURT in the documentation of a widespread spreadsheet program,
and Python's own `statistics` for the rest.
"""

from __future__ import annotations

import statistics
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.interactions.operations.statistics import STATISTICS, Sample, compute

EXAMPLE = (3, 4, 5, 2, 3, 4, 5, 6, 4, 7)


def sample(*values: object) -> Sample:
    numbers = tuple(Decimal(str(value)) for value in values)
    return Sample(numbers, tuple(Decimal(day) for day in range(len(numbers))), len(numbers))


def computed(code: str, *values: object, part: int = 0) -> Decimal | None:
    return compute(STATISTICS[code][part], sample(*values))


@pytest.mark.parametrize(("code", "expected"), [("skew", 0.359543071), ("kurtosis", -0.151799637)])
def test_shapes_are_those_of_the_published_example(code: str, expected: float) -> None:
    assert float(computed(code, *EXAMPLE) or 0) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("code", "values"),
    [
        *[(code, ()) for code in ("average", "median", "minimum", "maximum", "4-dev", "std-dev", "regression")],
        *[(code, (1,)) for code in ("std-dev", "variance", "skew", "kurtosis", "regression")],
        ("skew", (1, 2)),
        ("kurtosis", (1, 2, 3)),
        ("skew", (5, 5, 5)),
        ("kurtosis", (5, 5, 5, 5)),
    ],
    ids=str,
)
def test_a_sample_that_is_too_small_or_all_the_same_has_no_result(code: str, values: tuple[int, ...]) -> None:
    assert computed(code, *values) is None


def test_nothing_is_counted_and_summed_all_the_same() -> None:
    assert [computed(code) for code in ("count", "total-count", "sum")] == [0, 0, 0]


def test_a_line_without_an_intercept_has_no_slope_either() -> None:
    assert [computed("regression", 4, part=part) for part in (0, 1)] == [None, None]
    assert [computed("regression", 3, 5, 7, part=part) for part in (0, 1)] == [2, 3]


def test_results_are_exact_where_they_have_an_end_and_short_where_not() -> None:
    assert str(computed("sum", "0.1", "0.2")) == "0.3"
    assert str(computed("average", 1, 1, 2)) == "1.33333333333333"


def test_every_code_of_r4_has_its_statistic() -> None:
    assert len(STATISTICS) == 21


@given(st.lists(st.decimals(-1000, 1000, places=2), min_size=2, max_size=30))
def test_they_agree_with_the_statistics_of_the_library(values: list[Decimal]) -> None:
    quarters = statistics.quantiles(values, n=4, method="inclusive")
    expected = {
        "average": statistics.mean(values),
        "median": statistics.median(values),
        "variance": statistics.variance(values),
        "std-dev": statistics.stdev(values),
        "4-lower": quarters[0],
        "4-upper": quarters[2],
        "minimum": min(values),
        "maximum": max(values),
    }

    assert {code: float(computed(code, *values) or 0) for code in expected} == {
        code: pytest.approx(float(value), rel=1e-12, abs=1e-12) for code, value in expected.items()
    }
