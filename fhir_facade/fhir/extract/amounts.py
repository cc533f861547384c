"""Emitters of number and quantity parameters (https://hl7.org/fhir/R4/search.html#quantity)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from fhir_facade.fhir.extract.emitting import Emit, Names, Values
from fhir_facade.fhir.extract.rows import IndexRows, number_row, quantity_row
from terminology.canonical import UCUM

CURRENCY: Final = "urn:iso:std:iso:4217"


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def numbers(names: Names) -> Emit:
    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            number = _number(value)
            if number is not None:
                for name in names:
                    rows.numbers.append(number_row((name, number, number)))

    return emit


def _range_ends(value: Any) -> tuple[float, float, dict[str, Any]] | None:
    """low, high and the quantity that says the unit."""
    if not isinstance(value, dict):
        return None
    ends = [end if isinstance(end := value.get(key), dict) else {} for key in ("low", "high")]
    low, high = (_number(end.get("value")) for end in ends)
    if low is None and high is None:
        return None
    return (
        -math.inf if low is None else low,
        math.inf if high is None else high,
        ends[0] if low is not None else ends[1],
    )


def number_range(names: Names) -> Emit:
    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            found = _range_ends(value)
            if found is not None:
                for name in names:
                    rows.numbers.append(number_row((name, found[0], found[1])))

    return emit


_Canonical = tuple[float | None, float | None, str | None]
_NO_CANONICAL: Final = (None, None, None)


def _quantity_rows(
    names: Names, low: float, high: float, unit: dict[str, Any], rows: IndexRows, canonical: _Canonical | None = None
) -> None:
    """`canonical`: the ends in canonical units, where they are not simply those of the row converted."""
    if canonical is None:
        canonical = _in_canonical_units(low, high, unit, rows)
    system, code, printed = unit.get("system"), unit.get("code"), unit.get("unit")
    for name in names:
        rows.quantities.append(quantity_row((name, low, high, system, code, printed, *canonical)))


def _in_canonical_units(low: float, high: float, unit: dict[str, Any], rows: IndexRows) -> _Canonical:
    convert, code = rows.canonical, unit.get("code")
    if convert is None or unit.get("system") != UCUM or not isinstance(code, str):
        return _NO_CANONICAL
    first = convert(low, code) if math.isfinite(low) else None
    last = first if low == high else convert(high, code) if math.isfinite(high) else None
    known = first or last
    if known is None:
        return _NO_CANONICAL
    return first[0] if first else low, last[0] if last else high, known[1]


OPEN_STEP: Final = 4e-12
"""An end that is not within (`> 5`) is moved by this part of the number: by more than the slack of comparisons, which
would find it at the number, and by less than any digit that a client can mean. That is done to the converted number
too: a unit with a zero of its own (`Cel`) would make another part of it."""
_LEAST: Final = 1e-200


def _step(number: float) -> float:
    return abs(number) * OPEN_STEP or _LEAST


_COMPARED: Final[dict[str, Callable[[float], tuple[float, float]]]] = {
    "<": lambda number: (-math.inf, number - _step(number)),
    "<=": lambda number: (-math.inf, number),
    ">=": lambda number: (number, math.inf),
    ">": lambda number: (number + _step(number), math.inf),
}


def quantity(names: Names) -> Emit:
    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            number = _number(value.get("value")) if isinstance(value, dict) else None
            if number is None:
                continue
            compared = _COMPARED.get(value.get("comparator", ""))
            if compared is None:
                _quantity_rows(names, number, number, value, rows)
                continue
            converted, _, unit = _in_canonical_units(number, number, value, rows)
            canonical = _NO_CANONICAL if converted is None else (*compared(converted), unit)
            _quantity_rows(names, *compared(number), value, rows, canonical)

    return emit


def quantity_range(names: Names) -> Emit:
    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            found = _range_ends(value)
            if found is not None:
                _quantity_rows(names, *found, rows)

    return emit


def money(names: Names) -> Emit:
    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            number = _number(value.get("value")) if isinstance(value, dict) else None
            if number is not None:
                currency = value.get("currency")
                unit = {"system": CURRENCY, "code": currency} if currency else {}
                _quantity_rows(names, number, number, unit, rows)

    return emit


def sampled(names: Names) -> Emit:
    """The bounds of the samples, as R4 wants it; `L` and `U` reach to the limits of detection, `E` says nothing."""

    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if not isinstance(value, dict) or not isinstance(value.get("origin"), dict):
                continue
            origin = _number(value["origin"].get("value"))
            ends = _sample_ends(value, origin) if origin is not None else []
            if ends:
                _quantity_rows(names, min(ends), max(ends), value["origin"], rows)

    return emit


def _sample_ends(value: dict[str, Any], origin: float) -> list[float]:
    factor = _number(value.get("factor", 1)) or 1.0
    words = str(value.get("data", "")).split()
    limits = {"L": _number(value.get("lowerLimit")), "U": _number(value.get("upperLimit"))}
    found = [limits[word] if word in limits else _number(word) for word in words]
    return [origin + number * factor for number in found if number is not None]
