"""The R4 vital-signs profiles, applied by LOINC code as HL7's validator does; the tables are `vital_signs.json`.

https://hl7.org/fhir/R4/observation-vitalsigns.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

Fault = tuple[str, str, str]
"""(path below the Observation, what is wrong and what is right, severity)."""

_TABLES: Mapping[str, Any] = json.loads(files("profiles").joinpath("vital_signs.json").read_bytes())
_CODE_SYSTEM: str = _TABLES["code_system"]
_UNIT_SYSTEM: str = _TABLES["unit_system"]
_CATEGORY = (_TABLES["category"]["system"], _TABLES["category"]["code"])
_SUBJECT = "Patient"
_LITERAL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?$")
_MIN_DATE_LENGTH = len("2026-11-21")


@dataclass(frozen=True, slots=True)
class Component:
    """A component that must be there exactly once, with a value in one of these UCUM codes or without value."""

    name: str
    code: str
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """One row of the table. `code` None: the general profile, which fixes neither code nor unit."""

    name: str
    code: str | None
    value: Literal["any", "Quantity", "none"]
    value_required: bool
    units: tuple[str, ...]
    components: tuple[Component, ...]
    members: bool
    """Whether it is a panel, whose values are other Observations."""


def _profile(name: str, row: Mapping[str, Any]) -> Profile:
    return Profile(
        name=name,
        code=row.get("code"),
        value=row["value"],
        value_required=row.get("value_required", False),
        units=tuple(row.get("units", ())),
        components=tuple(
            Component(part["name"], part["code"], tuple(part["units"])) for part in row.get("components", ())
        ),
        members=row.get("members", False),
    )


PROFILES: Mapping[str, Profile] = {name: _profile(name, row) for name, row in _TABLES["profiles"].items()}
BY_URL: Mapping[str, Profile] = {_TABLES["base"] + name: profile for name, profile in PROFILES.items()}
_BY_CODE = {code: PROFILES[name] for name, row in _TABLES["profiles"].items() for code in row["triggers"]}


def check(observation: Mapping[str, Any]) -> list[Fault]:
    """What the profiles for this Observation find wrong; it must satisfy the R4 schema already.

    All faults are errors but one: a more special LOINC code without the code that the profile fixes is a warning.
    """
    profiles = _profiles_of(observation)
    if not profiles:
        return []
    found = list(_general(observation))
    for profile in profiles:
        found.extend(_particular(observation, profile))
    return found


def check_as(observation: Mapping[str, Any], profile: Profile) -> list[Fault]:
    """What one profile finds wrong, whatever the codes of the Observation are: it was asked for, so all are errors."""
    found = [*_general(observation), *_particular(observation, profile)]
    return [(path, text, "error") for path, text, _ in found]


def _profiles_of(observation: Mapping[str, Any]) -> list[Profile]:
    """By LOINC code of `Observation.code`, and by `meta.profile`; component codes do not count."""
    found = [
        _BY_CODE[coding["code"]]
        for coding in observation["code"].get("coding", ())
        if coding.get("code") in _BY_CODE and coding.get("system") == _CODE_SYSTEM
    ]
    found += [BY_URL[url] for url in observation.get("meta", {}).get("profile", ()) if url in BY_URL]
    return found if len(found) < 2 else list(dict.fromkeys(found))


def _general(observation: Mapping[str, Any]) -> Iterator[Fault]:
    if sum(_is_coded(concept, *_CATEGORY) for concept in observation.get("category", ())) != 1:
        yield "category", f"needs the coding '{_CATEGORY[1]}' of {_CATEGORY[0]} for a vital sign, once.", "error"
    if "subject" not in observation:
        yield "subject", "is required for a vital sign.", "error"
    elif (kind := _kind_of(observation["subject"])) not in ("", _SUBJECT):
        yield "subject", f"is a {kind}, but a vital sign is of a {_SUBJECT}.", "error"
    moment = observation.get("effectiveDateTime")
    if moment is None and not any(name in observation for name in ("_effectiveDateTime", "effectivePeriod")):
        yield "effectiveDateTime", "or effectivePeriod is required for a vital sign.", "error"
    elif moment is not None and len(moment) < _MIN_DATE_LENGTH:
        yield "effectiveDateTime", "must name at least the day for a vital sign (vs-1).", "error"
    if not any(name in observation for name in ("component", "hasMember")) and not _has_result(observation):
        yield "", "breaks vs-2: a vital sign needs a value or a dataAbsentReason.", "error"
    for index, component in enumerate(observation.get("component", ())):
        if not _has_result(component):
            yield f"component[{index}]", "breaks vs-3: it needs a value or a dataAbsentReason.", "error"


def _kind_of(reference: Mapping[str, Any]) -> str:
    """The type that a reference names, "" where it does not say."""
    found = _LITERAL.search(reference.get("reference", ""))
    return found[1] if found is not None else str(reference.get("type", ""))


def _particular(observation: Mapping[str, Any], profile: Profile) -> Iterator[Fault]:
    if profile.code is not None and not _is_coded(observation["code"], _CODE_SYSTEM, profile.code):
        # Published data often lacks this second coding; refusing it would lose readings that are right otherwise.
        yield "code", f"should also have the LOINC coding {profile.code} (profile {profile.name}).", "warning"
    name = _value_name(observation)
    if profile.value_required and name is None:
        yield "valueQuantity", f"is required (profile {profile.name}).", "error"
    if name is not None and profile.value != "any":
        yield from _value(observation, name, profile)
    if profile.members and "hasMember" not in observation:
        yield "hasMember", f"is required, each value is an Observation of its own (profile {profile.name}).", "error"
    for component in profile.components:
        yield from _component(observation, component, profile)


def _value(observation: Mapping[str, Any], name: str, profile: Profile) -> Iterator[Fault]:
    if profile.value == "none":
        place = "hasMember" if profile.members else "the components"
        yield name, f"is not allowed, the values are in {place} (profile {profile.name}).", "error"
    elif name != "valueQuantity":
        yield name, f"is not allowed, use valueQuantity (profile {profile.name}).", "error"
    else:
        yield from _quantity(observation[name], name, profile.units, profile)


def _component(observation: Mapping[str, Any], wanted: Component, profile: Profile) -> Iterator[Fault]:
    places = [
        (index, component)
        for index, component in enumerate(observation.get("component", ()))
        if _is_coded(component["code"], _CODE_SYSTEM, wanted.code)
    ]
    if len(places) != 1:
        text = f"needs exactly one {wanted.name} component with the LOINC coding {wanted.code}"
        yield "component", f"{text} (profile {profile.name}).", "error"
    for index, component in places:
        name, path = _value_name(component), f"component[{index}]"
        if name == "valueQuantity":
            yield from _quantity(component[name], f"{path}.{name}", wanted.units, profile)
        elif name is not None:
            yield f"{path}.{name}", f"is not allowed, use valueQuantity (profile {profile.name}).", "error"


def _quantity(quantity: Mapping[str, Any], path: str, units: Sequence[str], profile: Profile) -> Iterator[Fault]:
    for name in ("value", "unit"):
        if name not in quantity and "_" + name not in quantity:
            yield f"{path}.{name}", f"is required (profile {profile.name}).", "error"
    if quantity.get("system") != _UNIT_SYSTEM:
        yield f"{path}.system", f"must be {_UNIT_SYSTEM} (profile {profile.name}).", "error"
    if quantity.get("code") not in units:
        yield f"{path}.code", f"must be the UCUM code {' or '.join(units)} (profile {profile.name}).", "error"


def _is_coded(concept: Mapping[str, Any], system: str, code: str) -> bool:
    return any(coding.get("code") == code and coding.get("system") == system for coding in concept.get("coding", ()))


def _value_name(node: Mapping[str, Any]) -> str | None:
    if "valueQuantity" in node:
        return "valueQuantity"
    return next((name for name in node if name.startswith(("value", "_value"))), None)


def _has_result(node: Mapping[str, Any]) -> bool:
    return _value_name(node) is not None or "dataAbsentReason" in node
