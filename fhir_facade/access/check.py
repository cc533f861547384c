"""What leaves and what is written, judged on the resource itself: the second lock behind the narrowed search.

https://hl7.org/fhir/R4/security.html#binding
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from fhir_facade.access.compartment import TypeRule, type_rules
from fhir_facade.access.granular import satisfies
from fhir_facade.access.guards import is_computed, is_definition, is_guard
from fhir_facade.access.owners import owners, patient_references
from fhir_facade.access.rights import Everyone, Grant, Reach, Rights, grants
from fhir_facade.values import JsonObject


@dataclass(frozen=True, slots=True)
class Deny:
    """No. `hidden` has to be answered exactly like something that does not exist; `reason` names no record."""

    kind: Literal["forbidden", "hidden", "unauthenticated"]
    reason: str


_HIDDEN = Deny("hidden", "There is no such resource, or it is not yours.")


class Check(msgspec.Struct, frozen=True):
    """Bound to the rights of one principal and the type and letter that were asked (type None: any type)."""

    rights: Rights
    type: str | None
    letter: str

    def may_leave(self, resource: JsonObject) -> bool:
        """Whether this very resource or version may be shown. Other types than the asked one (includes, everything)
        need the letter `r`. What cannot be told apart from foreign does not leave."""
        rule = type_rules().get(str(resource.get("resourceType")))
        if rule is None or self._guarded(resource):
            return False
        letter = self.letter if self.type in (None, rule.type) else "r"
        return any(_within(rule, way, resource) for way in grants(self.rights, rule.type, letter))

    def may_write(self, before: JsonObject | None, after: JsonObject | None) -> Deny | None:
        """None when the change is allowed. `before`: the current version (None: absent); `after`: the result (None:
        deleted). Foreign and absent are both `hidden`; a result out of bounds is `forbidden`."""
        rule = type_rules()[self.type or ""]
        ways = tuple(way for way in grants(self.rights, rule.type, self.letter) if self._may_touch(rule, way, before))
        if not ways:
            readable = before is not None and Check(self.rights, self.type, "r").may_leave(before)
            return Deny("forbidden", "The resource is not yours to change.") if readable else _HIDDEN
        return None if after is None else self._may_become(rule, ways, before, after)

    def _may_touch(self, rule: TypeRule, way: Grant, before: JsonObject | None) -> bool:
        if before is None:  # an id that does not exist yet is chosen by systems only
            return self.letter == "c" or isinstance(way.reach, Everyone)
        if rule.type_class == "optional" and isinstance(way.reach, frozenset) and not owners(before):
            return False  # an unassigned device is everybody's: read by all, changed by systems
        if is_definition(before) and not isinstance(way.reach, Everyone):
            return False
        return _within(rule, way, before) and not self._guarded(before)

    def _may_become(
        self, rule: TypeRule, ways: tuple[Grant, ...], before: JsonObject | None, after: JsonObject
    ) -> Deny | None:
        if after.get("resourceType") != rule.type:
            return Deny("forbidden", f"The resource is no {rule.type}.")
        if self._guarded(after):
            return Deny("forbidden", "This code is kept for the server itself.")
        refusals = [_refusal(rule, way, before, after) for way in ways]
        return None if None in refusals else refusals[0]

    def _guarded(self, resource: JsonObject) -> bool:
        return self.rights.engine is None and is_guard(resource)


def _within(rule: TypeRule, way: Grant, resource: JsonObject) -> bool:
    return _owned(rule, way.reach, resource) and satisfies(resource, way.params)


def _owned(rule: TypeRule, reach: Reach, resource: JsonObject) -> bool:
    if isinstance(reach, Everyone):
        return True
    if rule.type_class in ("person", "personal"):
        about = owners(resource)
        return bool(about) and about <= reach
    return patient_references(resource) <= reach


def _refusal(rule: TypeRule, way: Grant, before: JsonObject | None, after: JsonObject) -> Deny | None:
    """Why this way does not allow the result; None when it does."""
    return next((Deny("forbidden", reason) for reason in _reasons(rule, way, before, after)), None)


def _reasons(rule: TypeRule, way: Grant, before: JsonObject | None, after: JsonObject) -> Iterator[str]:
    if not satisfies(after, way.params):
        yield "The token's scope covers other records of this type only: see its parameters."
    if isinstance(way.reach, Everyone):
        return
    if rule.type_class != "shared":
        about = owners(after)
        if not about or not about <= way.reach:
            yield f"{'.'.join(rule.paths[0]) if rule.paths else 'id'} has to name a patient you may write for."
        if before is not None and owners(before) != about:
            yield "The patient a record is about cannot be changed: write a new record and delete this one."
    if not patient_references(after) <= way.reach:
        yield "The resource names a patient you may not write for, or one that cannot be told."
    if is_computed(after) or (before is not None and is_computed(before)):
        yield "The score is computed: change what it is computed of, and ask for it anew."
    if before is not None and (changed := _changed(way.frozen, before, after)):
        yield f"These elements are not yours to change: {', '.join(changed)}."


def _changed(frozen: frozenset[str], before: JsonObject, after: JsonObject) -> list[str]:
    names = sorted(frozen)
    return [name for name in names if any(before.get(key) != after.get(key) for key in (name, f"_{name}"))]
