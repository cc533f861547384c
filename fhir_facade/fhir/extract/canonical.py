"""Quantities in canonical UCUM units, so that 5400 mg finds 5.4 g (https://hl7.org/fhir/R4/search.html#quantity).

in_canonical_units(value, code) -> (float, code) | None     of a stored value; None outside the table of units
canonical_quantity(asked) -> QuantityValue | None           of a value asked for; None when its unit says nothing
in_each_unit(number, code) -> {code: number}                an amount in every unit that compares with its own
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import lru_cache

from fhir_facade.values import QuantityValue
from terminology import ucum
from terminology.canonical import UCUM


def in_canonical_units(value: float, code: str) -> tuple[float, str] | None:
    """The float nearest to the exact conversion; the value itself where the unit is the canonical one."""
    target = ucum.canonical_code(code)
    if target is None or target == code:
        return None if target is None else (value, code)
    return _converted(value, code, target), target


@lru_cache(maxsize=1024)
def _converted(value: float, code: str, target: str) -> float:
    """Kept, because the same few readings come again and again; both codes are of the table, so that they are short."""
    return float(ucum.convert(Decimal(repr(value)), code, target))


def canonical_quantity(asked: QuantityValue) -> QuantityValue | None:
    """The same question in canonical units, its interval converted with it. None: no UCUM unit of the table."""
    if asked.system != UCUM or asked.code is None:
        return None
    code, target = asked.code, ucum.canonical_code(asked.code)
    if target is None:
        return None
    number, low, high = (ucum.convert(value, code, target) for value in (asked.number, asked.low, asked.high))
    return replace(asked, number=number, low=low, high=high, code=target)


def in_each_unit(number: Decimal, code: str) -> dict[str, Decimal]:
    """The number by each unit that compares with its own, itself among them; by its own alone outside the table."""
    return {other: ucum.convert(number, code, other) for other in ucum.alike(code)} or {code: number}
