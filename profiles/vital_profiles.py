"""The tables of the R4 vital-signs profiles (`vital_signs.json`), and which of them an Observation is held against.

https://hl7.org/fhir/R4/observation-vitalsigns.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from profiles.vital_values import Binding, Coded, Units

_TABLES: Mapping[str, Any] = json.loads(files("profiles").joinpath("vital_signs.json").read_bytes())
_CODE_SYSTEM: str = _TABLES["code_system"]
_UNIT_SYSTEM: str = _TABLES["unit_system"]
CATEGORY = Coded(_TABLES["category"]["system"], _TABLES["category"]["code"])
_BOUND = _TABLES["component_binding"]
COMPONENT_BINDING = Binding(_BOUND["value_set"], Units(_UNIT_SYSTEM, tuple(_BOUND["codes"])))
_VERSION = "|4.0.1"


@dataclass(frozen=True, slots=True)
class Component:
    """A component that must be there exactly once, with a value in one of these units or without value."""

    name: str
    code: Coded
    units: Units


@dataclass(frozen=True, slots=True)
class Profile:
    """One row of the table. `code` None: the general profile, which fixes neither code nor unit."""

    name: str
    code: Coded | None
    code_required: bool
    """Whether the code must be there, once; where not, the profile allows others instead."""
    value: Literal["any", "Quantity", "none"]
    value_required: bool
    units: Units
    components: tuple[Component, ...]
    members: bool
    """Whether it is a panel, whose values are other Observations."""


def _profile(name: str, row: Mapping[str, Any]) -> Profile:
    return Profile(
        name=name,
        code=Coded(_CODE_SYSTEM, row["code"]) if "code" in row else None,
        code_required=row.get("code_required", True),
        value=row["value"],
        value_required=row.get("value_required", False),
        units=_units(row.get("units", ())),
        components=tuple(
            Component(part["name"], Coded(_CODE_SYSTEM, part["code"]), _units(part["units"]))
            for part in row.get("components", ())
        ),
        members=row.get("members", False),
    )


def _units(codes: Sequence[str]) -> Units:
    return Units(_UNIT_SYSTEM, tuple(codes))


PROFILES: Mapping[str, Profile] = {name: _profile(name, row) for name, row in _TABLES["profiles"].items()}
BY_URL: Mapping[str, Profile] = {_TABLES["base"] + name: profile for name, profile in PROFILES.items()}
_IN_ORDER: Sequence[Profile] = tuple(PROFILES.values())
_BY_CODE: Mapping[str, int] = {
    code: place for place, row in enumerate(_TABLES["profiles"].values()) for code in row["triggers"]
}


def claimed(observation: Mapping[str, Any]) -> list[Profile]:
    """The profiles that it names in `meta.profile`, without a version or with that of R4."""
    named = observation.get("meta", {}).get("profile", ())
    urls = [url.removesuffix(_VERSION) for url in named if url is not None]  # null: one that is only extended
    return list(dict.fromkeys(BY_URL[url] for url in urls if url in BY_URL))


def implied(observation: Mapping[str, Any]) -> Profile | None:
    """The profile of a LOINC code in `Observation.code`, of several only the first; component codes do not count."""
    places = [
        _BY_CODE[coding["code"]]
        for coding in observation["code"].get("coding", ())
        if coding.get("code") in _BY_CODE and coding.get("system") == _CODE_SYSTEM
    ]
    return _IN_ORDER[min(places)] if places else None
