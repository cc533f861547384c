"""A closed table of UCUM units with exact decimal conversion: https://ucum.org/ucum

    convert(value, from_code, to_code) -> Decimal      IncomparableUnits, UnknownUnit
    canonical(value, code) -> (Decimal, str) | None    None for a unit outside the table
    canonical_code(code) -> str | None                 the unit that stands for all comparable ones
    comparable(a, b) -> bool
    alike(code) -> (str, ...)                          all units that compare with this one
    printed(code) -> str                               how a person writes the unit

A result that has an end is exact (37 Cel are 98.6 [degF] and back); one that has none is rounded to 15 significant
digits. Kelvin stands for differences of temperature only and does not compare with Cel.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal, Inexact
from functools import cache
from importlib.resources import files

import msgspec

_EXACT = Context(prec=60)
_ROUNDED = Context(prec=15)


class UnknownUnit(ValueError):
    """The unit is not in the table; the text lists what is."""


class IncomparableUnits(ValueError):
    """The units measure different things."""


class Unit(msgspec.Struct, frozen=True):
    """canonical = (value + offset) * numerator / denominator."""

    dimension: str
    numerator: Decimal
    denominator: Decimal
    unit: str
    offset: Decimal = Decimal(0)


class _Table(msgspec.Struct, frozen=True):
    notice: str
    meaning: str
    units: dict[str, Unit]


@cache
def table() -> Mapping[str, Unit]:
    """All units of the table by their UCUM code."""
    raw = (files("terminology") / "ucum.json").read_bytes()
    return msgspec.json.decode(raw, type=_Table).units


@cache
def _canonical_codes() -> Mapping[str, str]:
    codes: dict[str, str] = {}
    for code, unit in table().items():
        codes.setdefault(unit.dimension, code)
    return codes


def _unit(code: str) -> Unit:
    unit = table().get(code)
    if unit is None:
        raise UnknownUnit(f"Unit {code!r} is not known here; known are {', '.join(sorted(table()))}")
    return unit


def plain(value: Decimal) -> Decimal:
    """The same number without trailing zeros, and without an exponent unless it has more than 60 digits."""
    digits = len(value.as_tuple().digits)
    short = value.normalize(_EXACT if digits <= _EXACT.prec else Context(prec=digits))
    exponent = short.as_tuple().exponent
    written_out = isinstance(exponent, int) and exponent > 0 and short.adjusted() < _EXACT.prec
    return short.quantize(Decimal(1), context=_EXACT) if written_out else short


def _divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    context = _EXACT.copy()
    quotient = context.divide(numerator, denominator)
    return _ROUNDED.plus(quotient) if context.flags[Inexact] else quotient


def convert(value: Decimal, from_code: str, to_code: str) -> Decimal:
    """The value in another unit. `IncomparableUnits` when they measure different things, `UnknownUnit` outside the
    table."""
    source, target = _unit(from_code), _unit(to_code)
    if source.dimension != target.dimension:
        raise IncomparableUnits(f"{from_code} ({source.dimension}) does not convert to {to_code} ({target.dimension})")
    if from_code == to_code:
        return value
    shifted = _EXACT.add(value, source.offset)
    numerator = _EXACT.multiply(_EXACT.multiply(shifted, source.numerator), target.denominator)
    quotient = _divide(numerator, _EXACT.multiply(source.denominator, target.numerator))
    return plain(_EXACT.subtract(quotient, target.offset))


def canonical(value: Decimal, code: str) -> tuple[Decimal, str] | None:
    """The value in the canonical unit of its dimension, or None when the unit is outside the table."""
    target = canonical_code(code)
    return None if target is None else (convert(value, code, target), target)


def canonical_code(code: str) -> str | None:
    """The unit to which all that measure the same thing convert; None when the unit is outside the table."""
    unit = table().get(code)
    return None if unit is None else _canonical_codes()[unit.dimension]


def comparable(a: str, b: str) -> bool:
    """Whether both units are known and measure the same thing."""
    first, second = table().get(a), table().get(b)
    return first is not None and second is not None and first.dimension == second.dimension


@cache
def alike(code: str) -> tuple[str, ...]:
    """The units of the table that compare with this one, itself included; none for a unit outside the table."""
    unit = table().get(code)
    return () if unit is None else tuple(own for own, other in table().items() if other.dimension == unit.dimension)


def printed(code: str) -> str:
    """How a person writes the unit; the code itself when it is outside the table."""
    unit = table().get(code)
    return code if unit is None else unit.unit
