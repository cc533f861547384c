"""The R4 vital-signs profiles, applied by LOINC code as HL7's validator does; docs/operations.md says where not.

https://hl7.org/fhir/R4/observation-vitalsigns.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from profiles.vital_profiles import CATEGORY, COMPONENT_BINDING, Component, Profile, claimed, implied
from profiles.vital_values import (
    Coded,
    Fault,
    bound_faults,
    extended_codings,
    is_coded,
    places_of,
    quantity_faults,
    repeated_codings,
    value_name,
)

_GENERAL = "vitalsigns"
_SUBJECT = "Patient"
_LITERAL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?$")
_MIN_DATE_LENGTH = len("2026-11-21")


def check(observation: Mapping[str, Any]) -> list[Fault]:
    """What the profiles for this Observation find wrong; it must satisfy the R4 schema already.

    They are those that it claims in `meta.profile`, and the one that its LOINC codes make apply. All faults are errors
    but one: a more special LOINC code without the code that the profile fixes is a warning, unless the profile is
    claimed.
    """
    claims, code = claimed(observation), implied(observation)
    if not claims and code is None:
        return []
    others = [] if code is None or code in claims else [code]
    found = list(_general(observation, [*claims, *others]))
    for profile in claims:
        found.extend(_particular(observation, profile, "error"))
    for profile in others:
        # Published data lacks this second coding here and there: to refuse it would lose readings that are right.
        found.extend(_particular(observation, profile, "warning"))
    return found


def check_as(observation: Mapping[str, Any], profile: Profile) -> list[Fault]:
    """What one profile finds wrong, whatever the codes of the Observation are: it was asked for, so all are errors."""
    return [*_general(observation, [profile]), *_particular(observation, profile, "error")]


def _general(observation: Mapping[str, Any], profiles: Sequence[Profile]) -> Iterator[Fault]:
    """What all vital signs must be, whichever profiles look at them."""
    yield from _category(observation.get("category", ()))
    yield from _subject(observation)
    moment = observation.get("effectiveDateTime")
    if moment is None and not any(name in observation for name in ("_effectiveDateTime", "effectivePeriod")):
        yield "effectiveDateTime", "or effectivePeriod is required for a vital sign.", "error"
    elif moment is not None and len(moment) < _MIN_DATE_LENGTH:
        yield "effectiveDateTime", "must name at least the day for a vital sign (vs-1).", "error"
    if not any(name in observation for name in ("component", "hasMember")) and not _has_result(observation):
        yield "", "breaks vs-2: a vital sign needs a value or a dataAbsentReason.", "error"
    if "component" in observation:
        yield from _components(observation["component"], profiles)


def _category(categories: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    """One of them is that of vital signs; its system and code are fixed in each of its codings."""
    found = [place for place, concept in enumerate(categories) if _is_of_vital_signs(concept.get("coding", ()))]
    if len(found) != 1:
        yield "category", f"needs the coding '{CATEGORY.code}' of {CATEGORY.system} for a vital sign, once.", "error"
        return
    path, concept = f"category[{found[0]}]", categories[found[0]]
    right = places_of(concept["coding"], CATEGORY)
    for place in range(len(concept["coding"])):
        if place not in right:
            text = f"is in the category '{CATEGORY.code}', which has no other coding: give it a category of its own."
            yield f"{path}.coding[{place}]", text, "error"
    yield from extended_codings(concept, right, path, _GENERAL)


def _is_of_vital_signs(codings: Sequence[Mapping[str, Any]]) -> bool:
    """By a system and a code, each in any of them, as the profile tells its category from others."""
    return any(coding.get("system") == CATEGORY.system for coding in codings) and any(
        coding.get("code") == CATEGORY.code for coding in codings
    )


def _subject(observation: Mapping[str, Any]) -> Iterator[Fault]:
    if "subject" not in observation:
        yield "subject", "is required for a vital sign.", "error"
    elif (kind := _kind_of(observation["subject"], observation.get("contained", ()))) not in ("", _SUBJECT):
        yield "subject", f"is a {kind}, but a vital sign is of a {_SUBJECT}.", "error"


def _kind_of(reference: Mapping[str, Any], contained: Sequence[Mapping[str, Any]]) -> str:
    """The type that a reference names or leads to, "" where it does not say."""
    address = reference.get("reference", "")
    if address.startswith("#"):
        return next((str(one["resourceType"]) for one in contained if one.get("id") == address[1:]), "")
    found = _LITERAL.search(address)
    return found[1] if found is not None else str(reference.get("type", ""))


def _components(components: Sequence[Mapping[str, Any]], profiles: Sequence[Profile]) -> Iterator[Fault]:
    """What a component of any vital sign must be. Those that one of the profiles defines have fewer units there."""
    defined = [component.code for profile in profiles for component in profile.components]
    for index, component in enumerate(components):
        path = f"component[{index}]"
        if not _has_result(component):
            yield path, "breaks vs-3: it needs a value or a dataAbsentReason.", "error"
        elif not any(is_coded(component["code"], code) for code in defined):
            yield from bound_faults(component, path, COMPONENT_BINDING, _GENERAL)


def _particular(observation: Mapping[str, Any], profile: Profile, without_code: str) -> Iterator[Fault]:
    """What one profile asks for beside the general one. `without_code`: the severity where its code is missing."""
    if profile.code is not None:
        yield from _code(observation["code"], profile.code, profile, without_code)
    name = value_name(observation)
    if profile.value_required and name is None:
        yield "valueQuantity", f"is required (profile {profile.name}).", "error"
    if name is not None and profile.value != "any":
        yield from _value(observation, name, profile)
    if profile.members and "hasMember" not in observation:
        yield "hasMember", f"is required, each value is an Observation of its own (profile {profile.name}).", "error"
    for component in profile.components:
        yield from _component(observation, component, profile)


def _code(concept: Mapping[str, Any], wanted: Coded, profile: Profile, without_code: str) -> Iterator[Fault]:
    places = places_of(concept.get("coding", ()), wanted)
    if profile.code_required:
        yield from repeated_codings(places, "code", profile.name)
        if not places:
            yield "code", f"should also have the LOINC coding {wanted.code} (profile {profile.name}).", without_code
    yield from extended_codings(concept, places, "code", profile.name)


def _value(observation: Mapping[str, Any], name: str, profile: Profile) -> Iterator[Fault]:
    if profile.value == "none":
        place = "hasMember" if profile.members else "the components"
        yield name, f"is not allowed, the values are in {place} (profile {profile.name}).", "error"
    elif name != "valueQuantity":
        yield name, f"is not allowed, use valueQuantity (profile {profile.name}).", "error"
    else:
        yield from quantity_faults(observation[name], name, profile.units, profile.name)


def _component(observation: Mapping[str, Any], wanted: Component, profile: Profile) -> Iterator[Fault]:
    found = [
        (f"component[{index}]", component, places)
        for index, component in enumerate(observation.get("component", ()))
        if (places := places_of(component["code"].get("coding", ()), wanted.code))
    ]
    if len(found) != 1:
        text = f"needs exactly one {wanted.name} component with the LOINC coding {wanted.code.code}"
        yield "component", f"{text} (profile {profile.name}).", "error"
    for path, component, places in found:
        yield from repeated_codings(places, f"{path}.code", profile.name)
        yield from extended_codings(component["code"], places, f"{path}.code", profile.name)
        name = value_name(component)
        if name == "valueQuantity":
            yield from quantity_faults(component[name], f"{path}.{name}", wanted.units, profile.name)
        elif name is not None:
            yield f"{path}.{name}", f"is not allowed, use valueQuantity (profile {profile.name}).", "error"


def _has_result(node: Mapping[str, Any]) -> bool:
    return value_name(node) is not None or "dataAbsentReason" in node
