"""Everything a resource must satisfy before it is written.

https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_facade.errors import Issue
from fhir_facade.fhir.document import known_types
from fhir_facade.fhir.validation.contained import look_at_contained
from fhir_facade.fhir.validation.meta import look_at_meta
from fhir_facade.fhir.validation.schema import schema_issues, validator
from fhir_facade.fhir.validation.tables import shapes
from fhir_facade.fhir.validation.walk import Findings, Place, walk
from profiles import vital_signs
from profiles.own import Fault, check, own_profiles


def validate(
    resource: Mapping[str, Any],
    *,
    type: str,
    path: str | None = None,
    every: bool = False,
) -> tuple[Issue, ...]:
    """All issues of a parsed resource of the R4 type `type`; empty when it may be written.

    First the schema (structure, formats, codes, what is required); only a resource that satisfies it is held against
    the other rules (choices, references, bindings, invariants, vital-signs profiles). Resources inside it are validated
    too. An issue of severity `warning` forbids nothing; of each severity there are
    at most `MAX_ISSUES`. `path` names the resource in the issues, its type by default.
    `every`: also by the invariants that a write may break.
    """
    root = path or type
    if not validator(type).is_valid(resource):
        issues = schema_issues(resource, type, root)
        if issues:
            return tuple(issues)
    found = Findings(root, shapes(every=every))
    walk(resource, found.shapes[type], None, found)
    for inner, place in found.nested:  # grows while it is walked through
        if found.full:
            break
        _look_at_nested(inner, place, found, every=every)
    if found.local or "contained" in resource:
        look_at_contained(resource, found)
    _look_at_vital_signs(resource, root, found)
    if "meta" in resource:
        look_at_meta(resource["meta"], found)
        _look_at_own_profiles(resource, root, found)
    return tuple(found.issues)


def _look_at_nested(inner: Mapping[str, Any], place: Place, found: Findings, *, every: bool) -> None:
    kind = inner["resourceType"]
    path = found.path(place)
    assert place is not None
    if kind not in known_types():
        found.add("structure", place, "has a resourceType that is not of FHIR R4.", ".resourceType")
    elif place[1] != "contained":
        found.keep(*validate(inner, type=kind, path=path, every=every))
    elif place[0] is not None:
        found.add("invariant", place, "breaks dom-2: a contained resource contains no other.")
    elif issues := () if validator(kind).is_valid(inner) else schema_issues(inner, kind, path):
        found.keep(*issues)
    else:
        walk(inner, found.shapes[kind], place, found)
        _look_at_vital_signs(inner, path, found)


def _look_at_vital_signs(resource: Mapping[str, Any], root: str, found: Findings) -> None:
    if resource["resourceType"] == "Observation":
        _add(vital_signs.check(resource), root, found)


def _look_at_own_profiles(resource: Mapping[str, Any], root: str, found: Findings) -> None:
    """Those of this project that the resource claims for itself; what others define is theirs to look at."""
    for url in resource["meta"].get("profile", ()):
        profile = own_profiles().get(url)
        if profile is not None and profile.type == resource["resourceType"]:
            _add(check(resource, profile), root, found)


def _add(faults: Iterable[Fault], root: str, found: Findings) -> None:
    for path, text, severity in faults:
        place = f"{root}.{path}" if path else root
        found.keep(Issue("invariant", f"{place} {text}", place, severity))
