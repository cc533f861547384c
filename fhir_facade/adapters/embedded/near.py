"""Places within a distance of a position. https://hl7.org/fhir/R4/location.html#search"""

from __future__ import annotations

from fhir_facade.adapters.embedded.catalogue import NEAR, Catalogue
from fhir_facade.adapters.embedded.source import Condition, Sql
from fhir_facade.fhir.positions import box_around
from fhir_facade.values import Match, NearValue


def near(catalogue: Catalogue, type: str, match: Match) -> Condition:
    """Within a box first, which the index finds, then by the distance itself."""
    latitude, longitude = (catalogue.param(type, name) for name in NEAR)
    places = [_place(longitude, value) for value in match.values if isinstance(value, NearValue)]
    where = " OR ".join(f"({sql})" for sql, _ in places)
    args = (latitude, *(arg for _, args in places for arg in args))
    return Condition("idx_number", f"param = ? AND ({where})", args)


def _place(longitude: int, asked: NearValue) -> Sql:
    south, north, west, east = box_around(asked)
    within = "o.low BETWEEN ? AND ?" if west <= east else "NOT o.low BETWEEN ? AND ?"
    other = f"""EXISTS (SELECT 1 FROM idx_number o WHERE o.pk = idx_number.pk AND o.param = ? AND {within}
      AND fhir_metres(idx_number.low, o.low, ?, ?) <= ?)"""
    ends = (west, east) if west <= east else (east, west)
    args = (south, north, longitude, *ends, asked.latitude, asked.longitude, asked.metres)
    return f"low BETWEEN ? AND ? AND {other}", args
