"""The filters of a value set: https://hl7.org/fhir/R4/valueset-filter-operator.html

passing(rule, concepts, system) -> whether a concept passes
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import jsonschema_rs

from terminology.concept import CannotExpand, Concept, Resource

LONGEST_REGEX: Final = 1000
_LINEAR: Final = jsonschema_rs.RegexOptions(size_limit=2**20, dfa_size_limit=2**20)
"""An engine whose time grows with the text alone, whatever the expression is."""

Test = Callable[[Concept], bool]


def passing(rule: Resource, concepts: Sequence[Concept], system: str) -> Test:
    """What one filter demands; `concepts` are all of the system. CannotExpand: it is not known, or cannot be read."""
    if not rule.keys() >= {"property", "op", "value"}:
        raise CannotExpand(f"a filter of {system} does not tell its property, op and value")
    make = _OPERATORS.get(rule["op"])
    if make is None:
        raise CannotExpand(f"the filter {rule['op']} of {system} is not built here: {', '.join(_OPERATORS)} are")
    return make(rule["property"], rule["value"], concepts)


def _values(concept: Concept, name: str) -> set[str]:
    if name in ("code", "concept"):
        return {concept.code}
    if name == "display":
        return {concept.display or ""}
    if name == "definition":
        return {concept.definition or ""}
    if name == "parent":
        return set(concept.parents)
    if name == "child":
        return set(concept.below)
    return {_said(one) for one in concept.properties if one.get("code") == name}


def _said(one: Resource) -> str:
    value: Any = next((value for name, value in one.items() if name.startswith("value")), "")
    if isinstance(value, Mapping):
        return str(value.get("code", ""))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _equal(name: str, value: str, _: Sequence[Concept]) -> Test:
    return lambda concept: value in _values(concept, name)


def _is_a(_: str, value: str, __: Sequence[Concept]) -> Test:
    return lambda concept: value in (concept.code, *concept.above)


def _descends(_: str, value: str, __: Sequence[Concept]) -> Test:
    return lambda concept: value in concept.above


def _is_not_a(_: str, value: str, __: Sequence[Concept]) -> Test:
    return lambda concept: value not in (concept.code, *concept.above)


def _generalizes(_: str, value: str, concepts: Sequence[Concept]) -> Test:
    """The code and those that it stands under."""
    up = {code for one in concepts if one.code == value for code in (one.code, *one.above)}
    return lambda concept: concept.code in up


def _among(name: str, value: str, _: Sequence[Concept]) -> Test:
    listed = {part.strip() for part in value.split(",")}
    return lambda concept: not listed.isdisjoint(_values(concept, name))


def _not_among(name: str, value: str, _: Sequence[Concept]) -> Test:
    listed = {part.strip() for part in value.split(",")}
    return lambda concept: listed.isdisjoint(_values(concept, name))


def _exists(name: str, value: str, _: Sequence[Concept]) -> Test:
    return lambda concept: bool(_values(concept, name) - {""}) is (value == "true")


def _matches(name: str, value: str, _: Sequence[Concept]) -> Test:
    """The whole value of the property, as for a pattern of XML schema."""
    _engine(value)  # by itself first: brackets must not reach over what is put around it
    engine = _engine(f"^(?:{value})$")
    return lambda concept: any(engine.is_valid(own) for own in _values(concept, name))


def _engine(expression: str) -> Any:
    if len(expression) > LONGEST_REGEX:
        raise CannotExpand(f"a regular expression may have {LONGEST_REGEX} characters, not {len(expression)}")
    try:
        return jsonschema_rs.Draft7Validator({"pattern": expression}, pattern_options=_LINEAR)
    except ValueError as error:
        text = "cannot be read, is too large, or looks around or back, which takes too long"
        raise CannotExpand(f"the regular expression {expression!r} {text}") from error


_OPERATORS: Final[Mapping[str, Callable[[str, str, Sequence[Concept]], Test]]] = {
    "=": _equal,
    "is-a": _is_a,
    "descendent-of": _descends,
    "is-not-a": _is_not_a,
    "regex": _matches,
    "in": _among,
    "not-in": _not_among,
    "generalizes": _generalizes,
    "exists": _exists,
}
