"""A resource held against a profile by its address: the base definitions of R4, vital signs, and our own.

https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Any, Final

from fhir_facade.errors import Issue
from fhir_facade.fhir.document import known_types
from profiles import own, vital_profiles, vital_signs

_BASE: Final = "http://hl7.org/fhir/StructureDefinition/"
_ABSTRACT: Final = ("Resource", "DomainResource")
_WITHOUT_TEXT: Final = frozenset(("Binary", "Bundle", "Parameters"))
"""The types that are no DomainResource."""

Faults = Callable[[Mapping[str, Any]], Iterable[own.Fault]]


def profile_issues(resource: Mapping[str, Any], profile: str) -> list[Issue]:
    """What a profile finds wrong with a resource that satisfies R4. One that is not known here is an issue itself, so
    that nobody takes silence for agreement."""
    kind = str(resource["resourceType"])
    url, _, version = profile.partition("|")
    found = _known().get(url)
    if found is None or version not in ("", found[2]):
        text = f"the profile {profile} is not known here, so nothing was held against it"
        return [Issue("not-supported", text, kind)]
    wanted, faults, _ = found
    if wanted not in (kind, "Resource") and not (wanted == "DomainResource" and kind not in _WITHOUT_TEXT):
        return [Issue("structure", f"{kind} is no {wanted}, which the profile {profile} is for", kind)]
    return [
        Issue("invariant", f"{place} {text}", place, severity)
        for path, text, severity in faults(resource)
        for place in (f"{kind}.{path}" if path else kind,)
    ]


def is_known(profile: str) -> bool:
    """Whether a resource can be held against this profile here."""
    return profile.partition("|")[0] in _known()


@cache
def _known() -> Mapping[str, tuple[str, Faults, str]]:
    """By url: the type it is for, what is looked at, and the version."""
    nothing: Faults = lambda _: ()  # noqa: E731 - R4 itself was looked at before
    found = {f"{_BASE}{name}": (name, nothing, "4.0.1") for name in (*known_types(), *_ABSTRACT)}
    for url, vital in vital_profiles.BY_URL.items():
        found[url] = ("Observation", partial(vital_signs.check_as, profile=vital), "4.0.1")
    for url, profile in own.own_profiles().items():
        found[url] = (profile.type, partial(own.check, profile=profile), own.definitions()[url]["version"])
    for url in own.own_extensions():
        found[url] = ("Extension", nothing, own.definitions()[url]["version"])
    return found
