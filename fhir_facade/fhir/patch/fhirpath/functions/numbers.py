"""Functions of numbers. https://hl7.org/fhirpath/N1/#math"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any, Final

from fhir_facade.fhir.patch.fhirpath.amounts import EXACT, Amount
from fhir_facade.fhir.patch.fhirpath.focus import Focus
from fhir_facade.fhir.patch.fhirpath.functions.function import Arguments, Function, plain
from fhir_facade.fhir.patch.fhirpath.items import Items, is_number, one_value
from fhir_facade.fhir.patch.fhirpath.operators import bounded
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken

_PRECISE: Final = EXACT.copy()
_PRECISE.prec, _PRECISE.Emax, _PRECISE.Emin = 30, 999, -999
"""Powers and logarithms of any number are quick within these bounds."""


def _of_numbers(name: str, calculate: Callable[..., Any], arguments: range = range(1)) -> Function:
    """A function of a number and of other numbers; empty when one is, and when the result is none."""

    def apply(items: Items, given: Arguments, _: Focus) -> Items:
        values = [one_value(found, name) for found in (items, *(one.items() for one in given))]
        if None in values:
            return ()
        if not all(map(is_number, values)):
            raise NotTaken(f"{name} is called on or with what is no number")
        return bounded(calculate(*values))

    return Function(arguments, apply)


def _absolute(items: Items) -> Items:
    value = one_value(items, "abs()")
    if value is not None and not isinstance(value, Amount) and not is_number(value):
        raise NotTaken("abs() is called on what is no number")
    if isinstance(value, Amount):
        return (Amount(EXACT.abs(value.value), value.unit),)
    return () if value is None else (abs(value) if isinstance(value, int) else EXACT.abs(value),)


def _whole(rounding: str) -> Callable[[int | Decimal], Any]:
    def rounded(value: int | Decimal) -> Any:
        exact = Decimal(value)
        return int(exact.to_integral_value(rounding)) if exact.adjusted() < 12 else None

    return rounded


def _round(value: int | Decimal, places: int | Decimal = 0) -> Decimal | None:
    if not isinstance(places, int) or not 0 <= places <= 30:
        raise NotTaken("round() takes 0 to 30 places")
    context = EXACT.copy()
    context.rounding = ROUND_HALF_UP
    return context.quantize(Decimal(value), Decimal(1).scaleb(-places))


def _power(base: int | Decimal, exponent: int | Decimal) -> Any:
    result = _PRECISE.power(Decimal(base), Decimal(exponent))
    if not isinstance(base, int) or not isinstance(exponent, int) or exponent < 0:
        return result
    return int(result) if result.is_finite() and result.adjusted() < 12 else None


def _logarithm(value: int | Decimal, base: int | Decimal) -> Decimal:
    return _PRECISE.divide(_PRECISE.ln(Decimal(value)), _PRECISE.ln(Decimal(base)))


NUMBERS: Final[Mapping[str, Function]] = {
    "abs": plain(_absolute),
    "ceiling": _of_numbers("ceiling()", _whole(ROUND_CEILING)),
    "floor": _of_numbers("floor()", _whole(ROUND_FLOOR)),
    "truncate": _of_numbers("truncate()", _whole(ROUND_DOWN)),
    "round": _of_numbers("round()", _round, range(2)),
    "sqrt": _of_numbers("sqrt()", lambda value: _PRECISE.sqrt(Decimal(value))),
    "exp": _of_numbers("exp()", lambda value: _PRECISE.exp(Decimal(value))),
    "ln": _of_numbers("ln()", lambda value: _PRECISE.ln(Decimal(value))),
    "log": _of_numbers("log()", _logarithm, range(1, 2)),
    "power": _of_numbers("power()", _power, range(1, 2)),
}
