"""The readings of a patient as a person looks at them: a series per kind, found through the door.

    kinds() -> tuple[Kind, ...]                                          readings.toml
    readings_of(ports, principal, patient, zone=…, first=…) -> [Series, …]

https://hl7.org/fhir/R4/observation.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

import msgspec

from fhir_facade.fhir.document import decimal_loads
from fhir_facade.flows.admission import UNKNOWN, Origin
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.rules.observations import FINAL, Code, effective, has_code, own_day, quantity
from fhir_facade.values import FhirRequest, Interaction, Principal
from terminology import ucum
from terminology.canonical import LOINC

MOST: Final = 500
"""So many readings of one kind are shown, the newest; a series says when there are more."""

_SHOWN: Final = FINAL | {"preliminary"}


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of reading; readings.toml says what the fields mean."""

    id: str
    codes: list[str]
    unit: str
    shape: Literal["bars", "line"]
    digits: int
    system: str = LOINC
    parts: list[str] = []
    per: int = 1

    @property
    def token(self) -> str:
        """The codes as the value of a token search parameter."""
        return ",".join(f"{self.system}|{code}" for code in self.codes)

    def fits(self, observation: Mapping[str, Any]) -> bool:
        return has_code(observation, *((self.system, code) for code in self.codes))


class _Table(msgspec.Struct):
    source: str
    kinds: list[Kind]


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind that is shown, in the order of the page."""
    raw = (files("fhir_facade.flows") / "readings.toml").read_bytes()
    return tuple(msgspec.toml.decode(raw, type=_Table).kinds)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading in the unit of its kind, divided by `per`. `second` is the other part of a panel.

    `day` is the civil day; `at` is None where only the day is known.
    """

    id: str
    day: date
    at: datetime | None
    value: Decimal
    second: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """The readings of one kind, oldest first; bars have at most one per day. `more`: there are older ones."""

    kind: Kind
    readings: tuple[Reading, ...]
    more: bool = False


async def readings_of(
    ports: Ports, principal: Principal, patient: str, *, zone: tzinfo, first: date, origin: Origin = UNKNOWN
) -> Sequence[Series]:
    """One series per kind that has readings since the day `first`: one search per kind, at the same time."""
    found = await asyncio.gather(
        *(_series(ports, principal, _asked(patient, kind, first, origin), kind, zone) for kind in kinds())
    )
    return [series for series in found if series.readings]


def _asked(patient: str, kind: Kind, first: date, origin: Origin) -> FhirRequest:
    params = (
        ("patient", patient),
        ("code", kind.token),
        ("date", f"ge{first.isoformat()}"),
        ("_sort", "-date"),
        ("_count", str(MOST)),
    )
    return FhirRequest(
        Interaction.SEARCH_TYPE,
        "Observation",
        params=params,
        request_id=origin.request_id,
        address=origin.address,
    )


async def _series(ports: Ports, principal: Principal, request: FhirRequest, kind: Kind, zone: tzinfo) -> Series:
    response = await dispatch(ports, principal, request)
    bundle = decimal_loads(response.body)
    observations = [entry["resource"] for entry in bundle.get("entry", ())]
    more = any(link["relation"] == "next" for link in bundle.get("link", ()))
    return Series(kind, series_of(kind, observations, zone), more)


def series_of(kind: Kind, observations: Iterable[Mapping[str, Any]], zone: tzinfo) -> tuple[Reading, ...]:
    """The readings of a kind among Observations, oldest first; what cannot be read is left out."""
    found = sorted(_readings(kind, observations, zone), key=lambda reading: (reading.day, _moment(reading)))
    return tuple(_daily(found)) if kind.shape == "bars" else tuple(found)


def _moment(reading: Reading) -> float:
    return reading.at.timestamp() if reading.at is not None else 0.0


def _readings(kind: Kind, observations: Iterable[Mapping[str, Any]], zone: tzinfo) -> Iterator[Reading]:
    for observation in observations:
        day = own_day(observation, zone)
        values = _values(kind, observation)
        if day is not None and values and observation.get("status") in _SHOWN and _kind_of(observation) is kind:
            yield Reading(observation["id"], day, _at(observation, zone), *values)


def _kind_of(observation: Mapping[str, Any]) -> Kind | None:
    return next((kind for kind in kinds() if kind.fits(observation)), None)


def _values(kind: Kind, observation: Mapping[str, Any]) -> tuple[Decimal, ...]:
    """The value, or the parts of a panel in order; nothing unless all are there."""
    if not kind.parts:
        found = [_value(kind, observation)]
    else:
        found = [_component(kind, observation, (kind.system, part)) for part in kind.parts]
    values = tuple(value for value in found if value is not None)
    return values if len(values) == len(found) else ()


def _component(kind: Kind, observation: Mapping[str, Any], code: Code) -> Decimal | None:
    part = next((each for each in observation.get("component", ()) if has_code(each, code)), None)
    return None if part is None else _value(kind, part)


def _value(kind: Kind, part: Mapping[str, Any]) -> Decimal | None:
    found = quantity(part)
    if found is None:
        return None
    try:
        return ucum.convert(found[0], found[1], kind.unit) / kind.per
    except ValueError:  # another dimension, or a unit that is not known here
        return None


def _at(observation: Mapping[str, Any], zone: tzinfo) -> datetime | None:
    """When it ended, by the person's clock; None for a civil day."""
    span = effective(observation, zone)
    written = observation.get("effectiveDateTime") or (observation.get("effectivePeriod") or {}).get("end") or ""
    return span[1].astimezone(zone) if span is not None and "T" in str(written) else None


def _daily(readings: Iterable[Reading]) -> Iterator[Reading]:
    """The sum of each day, under the id of its first reading."""
    days: dict[date, Reading] = {}
    for reading in readings:
        known = days.get(reading.day)
        total = reading.value if known is None else known.value + reading.value
        days[reading.day] = Reading(known.id if known else reading.id, reading.day, None, total)
    yield from days.values()
