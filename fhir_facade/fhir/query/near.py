"""`near`: a point and how far around it (https://hl7.org/fhir/R4/location.html#positional)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.positions import HALFWAY_ROUND_M
from fhir_facade.fhir.query.escape import split, unescape
from fhir_facade.fhir.query.numbers import parse_number
from fhir_facade.values import NearValue
from terminology import ucum

DEFAULT_DISTANCE: Final = "10"
DEFAULT_UNIT: Final = "km"
METRE: Final = "m"
_ALLOWED = "allowed is latitude|longitude[|distance[|unit]], degrees with a point and a UCUM unit of length"


def parse_near(name: str, raw: str) -> NearValue:
    """Without a distance what lies within 10 km is near; without a unit a distance is in km. BadRequest otherwise."""
    parts = [unescape(part) for part in split(raw, "|")]
    if len(parts) not in (2, 3, 4):
        raise BadRequest(f"{name}: {raw!r} is no place; {_ALLOWED}")
    latitude, longitude = (_degrees(name, text, limit) for text, limit in zip(parts, (90, 180), strict=False))
    distance, unit = ([*parts[2:], "", ""])[:2]
    return NearValue(float(latitude), float(longitude), _metres(name, distance or DEFAULT_DISTANCE, unit))


def _degrees(name: str, text: str, limit: int) -> Decimal:
    number = _plain(name, text)
    if abs(number) > limit:
        raise BadRequest(f"{name}: {text!r} is beyond {limit} degrees; {_ALLOWED}")
    return number


def _plain(name: str, text: str) -> Decimal:
    if text[:1].isalpha():
        raise BadRequest(f"{name}: {text!r} takes no prefix; {_ALLOWED}")
    return parse_number(name, text).number


def _metres(name: str, text: str, unit: str) -> float:
    try:
        metres = ucum.convert(_plain(name, text), unit or DEFAULT_UNIT, METRE)
    except (ucum.UnknownUnit, ucum.IncomparableUnits) as error:
        raise BadRequest(f"{name}: {unit!r} is no unit of length known here; {_ALLOWED}") from error
    if metres < 0:
        raise BadRequest(f"{name}: the distance {text!r} is negative; {_ALLOWED}")
    return min(float(metres), HALFWAY_ROUND_M)
