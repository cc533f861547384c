"""Numbers and quantities in queries, with the interval that their digits imply (https://hl7.org/fhir/R4/search.html#number)."""

from __future__ import annotations

import re
from decimal import Context, Decimal
from typing import Final

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.query.escape import split, unescape
from fhir_facade.fhir.query.prefixes import split_prefix
from fhir_facade.values import NumberValue, Prefix, QuantityValue

MAX_DIGITS: Final = 40
MAX_EXPONENT: Final = 300
_NUMBER = re.compile(r"[+-]?(?P<digits>\d+(?:\.\d+)?)(?:[eE](?P<exponent>[+-]?\d{1,3}))?", re.ASCII)
_EXACT = Context(prec=2 * MAX_DIGITS)
_HALF, _TENTH = Decimal("0.5"), Decimal("0.1")


def parse_number(name: str, raw: str) -> NumberValue:
    """`5.4` means [5.35, 5.45). BadRequest when it is no number."""
    prefix, text = split_prefix(raw)
    return NumberValue(prefix, *_interval(name, prefix, text), text)


def parse_quantity(name: str, raw: str) -> QuantityValue:
    """`number`, `number|system|code` or `number||code` (code or printed unit, whatever the system)."""
    prefix, rest = split_prefix(raw)
    text, *unit = (unescape(part) for part in split(rest, "|"))
    if len(unit) not in (0, 2):
        raise BadRequest(f"{name}: {raw!r} is not a quantity; allowed are number, number|system|code, number||code")
    system, code = unit or ("", "")
    return QuantityValue(prefix, *_interval(name, prefix, text), system or None, code or None, text)


def _interval(name: str, prefix: Prefix, text: str) -> tuple[Decimal, Decimal, Decimal]:
    """The number, and half a unit of its last digit on both sides; `ap` is a tenth of the number if that is more.

    R4's own example for an exponent, 1e2 = [95, 105), gives zeros before the point a tenth of that.
    """
    found = _NUMBER.fullmatch(text)
    if found is None or len(found["digits"]) > MAX_DIGITS or abs(int(found["exponent"] or 0)) > MAX_EXPONENT:
        raise BadRequest(
            f"{name}: {text!r} is not a number; allowed are at most {MAX_DIGITS} digits such as 5, -5.40 or 5.4e-3"
        )
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "the pattern admits finite numbers only"
    unit = Decimal(1).scaleb(exponent - 1 if exponent > 0 else exponent, _EXACT)
    slack = _EXACT.multiply(unit, _HALF)
    if prefix == "ap":
        slack = max(slack, _EXACT.multiply(abs(number), _TENTH))
    return number, _EXACT.subtract(number, slack), _EXACT.add(number, slack)
