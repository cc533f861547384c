"""One query parameter as a criterion: modifiers, chains, `_has`, `_list` (https://hl7.org/fhir/R4/search.html#chaining)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from fhir_facade.errors import BadRequest, UnknownParameter
from fhir_facade.fhir.definitions.tables import SearchParameter, is_resource_type, search_parameters
from fhir_facade.fhir.query.concepts import OF_TREES, OF_VALUE_SETS, StoredCodes, members, relatives
from fhir_facade.fhir.query.escape import split
from fhir_facade.fhir.query.hierarchies import around
from fhir_facade.fhir.query.values import Asked, parse_value
from fhir_facade.fhir.references import ID
from fhir_facade.fhir.words import TEXTS
from fhir_facade.values import AnyOf, Chain, Criterion, Has, Match, SearchValue, TokenValue, UriValue

MAX_VALUES: Final = 500
MAX_HOPS: Final = 10
NOT_SEARCHABLE: Final = frozenset({"_query", "_filter", "_type"})
LONGEST_KEPT: Final = 128
_TIMELESS: Final = frozenset({"token", "date", "string", "number"})
"""Kinds whose values mean the same for everybody and at any time; about a date only `ap` does not."""
_ANY_TIME: Final = datetime.min.replace(tzinfo=UTC)
SEARCHABLE_SPECIALS: Final = frozenset({"_list", "near"})
_MODIFIERS: Final[dict[str, tuple[str, ...]]] = {
    "string": ("contains", "exact", "missing"),
    "token": ("above", "below", "in", "missing", "not", "not-in", "of-type", "text"),
    "date": ("missing",),
    "number": ("missing",),
    "quantity": ("missing",),
    "reference": ("above", "below", "identifier", "missing"),
    "uri": ("above", "below", "missing"),
    "composite": ("missing",),
    "special": (),
}
_OF_IDS: Final = ("missing", "not")
"""An id is no code of a system: it has no text, no type and nothing above or below it."""


@lru_cache(maxsize=4096)
def _kept_value(parameter: SearchParameter, raw: str) -> SearchValue:
    return parse_value(parameter, None, raw, Asked(_ANY_TIME))


@dataclass(slots=True)
class CriterionParser:
    """Parses the parameters of one query; remembers what a chain meant for each type it could pass through."""

    asked: Asked
    _known: dict[tuple[str, str, str], Criterion | BadRequest] = field(default_factory=dict)

    def parse(self, fhir_type: str, name: str, raw: str, hops: int = 0) -> Criterion:
        """BadRequest, UnknownParameter: what is wrong with it and what would be right."""
        if hops > MAX_HOPS:
            raise BadRequest(f"chained over more than {MAX_HOPS} references: ask in several searches")
        key = (fhir_type, name, raw)
        if key not in self._known:
            try:
                self._known[key] = self._parse(fhir_type, name, raw, hops)
            except BadRequest as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, BadRequest):
            raise found
        return found

    def _parse(self, fhir_type: str, name: str, raw: str, hops: int) -> Criterion:
        if name.startswith("_has:"):
            return self._has(fhir_type, name, raw, hops)
        if name == "_list":
            return _listed(raw)
        head, dot, rest = name.partition(".")
        if dot:
            return self._chain(fhir_type, head, rest, raw, hops)
        code, _, modifier = name.partition(":")
        parameter = known_parameter(fhir_type, code)
        if modifier:
            _check_modifier(parameter, modifier)
        return self._match(parameter, modifier or None, raw)

    def _value(self, parameter: SearchParameter, modifier: str | None, raw: str) -> SearchValue:
        timeless = parameter.kind in _TIMELESS and not raw.startswith("ap")
        if modifier is None and timeless and len(raw) <= LONGEST_KEPT:
            return _kept_value(parameter, raw)
        return parse_value(parameter, modifier, raw, self.asked)

    def _match(self, parameter: SearchParameter, modifier: str | None, raw: str) -> Match:
        parts = split(raw, ",")
        if len(parts) > MAX_VALUES:
            raise BadRequest(f"{parameter.code}: {len(parts)} values, at most {MAX_VALUES} are allowed; ask in parts")
        values = tuple([self._value(parameter, modifier, part) for part in parts])
        typed = modifier is not None and is_resource_type(modifier)
        match = Match(parameter.code, parameter.kind, values, None if typed else modifier)
        if match.kind == "reference" and match.modifier in OF_TREES:
            return _in_tree(parameter, match, self.asked.stored)
        return _in_codes(match, self.asked.stored)

    def _chain(self, fhir_type: str, head: str, rest: str, raw: str, hops: int) -> Criterion:
        """Types for which the rest means different things are alternatives."""
        code, _, wanted = head.partition(":")
        parameter = reference_parameter(fhir_type, code)
        if wanted and wanted not in parameter.targets:
            raise UnknownParameter(_no_target(parameter, wanted))
        targets = (wanted,) if wanted else parameter.targets
        found: dict[str, Criterion] = {}
        refused: list[BadRequest] = []
        for target in targets:
            try:
                found[target] = self.parse(target, rest, raw, hops + 1)
            except BadRequest as error:
                refused.append(error)
        if not found:
            raise _best(refused, code, rest, targets)
        alike: dict[Criterion, list[str]] = {}
        for target, inner in found.items():
            alike.setdefault(inner, []).append(target)
        ways = tuple((Chain(code, tuple(names), inner),) for inner, names in alike.items())
        return ways[0][0] if len(ways) == 1 else AnyOf(ways)

    def _has(self, fhir_type: str, name: str, raw: str, hops: int) -> Has:
        parts = name.split(":", 3)
        if len(parts) != 4 or not all(parts):
            raise UnknownParameter(f"{name}: allowed is _has:Type:reference:parameter")
        _, source, code, rest = parts
        if not is_resource_type(source):
            raise UnknownParameter(f"{name}: {source} is not a resource type of R4")
        parameter = reference_parameter(source, code)
        if fhir_type not in parameter.targets:
            raise UnknownParameter(_no_target(parameter, fhir_type))
        return Has(source, code, self.parse(source, rest, raw, hops + 1))


def _in_tree(parameter: SearchParameter, match: Match, stored: StoredCodes) -> Match:
    found = [one for value in match.values for one in around(parameter, match.modifier or "", value, stored.trees)]
    return Match(match.name, "reference", tuple(dict.fromkeys(found)))


def _in_codes(match: Match, stored: StoredCodes) -> Match:
    """The same question without a modifier that needs a terminology."""
    if match.kind != "token" or match.modifier is None or match.modifier not in (*OF_TREES, *OF_VALUE_SETS):
        return match
    found = [code for value in match.values for code in _codes(match.name, match.modifier, value, stored)]
    return Match(match.name, "token", tuple(dict.fromkeys(found)), OF_VALUE_SETS.get(match.modifier))


def _codes(name: str, modifier: str, value: SearchValue, stored: StoredCodes) -> Sequence[TokenValue]:
    if isinstance(value, UriValue):
        return members(name, value.uri, stored.sets)
    assert isinstance(value, TokenValue), "above and below take tokens"
    return relatives(name, modifier, value, stored.systems)


def known_parameter(fhir_type: str, code: str) -> SearchParameter:
    """UnknownParameter, naming the valid ones, when the type has no such parameter or it cannot be searched here."""
    parameters = search_parameters(fhir_type)
    found = parameters.get(code)
    if found is None or code in NOT_SEARCHABLE or (found.kind == "special" and code not in SEARCHABLE_SPECIALS):
        valid = ", ".join(sorted(set(parameters) - NOT_SEARCHABLE))
        raise UnknownParameter(f"{code!r} is not a search parameter of {fhir_type} here; known are {valid}")
    return replace(found, kind="special") if code in TEXTS else found


def reference_parameter(fhir_type: str, code: str) -> SearchParameter:
    """The parameter, refusing one that is no reference."""
    found = known_parameter(fhir_type, code)
    if found.kind != "reference":
        valid = ", ".join(name for name, own in search_parameters(fhir_type).items() if own.kind == "reference")
        raise UnknownParameter(f"{code} of {fhir_type} is no reference; references are {valid or 'none'}")
    return found


def _best(refused: list[BadRequest], code: str, rest: str, targets: tuple[str, ...]) -> BadRequest:
    """What to tell when no target of a chain understood it: a bad value before an unknown name."""
    bad = [error for error in refused if not isinstance(error, UnknownParameter)]
    if bad or len(targets) == 1:
        return (bad or refused)[0]
    return UnknownParameter(f"{code}.{rest}: nothing that {code} points to knows {rest!r} ({', '.join(targets)})")


def _no_target(parameter: SearchParameter, wanted: str) -> str:
    return f"{parameter.type}.{parameter.code} never points to {wanted}; it points to {', '.join(parameter.targets)}"


def _check_modifier(parameter: SearchParameter, modifier: str) -> None:
    valid = _OF_IDS if parameter.code == "_id" else _MODIFIERS[parameter.kind]
    if modifier not in valid and not (parameter.kind == "reference" and modifier in parameter.targets):
        types = ", a type it points to" if parameter.kind == "reference" else ""
        kind = "an id" if parameter.code == "_id" else f"a {parameter.kind}"
        raise UnknownParameter(
            f"{parameter.code}:{modifier} is unknown; modifiers of {kind} are {', '.join(valid)}{types}"
        )


def _listed(raw: str) -> Has:
    """`_list=id` means the members of that List; the functional lists (`$current-problems`) are not kept here."""
    if not ID.fullmatch(raw):
        raise BadRequest(f"_list: {raw!r} is not the id of a List")
    return Has("List", "item", Match("_id", "token", (TokenValue(None, raw),)))
