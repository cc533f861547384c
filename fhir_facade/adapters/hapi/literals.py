"""A value of a search as the text that makes HAPI answer what FHIR R4 says, prefixes and implied precision included.

https://hl7.org/fhir/R4/search.html#prefix. Where HAPI reads a prefix in its own way, explicit bounds are sent.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from fhir_facade.adapters.hapi.amounts import decimal_text, quantity, quantity_as_asked
from fhir_facade.adapters.hapi.escaping import escaped, pattern
from fhir_facade.adapters.hapi.moments import is_within, second_of
from fhir_facade.errors import NotSupported
from fhir_facade.fhir.definitions.canonicals import VERSIONLESS
from fhir_facade.fhir.document import instant
from fhir_facade.values import (
    CompositeValue,
    DateValue,
    MissingValue,
    NearValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)

TICK = timedelta(milliseconds=1)
"""The finest step that HAPI tells apart."""

_FIRST = datetime.min.replace(tzinfo=UTC)

STORED_STEP = Decimal("0.01")
"""HAPI keeps numbers (not quantities) with two decimals, unless it is that of `hapi/`: bounds are widened by as much,
and the finds are checked."""

NEAR_SLACK = 1.01


def bounds(value: SearchValue) -> list[str]:
    """The value as one text, or as two that must both hold."""
    match value:
        case DateValue(prefix="ap"):
            return [f"ge{moment_text(second_of(value.low))}", f"lt{moment_text(value.high)}"]
        case QuantityValue(prefix="eq" | "ap"):
            return [quantity("ge", value.low, value), quantity(_BELOW[value.prefix], value.high, value)]
        case NumberValue():
            return _widened(value)
        case CompositeValue():
            return ["$".join(_broadly(part) for part in value.parts)]
        case _:
            return [single(value)]


_BELOW = {"eq": "lt", "ap": "le"}
"""The edge above is not equal any more, and still around."""


def _widened(value: NumberValue) -> list[str]:
    exact = value.prefix not in ("eq", "ap")
    low, high = (value.number, value.number) if exact else (value.low, value.high)
    lower, upper = f"ge{decimal_text(low - STORED_STEP)}", f"le{decimal_text(high + STORED_STEP)}"
    return {"gt": [lower], "ge": [lower], "sa": [lower], "lt": [upper], "le": [upper], "eb": [upper]}.get(
        value.prefix, [lower, upper]
    )


def _broadly(part: SearchValue) -> str:
    """A part of a composite as one text that finds too much rather than too little."""
    match part:
        case NumberValue():
            return _widened(part)[0]
        case QuantityValue(prefix="eq" | "ap"):
            return quantity_as_asked("ge", part.low, part)
        case StringValue() | QuantityValue():
            return _part(part)
        case _:
            return bounds(part)[0]


def _part(part: SearchValue) -> str:
    """A list of units has no place in a composite: HAPI converts, and takes those without a dimension for any."""
    match part:
        case StringValue():
            return escaped(pattern(part.text))
        case QuantityValue():
            return quantity_as_asked(_prefix(part), part.number, part)
        case _:
            return single(part)


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
            return "$".join(_part(part) for part in value.parts)
        case NearValue():
            return _near(value)
        case MissingValue():
            raise NotSupported(":missing cannot be combined with other values")


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
        # HAPI finds a canonical's version behind a plain bar only
        return escaped(value.url.removesuffix(VERSIONLESS)).replace("\\|", "|")
    return f"{value.type}/{value.id}" if value.type else str(value.id)


def _date(value: DateValue) -> str:
    """Comparisons by explicit instants: HAPI leaves the year or month itself out of `ge2020` and `le2020-05`."""
    low, high, last = value.low, value.high, _last_before(value.high)
    texts = {
        "gt": f"ge{moment_text(second_of(high))}" if is_within(high) else f"gt{moment_text(last)}",
        "ge": f"ge{moment_text(second_of(low))}",
        "lt": f"lt{moment_text(low)}",
        "le": f"lt{moment_text(high)}",
        "sa": f"sa{moment_text(last)}",
        "eb": f"eb{moment_text(low)}",
    }
    return texts.get(value.prefix) or f"{'' if value.prefix == 'eq' else value.prefix}{value.text}"


def _last_before(moment: datetime) -> datetime:
    """A tick earlier. A time of the year 1 in a zone ahead of UTC is the first moment that there is."""
    return moment - TICK if moment - _FIRST >= TICK else moment


def moment_text(moment: datetime) -> str:
    return instant(moment)


def _number(value: NumberValue | QuantityValue) -> str:
    if isinstance(value, QuantityValue):
        return quantity(_prefix(value), value.number, value)
    return f"{_prefix(value)}{decimal_text(value.number)}"


def _prefix(value: NumberValue | QuantityValue) -> str:
    """HAPI takes `5.4` for exactly 5.4. `sa` and `eb` it knows of quantities only, and only that of `hapi/`."""
    if isinstance(value, QuantityValue):
        return "" if value.prefix == "eq" else value.prefix
    return {"eq": "", "sa": "gt", "eb": "lt"}.get(value.prefix, value.prefix)
