"""The rules beside the schema: one choice, reference targets, required bindings, sparse arrays, invariants.

https://hl7.org/fhir/R4/formats.html#choice, https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_facade.errors import Issue
from fhir_facade.fhir.document import known_types
from fhir_facade.fhir.references import ID_FORM
from fhir_facade.fhir.validation.schema import MAX_ISSUES
from fhir_facade.fhir.validation.tables import Member, Shape

_NO_TYPE = ""

Place = tuple[Any, str, int | None] | None
"""Where we are: (parent, member, index), read from the end; None is the resource itself."""

_LITERAL = re.compile(rf"([A-Za-z]+)/{ID_FORM}(?:/_history/{ID_FORM})?")
_CONDITIONAL = re.compile(r"([A-Za-z]+)\?\S+=\S+")
_ELSEWHERE = re.compile(rf"https?://\S+/([A-Z][A-Za-z]+)/{ID_FORM}(?:/_history/{ID_FORM})?")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


@dataclass(frozen=True, slots=True)
class Local:
    """A reference to a contained resource; `id` "" is the container. It may be to one of `targets`; none: to any."""

    id: str
    place: Place
    targets: frozenset[str]


@dataclass(slots=True)
class Findings:
    """What a walk through one resource collects; `local` are references to contained resources, without their `#`."""

    root: str
    shapes: Mapping[str, Shape]
    issues: list[Issue] = field(default_factory=list)
    local: list[Local] = field(default_factory=list)
    nested: list[tuple[Any, Place]] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)

    @property
    def full(self) -> bool:
        """Whether enough is wrong: no more errors are kept."""
        return self.told["error"] >= MAX_ISSUES

    def path(self, place: Place) -> str:
        """The place as FHIRPath-like text."""
        steps: list[str] = []
        while place is not None:
            place, name, index = place
            steps.append(f".{name}" if index is None else f".{name}[{index}]")
        return self.root + "".join(reversed(steps))

    def add(self, code: str, place: Place, text: str, suffix: str = "") -> None:
        if not self.full:
            path = self.path(place) + suffix
            self.keep(Issue(code, f"{path} {text}", path))

    def keep(self, *issues: Issue) -> None:
        """Of each severity the first ones: warnings never hide an error."""
        for issue in issues:
            if self.told[issue.severity] < MAX_ISSUES:
                self.told[issue.severity] += 1
                self.issues.append(issue)


def walk(node: Mapping[str, Any], shape: Shape, place: Place, found: Findings) -> None:
    """Look at one element that satisfies the schema, and at everything below it that has a rule."""
    for rule in shape.rules:
        for suffix in rule.broken(node):
            found.add("invariant", place, f"breaks {rule.key}: {rule.text}.", suffix)
    members = shape.members
    chosen: dict[str, str] | None = None
    for name, value in node.items():
        member = members.get(name)
        if member is None:
            continue
        if member.choice is not None:
            chosen = {} if chosen is None else chosen
            _choose(chosen, member.choice, name, place, found)
        _look(name, value, member, node, place, found)


def _choose(chosen: dict[str, str], choice: str, name: str, place: Place, found: Findings) -> None:
    plain = name.removeprefix("_")
    first = chosen.setdefault(choice, plain)
    if first != plain:
        found.add("structure", place, f"has {first} and {plain}, but only one {choice}[x] is allowed.")


def _look(name: str, value: Any, member: Member, node: Mapping[str, Any], place: Place, found: Findings) -> None:
    if member.sparse:
        if None in value:
            _fill(name, value, node, place, found)
    elif type(value) is dict:
        _look_at(value, member, (place, name, None), found)
    elif type(value) is list:
        for index, item in enumerate(value):
            _look_at(item, member, (place, name, index), found)


def _look_at(item: dict[str, Any], member: Member, place: Place, found: Findings) -> None:
    if member.targets is not None:
        _look_at_reference(item, member.targets, place, found)
    elif member.nested:
        found.nested.append((item, place))
    elif member.shape is not None:
        walk(item, member.shape, place, found)
    if member.codes is not None:
        _look_at_binding(item, member.codes, place, found)


def _fill(name: str, value: Sequence[Any], node: Mapping[str, Any], place: Place, found: Findings) -> None:
    """https://hl7.org/fhir/R4/json.html#primitive: null stands where the companion array has the element."""
    beside = node.get("_" + name, ())
    for index, item in enumerate(value):
        if item is None and (index >= len(beside) or beside[index] is None):
            found.add("structure", (place, name, index), f"is null, but _{name}[{index}] has no extension for it.")


# --- references -------------------------------------------------------------------------------------------------------


def _look_at_reference(item: Mapping[str, Any], targets: frozenset[str], place: Place, found: Findings) -> None:
    if "reference" in item:
        reference = item["reference"]
        kind = reference.partition("/")[0]
        if kind not in targets or not _LITERAL.fullmatch(reference):
            kind = _kind_of(reference, targets, (place, "reference", None), found)
        if kind and item.get("type", kind) != kind:
            found.add("value", (place, "type", None), f"is '{item['type']}', but the reference is to {kind}.")
    elif targets and item.get("type", _NO_TYPE) not in (*targets, _NO_TYPE):
        _refuse_target(item["type"], targets, (place, "type", None), found)
    if "identifier" in item:
        walk(item["identifier"], found.shapes["Identifier"], (place, "identifier", None), found)


def _kind_of(reference: str, targets: frozenset[str], place: Place, found: Findings) -> str:
    """The type that the reference names, or "" when it does not say."""
    if reference.startswith("#"):
        found.local.append(Local(reference[1:], place, targets))
        return ""
    match = _LITERAL.fullmatch(reference) or _CONDITIONAL.fullmatch(reference) or _ELSEWHERE.fullmatch(reference)
    kind = match.group(1) if match is not None else ""
    if kind in known_types():
        if targets and kind not in targets:
            _refuse_target(kind, targets, place, found)
        return kind
    if not _ABSOLUTE.fullmatch(reference):
        found.add("value", place, "must be Type/id with an R4 type, an absolute URL, urn:uuid:… or #contained.")
    return ""


def _refuse_target(kind: str, targets: frozenset[str], place: Place, found: Findings) -> None:
    found.add("value", place, f"is to {kind}, but may only be to: {', '.join(sorted(targets))}.")


# --- bindings ---------------------------------------------------------------------------------------------------------


def _look_at_binding(
    item: Mapping[str, Any], codes: Mapping[str, frozenset[str]], place: Place, found: Findings
) -> None:
    codings = item.get("coding", ())
    if any(coding.get("code") in codes.get(coding.get("system", ""), ()) for coding in codings):
        return
    if "extension" in item and not codings:  # says why there is no code
        return
    listed = "; ".join(f"{', '.join(sorted(of))} of {system}" for system, of in codes.items())
    found.add("code-invalid", place, f"needs a coding out of its required value set: {listed}.")
