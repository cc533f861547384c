"""A search as the parameters that make HAPI answer what FHIR R4 says, prefixes and implied precision included.

https://hl7.org/fhir/R4/search.html#prefix. Where HAPI reads a prefix in its own way, explicit bounds are sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeGuard

from fhir_facade.errors import NotSupported, UnknownParameter
from fhir_facade.fhir.document import instant
from fhir_facade.fhir.positions import box_around
from fhir_facade.fhir.query.filters import ENDS
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
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    Sort,
    StringValue,
    TokenValue,
    UriValue,
)

Parameter = tuple[str, str]
Span = tuple[datetime | None, datetime | None]

TICK = timedelta(milliseconds=1)
"""The finest step that HAPI tells apart."""

STORED_STEP = Decimal("0.01")
"""HAPI keeps numbers (not quantities) with two decimals: bounds are widened by as much, and the finds are checked."""

IGNORED_MISSING = frozenset(("_profile", "_tag", "_security", "_source"))

NEAR_SLACK = 1.01

_SPECIAL = re.compile(r"([\\,$|])")


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
    lower = [("_lastUpdated", f"ge{_moment(max(lows))}")] if lows else []
    upper = [("_lastUpdated", f"lt{_moment(min(highs))}")] if highs else []
    return lower + upper


def rendered(criterion: Criterion, *, alone: bool = False) -> list[Parameter]:
    """`alone`: only one parameter may be used, since two could be met by two different resources."""
    match criterion:
        case Chain():
            return [_by_id(criterion)] if _is_id(criterion.inner) else _within(_chained(criterion), criterion.inner)
        case Has():
            return _within(f"_has:{criterion.type}:{criterion.name}:", criterion.inner)
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
    if match.kind != "token" or match.modifier not in _DENIED:
        return None
    return replace(match, modifier=_DENIED[match.modifier])


_DENIED: dict[str | None, str | None] = {None: "not", "not": None}


def sort_keys(sort: Sequence[Sort]) -> str:
    """The value of `_sort`, with the id as the last key: pages need an order without ties."""
    keys = [f"-{key.name}" if key.descending else key.name for key in sort]
    return ",".join(keys if any(key.name == "_id" for key in sort) else [*keys, "_id"])


def escaped(text: str) -> str:
    """https://hl7.org/fhir/R4/search.html#escaping"""
    return _SPECIAL.sub(r"\\\1", text)


def _within(prefix: str, inner: Criterion) -> list[Parameter]:
    found = rendered(inner, alone=True)
    if not found or isinstance(inner, AnyOf | Not) or _is_only_near_it(inner):
        raise UnknownParameter(f"HAPI cannot look for this behind {prefix.rstrip('.:')}: search in two steps")
    return [(prefix + name, value) for name, value in found]


def _is_id(criterion: Criterion) -> bool:
    return isinstance(criterion, Match) and (criterion.name, criterion.modifier) == ("_id", None)


def _by_id(chain: Chain) -> Parameter:
    """`name.id=x` is the reference itself; HAPI finds nothing by a chain to an id without a type."""
    assert isinstance(chain.inner, Match)
    ids = [value.code for value in chain.inner.values if isinstance(value, TokenValue)]
    return chain.name, ",".join(f"{target}/{id_}" for target in chain.targets for id_ in ids)


def _chained(chain: Chain) -> str:
    return f"{chain.name}:{chain.targets[0]}." if len(chain.targets) == 1 else f"{chain.name}."


def _match(match: Match, *, alone: bool) -> list[Parameter]:
    missing = next((value for value in match.values if isinstance(value, MissingValue)), None)
    if missing is not None:
        return _missing(match.name, missing)
    if is_identifier(match) or _is_around_a_pole(match):
        return []
    if match.modifier == ENDS:
        match = replace(match, modifier="contains")
    name = match.name if match.modifier is None else f"{match.name}:{match.modifier}"
    if len(match.values) == 1 and not alone:
        return [(name, text) for text in bounds(match.values[0])]
    return [(name, ",".join(single(value) for value in match.values))]


def is_identifier(match: Match) -> bool:
    """Whether it asks for a reference by the identifier in it, which HAPI does not index."""
    return match.kind == "reference" and match.modifier == "identifier"


def _missing(name: str, value: MissingValue) -> list[Parameter]:
    return [] if name in IGNORED_MISSING else [(f"{name}:missing", str(value.missing).lower())]


def bounds(value: SearchValue) -> list[str]:
    """The value as one text, or as two that must both hold."""
    match value:
        case DateValue(prefix="ap"):
            return [f"ge{_moment(value.low)}", f"lt{_moment(value.high)}"]
        case QuantityValue(prefix="eq" | "ap"):
            return [f"ge{_decimal(value.low)}{_unit(value)}", f"lt{_decimal(value.high)}{_unit(value)}"]
        case NumberValue():
            return _widened(value)
        case CompositeValue():
            return ["$".join(_broadly(part) for part in value.parts)]
        case _:
            return [single(value)]


def _widened(value: NumberValue) -> list[str]:
    exact = value.prefix not in ("eq", "ap")
    low, high = (value.number, value.number) if exact else (value.low, value.high)
    lower, upper = f"ge{_decimal(low - STORED_STEP)}", f"le{_decimal(high + STORED_STEP)}"
    return {"gt": [lower], "ge": [lower], "sa": [lower], "lt": [upper], "le": [upper], "eb": [upper]}.get(
        value.prefix, [lower, upper]
    )


def _broadly(part: SearchValue) -> str:
    """A part of a composite as one text that finds too much rather than too little."""
    if isinstance(part, NumberValue):
        return _widened(part)[0]
    return bounds(part)[0]


def single(value: SearchValue) -> str:
    """The value as one text that may stand in a list."""
    match value:
        case StringValue():
            return escaped(value.text)
        case TokenValue():
            return _token(value)
        case DateValue():
            return _date(value)
        case NumberValue() | QuantityValue():
            return _number(value)
        case ReferenceValue():
            return _reference(value)
        case UriValue():
            return escaped(value.uri)
        case CompositeValue():
            return "$".join(single(part) for part in value.parts)
        case NearValue():
            return _near(value)
        case MissingValue():
            raise NotSupported(":missing cannot be combined with other values")


def _is_only_near_it(criterion: Criterion) -> bool:
    """Whether HAPI is asked for more than is meant, which behind a reference nothing corrects."""
    return isinstance(criterion, Match) and (criterion.modifier == ENDS or criterion.name == "near")


def _is_around_a_pole(match: Match) -> bool:
    """HAPI's box finds nothing there: all places are asked for, and checked."""
    boxes = [box_around(value) for value in match.values if isinstance(value, NearValue)]
    return any((west, east) == (-180.0, 180.0) for _, _, west, east in boxes)


def _near(value: NearValue) -> str:
    """A little further than asked: HAPI looks into a box on a sphere of its own, and the finds are checked."""
    return f"{value.latitude:.9f}|{value.longitude:.9f}|{value.metres * NEAR_SLACK / 1000:.6f}|km"


def _token(value: TokenValue) -> str:
    parts = [value.system, value.type_code, value.code] if value.type_code is not None else [value.system, value.code]
    if value.system is None:
        parts = [value.code]
    return "|".join(escaped(part or "") for part in parts)


def _reference(value: ReferenceValue) -> str:
    if value.url is not None:
        return escaped(value.url).replace("\\|", "|")  # HAPI finds a canonical's version behind a plain bar only
    return f"{value.type}/{value.id}" if value.type else str(value.id)


def _date(value: DateValue) -> str:
    """Comparisons by explicit instants: HAPI leaves the year or month itself out of `ge2020` and `le2020-05`."""
    low, high = value.low, value.high
    texts = {
        "gt": f"gt{_moment(high - TICK)}",
        "ge": f"ge{_moment(low)}",
        "lt": f"lt{_moment(low)}",
        "le": f"lt{_moment(high)}",
        "sa": f"sa{_moment(high - TICK)}",
        "eb": f"eb{_moment(low)}",
    }
    return texts.get(value.prefix) or f"{'' if value.prefix == 'eq' else value.prefix}{value.text}"


def _moment(moment: datetime) -> str:
    return instant(moment)


def _number(value: NumberValue | QuantityValue) -> str:
    """HAPI takes `5.4` for exactly 5.4 and refuses `sa` and `eb`."""
    prefix = {"eq": "", "sa": "gt", "eb": "lt"}.get(value.prefix, value.prefix)
    return f"{prefix}{_decimal(value.number)}{_unit(value)}"


def _unit(value: NumberValue | QuantityValue) -> str:
    if isinstance(value, NumberValue) or (value.system is None and value.code is None):
        return ""
    return f"|{escaped(value.system or '')}|{escaped(value.code or '')}"


def _decimal(number: Decimal) -> str:
    return format(number, "f")
