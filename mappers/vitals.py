"""Readings a person types in become FHIR Observations: https://hl7.org/fhir/R4/observation-vitalsigns.html

    to_observations(entry, context: VitalsContext) -> list[dict]    VitalsError names the member that is wrong

`entry` is one JSON object. Every member is optional, at least one reading is needed:

| member | form |
|---|---|
| heart_rate, resting_heart_rate, respiratory_rate, oxygen_saturation, temperature, weight, height, bmi, body_fat | a number in /min, %, Cel, kg, cm, kg/m2, or `{"value": 180, "unit": "[lb_av]"}` |
| glucose, fasting_glucose, hba1c, total_cholesterol, hdl_cholesterol | `{"value": 5.5, "unit": "mmol/L"}`: the unit must be given, it selects the LOINC code |
| blood_pressure | `{"systolic": 120, "diastolic": 80}`; one of the two may be missing |
| mepa_score | points of 16 |
| nicotine_exposure | never, former-5y, former-1-5y, former-1y, inhaled-nds, current |
| secondhand_smoke, diabetes, lipid_treatment, blood_pressure_treatment | true or false |
| effective | when it was measured: a date, or a time with its offset; the time of the request when absent |

The rows are in vitals.json, with what is plausible in each unit and the source of it. The unit a person gives is kept;
nothing is converted. Observations carry no id.
"""  # noqa: E501  one table row per line

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from mappers.observation import absent, category, component, quantity
from mappers.vendor_values import Unreadable, number
from terminology.codes import UnknownCode, concept

EFFECTIVE = "a date (2026-08-09) or a time with its offset (2026-08-09T07:30:00+02:00)"


class VitalsError(ValueError):
    """What was typed in cannot be recorded; `member` says where, the text says what to write instead."""

    def __init__(self, member: str, text: str) -> None:
        super().__init__(f"{member}: {text}")
        self.member = member


@dataclass(frozen=True, slots=True)
class VitalsContext:
    """Whose readings, who entered them (`Patient/…` when None), and the time to use when none is given."""

    patient_id: str
    now: datetime
    performer_reference: str | None = None
    device_reference: str | None = None


Bounds = tuple[Decimal, Decimal]
"""The least and the most that can be a reading."""


class _Numbers(msgspec.Struct, frozen=True):
    category: str
    plausible: dict[str, Bounds]
    plausible_source: str
    units: dict[str, list[tuple[str, str]]]
    default: str | None = None
    aliases: dict[str, str] = {}
    zero: bool = False


class _Panel(msgspec.Struct, frozen=True):
    category: str
    plausible: dict[str, Bounds]
    plausible_source: str
    codes: list[tuple[str, str]]
    parts: dict[str, list[tuple[str, str]]]
    units: list[str]
    default: str
    aliases: dict[str, str]


class _Answer(msgspec.Struct, frozen=True):
    category: str
    code: tuple[str, str]
    answers: str | None = None


class _Table(msgspec.Struct, frozen=True):
    source: str
    meaning: str
    numbers: dict[str, _Numbers]
    panels: dict[str, _Panel]
    answers: dict[str, _Answer]


@cache
def _table() -> _Table:
    return msgspec.json.decode((files("mappers") / "vitals.json").read_bytes(), type=_Table)


def members() -> tuple[str, ...]:
    """Every reading that may be entered."""
    table = _table()
    return (*table.numbers, *table.panels, *table.answers)


def forms() -> dict[str, str]:
    """What each member takes, in words, for whoever writes one."""
    table = _table()
    return {
        **{name: _form(row) for name, row in table.numbers.items()},
        **{name: f"an object with {' and '.join(row.parts)} in {row.default}" for name, row in table.panels.items()},
        **{name: f"a code of {row.answers}" if row.answers else "true or false" for name, row in table.answers.items()},
        "effective": f"{EFFECTIVE}; the time of the request when absent",
    }


def _form(row: _Numbers) -> str:
    units = f"an object with value and unit, out of {', '.join(row.units)}"
    return f"a number in {row.default}, or {units}" if row.default else units


def _unit(member: str, given: object, aliases: Mapping[str, str], allowed: list[str], default: str | None) -> str:
    unit = default if given is None else given
    if not isinstance(unit, str):
        raise VitalsError(member, f"say the unit, one of {', '.join(allowed)}")
    unit = aliases.get(unit, unit)
    if unit not in allowed:
        raise VitalsError(member, f"the unit must be one of {', '.join(allowed)}")
    return unit


def _number(member: str, value: object, unit: str, plausible: Bounds, *, zero: bool = False) -> Decimal:
    if isinstance(value, str):
        raise VitalsError(member, "write a number, not a text")
    try:
        found = number(value, member)
    except Unreadable:
        raise VitalsError(member, "write a number above zero") from None
    if found == 0 and not zero:
        raise VitalsError(member, "write a number above zero")
    least, most = plausible
    if not least <= found <= most:
        raise VitalsError(member, f"no such reading is plausible: write a number from {least} to {most} in {unit}")
    return found


def _from_number(member: str, row: _Numbers, given: object) -> dict[str, Any]:
    form = given if isinstance(given, Mapping) else {"value": given}
    _only(member, form, ("value", "unit"))
    unit = _unit(member, form.get("unit"), row.aliases, list(row.units), row.default)
    value = _number(member, form.get("value"), unit, row.plausible[unit], zero=row.zero)
    return {
        "category": row.category,
        "code": concept(*row.units[unit]),
        "value": {"valueQuantity": quantity(value, unit)},
    }


def _from_panel(member: str, row: _Panel, given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise VitalsError(member, f"write an object with {' and '.join(row.parts)}")
    _only(member, given, (*row.parts, "unit"))
    if not any(given.get(part) is not None for part in row.parts):
        raise VitalsError(member, f"write {' and '.join(row.parts)}")
    unit = _unit(member, given.get("unit"), row.aliases, row.units, row.default)
    return {
        "category": row.category,
        "code": concept(*row.codes),
        "value": {},
        "component": [
            component(codes, _part(f"{member}.{part}", given.get(part), unit, row.plausible[unit]))
            for part, codes in row.parts.items()
        ],
    }


def _part(member: str, given: object, unit: str, plausible: Bounds) -> dict[str, Any]:
    if given is None:
        return {"dataAbsentReason": absent("not-performed")}
    return {"valueQuantity": quantity(_number(member, given, unit, plausible), unit)}


def _from_answer(member: str, row: _Answer, given: object) -> dict[str, Any]:
    if row.answers is None:
        if not isinstance(given, bool):
            raise VitalsError(member, "write true or false")
        return {"category": row.category, "code": concept(row.code), "value": {"valueBoolean": given}}
    try:
        answer = concept((row.answers, given if isinstance(given, str) else ""))
    except UnknownCode:
        raise VitalsError(member, f"write a code of {row.answers}") from None
    return {"category": row.category, "code": concept(row.code), "value": {"valueCodeableConcept": answer}}


def _only(member: str, form: Mapping[str, object], known: tuple[str, ...]) -> None:
    for name in form:
        if name not in known:
            raise VitalsError(f"{member}.{name}", f"is not known here; known are {', '.join(known)}")


def _read(member: str, given: object) -> dict[str, Any]:
    table = _table()
    if member in table.numbers:
        return _from_number(member, table.numbers[member], given)
    if member in table.panels:
        return _from_panel(member, table.panels[member], given)
    if member in table.answers:
        return _from_answer(member, table.answers[member], given)
    raise VitalsError(member, f"is not known here; known are {', '.join((*members(), 'effective'))}")


_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})")


def _effective(given: object, now: datetime) -> str:
    if given is None:
        return now.isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        if isinstance(given, str) and (_TIME.fullmatch(given) or date.fromisoformat(given).isoformat() == given):
            datetime.fromisoformat(given)
            return given
    except ValueError:
        pass
    raise VitalsError("effective", f"write {EFFECTIVE}")


def _observation(reading: dict[str, Any], effective: str, context: VitalsContext) -> dict[str, Any]:
    patient = f"Patient/{context.patient_id}"
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "category": [category(reading["category"])],
        "code": reading["code"],
        "subject": {"reference": patient},
        "effectiveDateTime": effective,
        "performer": [{"reference": context.performer_reference or patient}],
        **reading["value"],
    }
    if context.device_reference is not None:
        observation["device"] = {"reference": context.device_reference}
    if "component" in reading:
        observation["component"] = reading["component"]
    return observation


def to_observations(entry: Mapping[str, Any], context: VitalsContext) -> list[dict[str, Any]]:
    """One Observation per reading, all at the same time. `VitalsError` for the first member that is wrong."""
    effective = _effective(entry.get("effective"), context.now)
    readings = [_read(member, given) for member, given in entry.items() if member != "effective"]
    if not readings:
        raise VitalsError("entry", f"holds no reading; known are {', '.join(members())}")
    return [_observation(reading, effective, context) for reading in readings]
