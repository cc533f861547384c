"""Distances on the globe, and the box that holds everything within one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.fhir.positions import box_around, is_near, metres_between
from fhir_facade.values import NearValue

LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)


@pytest.mark.parametrize(
    ("one", "other", "kilometres"),
    [
        ((0.0, 0.0), (0.0, 0.0), 0),
        ((0.0, 0.0), (0.0, 1.0), 111.2),
        ((90.0, 0.0), (-90.0, 120.0), 20015.1),
        ((48.8566, 2.3522), (51.5074, -0.1278), 343.6),  # Paris and London
        ((0.0, 179.5), (0.0, -179.5), 111.2),
    ],
)
def test_a_distance_is_that_along_the_great_circle(
    one: tuple[float, float], other: tuple[float, float], kilometres: float
) -> None:
    assert metres_between(one, other) / 1000 == pytest.approx(kilometres, abs=0.1)


def test_a_box_over_a_pole_has_all_longitudes() -> None:
    assert box_around(NearValue(89.9, 50, 100_000))[1:] == (90.0, -180.0, 180.0)
    assert box_around(NearValue(-89.9, 50, 100_000))[0] == -90.0


@given(LATITUDES, LONGITUDES, LATITUDES, LONGITUDES, st.floats(0, 3_000_000))
def test_whatever_is_near_lies_in_the_box(north: float, east: float, at: float, along: float, metres: float) -> None:
    asked = NearValue(north, east, metres)
    south, top, west, right = box_around(asked)
    slack = 1e-6

    inside = (
        west - slack <= along <= right + slack if west <= right else along >= west - slack or along <= right + slack
    )

    if is_near((at, along), asked):
        assert south - slack <= at <= top + slack
        assert inside or abs(abs(along) - 180) <= slack or top >= 90 - slack or south <= -90 + slack
