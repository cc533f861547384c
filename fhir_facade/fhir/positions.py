"""Where a Location is, and how far that is from a point (https://hl7.org/fhir/R4/location.html#positional)."""

from __future__ import annotations

import math
from typing import Any, Final

from fhir_facade.values import JsonObject, NearValue

EARTH_RADIUS_M: Final = 6_371_008.8
"""Mean radius of WGS84 (https://epsg.org/ellipsoid_7030): a sphere of it is within 0.6 % of the ellipsoid."""

HALFWAY_ROUND_M: Final = math.pi * EARTH_RADIUS_M
"""Nothing is further away."""

Point = tuple[float, float]
"""Latitude and longitude in degrees."""

Box = tuple[float, float, float, float]
"""South, north, west and east in degrees; west > east when it lies across the 180th meridian."""


def position_of(resource: JsonObject) -> Point | None:
    """The position of a Location; None when it has none."""
    found = resource.get("position")
    if not isinstance(found, dict):
        return None
    latitude, longitude = (_degrees(found.get(name)) for name in ("latitude", "longitude"))
    return None if latitude is None or longitude is None else (latitude, longitude)


def _degrees(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def metres_between(one: Point, other: Point) -> float:
    """Along the great circle (haversine)."""
    (north, east), (other_north, other_east) = (tuple(map(math.radians, point)) for point in (one, other))
    half = (
        math.sin((other_north - north) / 2) ** 2
        + math.cos(north) * math.cos(other_north) * math.sin((other_east - east) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(half, 1.0)))


def is_near(point: Point, asked: NearValue) -> bool:
    return metres_between(point, (asked.latitude, asked.longitude)) <= asked.metres


def box_around(asked: NearValue) -> Box:
    """A box that holds everything near: all longitudes when a pole is in it."""
    reach = math.degrees(asked.metres / EARTH_RADIUS_M)
    south, north = asked.latitude - reach, asked.latitude + reach
    if south <= -90 or north >= 90:
        return max(south, -90.0), min(north, 90.0), -180.0, 180.0
    wide = math.degrees(math.asin(min(math.sin(math.radians(reach)) / math.cos(math.radians(asked.latitude)), 1.0)))
    return south, north, _wrapped(asked.longitude - wide), _wrapped(asked.longitude + wide)


def _wrapped(longitude: float) -> float:
    return longitude if -180 <= longitude <= 180 else (longitude + 180) % 360 - 180
