"""One value of a resource, as a row of an index, against one value that is asked for: what a prefix, a unit and a
modifier mean. https://hl7.org/fhir/R4/search.html#prefix, https://hl7.org/fhir/R4/search.html#modifiers
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fhir_facade.errors import NotSupported
from fhir_facade.fhir.extract import QuantityRow, ReferenceRow, TokenRow
from fhir_facade.fhir.extract.canonical import canonical_quantity
from fhir_facade.fhir.extract.dates import to_us
from fhir_facade.fhir.extract.text import normalise
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

RELATIVE_SLACK: Final = 1e-12
"""Absorbs what binary floats cannot hold, far below any digit a client can mean."""


def holds(row: Any, value: SearchValue, modifier: str | None = None) -> bool:
    """One row against one value of the same kind."""
    return _TESTS[type(value)](row, value, modifier or "")


def _never(row: Any, value: MissingValue | NearValue, modifier: str) -> bool:
    raise NotSupported(":missing and near are questions about all rows, not about one")


def _composite(row: Any, value: CompositeValue, modifier: str) -> bool:
    return all(holds(part, own) for part, own in zip(row.parts, value.parts, strict=True))


def _token(row: TokenRow, value: TokenValue) -> bool:
    code = value.code if value.type_code is None else f"{value.type_code}|{value.code}"
    if value.system is not None and (row.system or "") != value.system:
        return False
    return code is None or row.code == code


_STRING_TESTS: Final[dict[str, Callable[[Any, str], bool]]] = {
    "": lambda row, text: row.text.startswith(normalise(text)),
    "text": lambda row, text: row.text.startswith(normalise(text)),
    "contains": lambda row, text: normalise(text) in row.text,
    "exact": lambda row, text: row.exact == text,
    "ends": lambda row, text: row.text.endswith(normalise(text)),
    "equal": lambda row, text: row.text == normalise(text),
}
_URI_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "": lambda stored, asked: stored == asked,
    "below": lambda stored, asked: stored.startswith(asked),
    "above": lambda stored, asked: asked.startswith(stored),
}


def _reference(row: ReferenceRow, value: ReferenceValue) -> bool:
    if value.url is None:
        return row.id == value.id and value.type in (None, row.type)
    url, bar, version = value.url.partition("|")
    return row.url == value.url or (row.url == url and (not bar or row.version == version))


def _equal_date(low: int, high: int, asked_low: int, asked_high: int) -> bool:
    return asked_low <= low and high <= asked_high


_DATE_TESTS: Final[dict[str, Callable[[int, int, int, int], bool]]] = {
    "eq": _equal_date,
    "ne": lambda low, high, asked_low, asked_high: not _equal_date(low, high, asked_low, asked_high),
    "gt": lambda low, high, asked_low, asked_high: high > asked_high,
    "lt": lambda low, high, asked_low, asked_high: low < asked_low,
    "ge": lambda low, high, asked_low, asked_high: high > asked_high or _equal_date(low, high, asked_low, asked_high),
    "le": lambda low, high, asked_low, asked_high: low < asked_low or _equal_date(low, high, asked_low, asked_high),
    "sa": lambda low, high, asked_low, asked_high: low >= asked_high,
    "eb": lambda low, high, asked_low, asked_high: high <= asked_low,
    "ap": lambda low, high, asked_low, asked_high: low < asked_high and high > asked_low,
}


def _quantity(row: QuantityRow, value: QuantityValue) -> bool:
    """In canonical units where both have them, else by the unit as written."""
    canonical = canonical_quantity(value)
    if canonical is None or row.canonical_low is None or row.canonical_high is None:
        return _unit(row.system, row.code, row.unit, value) and _number(row.low, row.high, value)
    return row.canonical_code == canonical.code and _number(row.canonical_low, row.canonical_high, canonical)


def _unit(system: str | None, code: str | None, unit: str | None, value: QuantityValue) -> bool:
    if value.system is not None and system != value.system:
        return False
    if value.code is None:
        return True
    return code == value.code or (value.system is None and unit == value.code)


def _number(low: float, high: float, value: NumberValue | QuantityValue) -> bool:
    """Comparisons use the number itself, equality the interval that its digits imply."""
    number = float(value.number)
    slack = abs(number) * RELATIVE_SLACK
    return _NUMBER_TESTS[value.prefix](low, high, number, slack, float(value.low), float(value.high))


def _equal_number(low: float, high: float, number: float, slack: float, asked_low: float, asked_high: float) -> bool:
    return asked_low - slack <= low and high < asked_high - slack


_NUMBER_TESTS: Final[dict[str, Callable[[float, float, float, float, float, float], bool]]] = {
    "eq": _equal_number,
    "ne": lambda *all_of_it: not _equal_number(*all_of_it),
    "gt": lambda low, high, number, slack, *_: high > number + slack,
    "ge": lambda low, high, number, slack, *_: high >= number - slack,
    "lt": lambda low, high, number, slack, *_: low < number - slack,
    "le": lambda low, high, number, slack, *_: low <= number + slack,
    "sa": lambda low, high, number, slack, *_: low > number + slack,
    "eb": lambda low, high, number, slack, *_: high < number - slack,
    "ap": lambda low, high, number, slack, asked_low, asked_high: (
        low <= asked_high + slack and high >= asked_low - slack
    ),
}

_TESTS: Final[dict[type[SearchValue], Callable[[Any, Any, str], bool]]] = {
    TokenValue: lambda row, value, _: _token(row, value),
    StringValue: lambda row, value, modifier: _STRING_TESTS[modifier](row, value.text),
    UriValue: lambda row, value, modifier: _URI_TESTS[modifier](row.uri, value.uri),
    ReferenceValue: lambda row, value, _: _reference(row, value),
    DateValue: lambda row, value, _: _DATE_TESTS[value.prefix](row.low, row.high, to_us(value.low), to_us(value.high)),
    NumberValue: lambda row, value, _: _number(row.low, row.high, value),
    QuantityValue: lambda row, value, _: _quantity(row, value),
    CompositeValue: _composite,
    MissingValue: _never,
    NearValue: _never,
}
