"""A search as the parameters that make HAPI answer what FHIR R4 says (https://hl7.org/fhir/R4/search.html).

What HAPI has no index or no word for is left out: `broad` says which finds have to be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeGuard

from fhir_facade.adapters.hapi.escaping import pattern
from fhir_facade.adapters.hapi.literals import bounds, moment_text, single
from fhir_facade.errors import NotSupported
from fhir_facade.fhir.definitions import reference_targets, search_parameters
from fhir_facade.fhir.definitions.canonicals import VERSIONLESS
from fhir_facade.fhir.match import CONTAINED
from fhir_facade.fhir.positions import box_around
from fhir_facade.fhir.query.filters import ENDS, EQUAL
from fhir_facade.values import (
    AnyOf,
    Chain,
    CompositeValue,
    Criterion,
    DateValue,
    Has,
    Match,
    MissingValue,
    NearValue,
    Not,
    ReferenceValue,
    SearchValue,
    Sort,
    StringValue,
    TokenValue,
)

Parameter = tuple[str, str]
Span = tuple[datetime | None, datetime | None]


CREATION: Final = "_pid"
UNINDEXED_META: Final = frozenset(("_profile", "_tag", "_security", "_source"))
"""What HAPI finds, and neither sorts by nor misses."""
_ADDRESSES: Final = frozenset(("_profile", "_source"))


def parameters(criteria: Sequence[Criterion]) -> list[Parameter]:
    """All must hold: each criterion as one or two parameters, not yet percent-encoded.

    HAPI takes one lower and one upper bound of `_lastUpdated` only, so the bounds of all its criteria become one pair.
    """
    spans = [_span(c.values[0]) for c in criteria if _is_written(c) and isinstance(c.values[0], DateValue)]
    others = [parameter for criterion in criteria if not _is_written(criterion) for parameter in rendered(criterion)]
    return [*others, *_written_within(spans)]


def _is_written(criterion: Criterion) -> TypeGuard[Match]:
    return isinstance(criterion, Match) and criterion.name == "_lastUpdated"


def _span(value: DateValue) -> Span:
    """The moments from (inclusive) and to (exclusive) which a resource may have been written."""
    spans: dict[str, Span] = {
        "gt": (value.high, None),
        "sa": (value.high, None),
        "ge": (value.low, None),
        "lt": (None, value.low),
        "eb": (None, value.low),
        "le": (None, value.high),
    }
    return spans.get(value.prefix, (value.low, value.high))


def _written_within(spans: Sequence[Span]) -> list[Parameter]:
    lows = [low for low, _ in spans if low is not None]
    highs = [high for _, high in spans if high is not None]
    lower = [("_lastUpdated", f"ge{moment_text(max(lows))}")] if lows else []
    upper = [("_lastUpdated", f"lt{moment_text(min(highs))}")] if highs else []
    return lower + upper


def rendered(criterion: Criterion, *, alone: bool = False) -> list[Parameter]:
    """`alone`: only one parameter may be used, since two could be met by two different resources."""
    match criterion:
        case Chain():
            return [_by_id(criterion)] if _is_id(criterion.inner) else _within(_chained(criterion), criterion.inner)
        case Has():
            return _referring(criterion)
        case AnyOf():
            raise NotSupported("HAPI takes alternatives one by one")
        case Not(inner):
            return _denied(inner)
        case Match():
            return _match(criterion, alone=alone)


def _denied(match: Match) -> list[Parameter]:
    """Nothing is asked where HAPI has no word for the opposite: the finds are checked."""
    denied = opposite(match)
    return [] if denied is None else _match(denied, alone=False)


def opposite(match: Match) -> Match | None:
    """What finds the resources that the match does not; None where only a check of each can tell."""
    missing = next((value.missing for value in match.values if isinstance(value, MissingValue)), None)
    if missing is not None:
        return replace(match, values=(MissingValue(not missing),))
    if match.kind != "token" or match.modifier not in _DENIED or is_unindexed(match) or is_of_no_system(match):
        return None
    return replace(match, modifier=_DENIED[match.modifier])


_DENIED: dict[str | None, str | None] = {None: "not", "not": None}


def sort_keys(sort: Sequence[Sort]) -> str:
    """The value of `_sort`, with the id as the last key: pages need an order without ties. Without one it is the order
    of creation, as HAPI numbers them."""
    if not sort:
        return CREATION
    keys = [f"-{key.name}" if key.descending else key.name for key in sort]
    return ",".join(keys if any(key.name == "_id" for key in sort) else [*keys, "_id"])


def _within(prefix: str, inner: Criterion) -> list[Parameter]:
    return [(prefix + name, value) for name, value in rendered(inner, alone=True)]


def _is_id(criterion: Criterion) -> bool:
    return isinstance(criterion, Match) and (criterion.name, criterion.modifier) == ("_id", None)


def _by_id(chain: Chain) -> Parameter:
    """`name.id=x` is the reference itself; HAPI finds nothing by a chain to an id without a type, and what can be no id
    is no reference either."""
    assert isinstance(chain.inner, Match)
    ids = [id_text(value) for value in chain.inner.values if isinstance(value, TokenValue)]
    possible = [f"{target}/{id_}" for target in chain.targets for id_ in ids if "_" not in id_]
    return (chain.name, ",".join(possible)) if possible else ("_id", ",".join(ids))


def _referring(has: Has) -> list[Parameter]:
    prefix = f"_has:{has.type}:{has.name}:"
    if not isinstance(has.inner, Chain) or _is_id(has.inner.inner):
        return _within(prefix, has.inner)
    return _within(f"{prefix}{has.inner.name}.", has.inner.inner)


def means_all(source: str, chain: Chain) -> bool:
    """Whether the chain goes to every type that knows what it asks: behind `_has` HAPI takes no type."""
    inner = chain.inner
    name = inner.name if isinstance(inner, Match | Chain) else None
    others = set(reference_targets(source, chain.name)).difference(chain.targets)
    return not any(name is None or name in search_parameters(other) for other in others)


def _chained(chain: Chain) -> str:
    return f"{chain.name}:{chain.targets[0]}." if len(chain.targets) == 1 else f"{chain.name}."


def _match(match: Match, *, alone: bool) -> list[Parameter]:
    missing = next((value for value in match.values if isinstance(value, MissingValue)), None)
    if missing is not None:
        return [] if is_ignored(match) else [(f"{match.name}:missing", str(missing.missing).lower())]
    if is_unindexed(match) or _is_around_a_pole(match):
        return []
    if match.modifier in _NARROWER:
        match = replace(match, modifier=_NARROWER[match.modifier])
    if match.kind != "special" and match.modifier in _PATTERNS:
        match = replace(match, values=tuple([_without_wildcards(value) for value in match.values]))
    if match.name == "_id":
        match = replace(match, values=tuple([_plain_id(value) for value in match.values]))
    if match.kind == "reference":
        match = replace(match, values=_each_once(match.values))
    name = match.name if match.modifier is None else f"{match.name}:{match.modifier}"
    if len(match.values) == 1 and not alone:
        return [(name, text) for text in bounds(match.values[0])]
    return [(name, ",".join(single(value) for value in match.values))]


_NARROWER: Mapping[str | None, str | None] = {ENDS: "contains", EQUAL: None}
"""Modifiers that HAPI has not, each with one that finds more."""
_PATTERNS = frozenset((None, "text", "contains"))


def _without_wildcards(value: SearchValue) -> SearchValue:
    return replace(value, text=pattern(value.text)) if isinstance(value, StringValue) else value


def _each_once(values: tuple[SearchValue, ...]) -> tuple[SearchValue, ...]:
    """HAPI refuses an id beside the same one with a type, which the id alone finds too."""
    references = [value for value in values if isinstance(value, ReferenceValue) and value.url is None]
    of_any_type = {value.id for value in references if value.type is None}
    twice = [value for value in references if value.type is not None and value.id in of_any_type]
    return tuple(value for value in values if value not in twice)


def _plain_id(value: SearchValue) -> SearchValue:
    return replace(value, code=id_text(value)) if isinstance(value, TokenValue) else value


def id_text(value: TokenValue) -> str:
    """HAPI reads `Patient/1` as the id 1, and an id that is not wanted without its system. No id has an underline
    either."""
    return "_" if value.system else (value.code or "").replace("/", "_")


def is_unindexed(match: Match) -> bool:
    """Whether it asks for what HAPI does not index: contained types, a reference by its identifier, or by what is no
    address to it (`urn:`, `mailto:`), profiles and sources above an address, tags by their text or by their system
    alone, what has none of a tag without one, and composites of three parts, of which it reads two."""
    if match.kind == "reference" and match.modifier != "identifier":
        return any(isinstance(value, ReferenceValue) and _is_no_address(value.url or "") for value in match.values)
    if match.name in UNINDEXED_META:
        system_alone = any(isinstance(value, TokenValue) and value.code is None for value in match.values)
        unread = match.modifier == "text" or (match.name in _ADDRESSES and match.modifier == "above")
        return system_alone or unread or (match.modifier == "not" and is_of_no_system(match))
    of_three = any(isinstance(value, CompositeValue) and len(value.parts) > 2 for value in match.values)
    return of_three or match.name == CONTAINED or match.kind == "reference"


def is_of_no_system(match: Match) -> bool:
    """Whether it asks for a tag or label without a system, for which HAPI takes those of any."""
    return match.name in UNINDEXED_META and any(
        isinstance(value, TokenValue) and value.system == "" for value in match.values
    )


def _is_no_address(url: str) -> bool:
    """HAPI takes the slash off its end, which it keeps in its index."""
    return ":" in url and ("://" not in url or url.endswith("/"))


def is_ignored(match: Match) -> bool:
    """Whether it asks for what is missing where HAPI does not look."""
    missing = any(isinstance(value, MissingValue) for value in match.values)
    return missing and (match.name in UNINDEXED_META or match.kind == "composite")


def is_only_near_it(criterion: Criterion) -> bool:
    """Whether HAPI is asked for more than is meant, which behind a reference nothing corrects."""
    if not isinstance(criterion, Match):
        return False
    versionless = any(
        isinstance(value, ReferenceValue) and (value.url or "").endswith(VERSIONLESS) for value in criterion.values
    )
    return versionless or is_narrower(criterion) or criterion.name == "near"


def is_narrower(match: Match) -> bool:
    """Whether HAPI is asked with another modifier, which finds more."""
    return match.modifier in _NARROWER


def _is_around_a_pole(match: Match) -> bool:
    """HAPI's box finds nothing there: all places are asked for, and checked."""
    boxes = [box_around(value) for value in match.values if isinstance(value, NearValue)]
    return any((west, east) == (-180.0, 180.0) for _, _, west, east in boxes)
