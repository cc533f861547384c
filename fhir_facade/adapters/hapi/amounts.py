"""A quantity that is searched for, as the text that makes HAPI find what it means, in whatever unit.

HAPI converts all units of UCUM: to it 5 mmol/L is a number of molecules, which it compares with counts of cells, and a
percentage, a score or a count has no unit left, so that it finds the number in any. So it is asked in each unit of the
table that compares with the one that is meant (https://hl7.org/fhir/R4/search.html#quantity). It converts only where it
knows the units of a whole list; the last one of each list is one that nothing is measured in.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

from fhir_facade.adapters.hapi.escaping import escaped
from fhir_facade.fhir.comparisons import RELATIVE_SLACK
from fhir_facade.fhir.extract.canonical import in_each_unit
from fhir_facade.values import QuantityValue
from terminology.canonical import UCUM

_NOT_CONVERTED: Final = "urn:none|none"
_STEP: Final = Decimal(str(RELATIVE_SLACK))
_SLACK: Final = {"gt": _STEP, "sa": _STEP, "le": _STEP, "ge": -_STEP, "lt": -_STEP, "eb": -_STEP}
"""How far an edge moves that had to be converted: what binary floats cannot hold is neither beyond nor before it.
Zero is what it is in any unit."""
_AS_FLOATS: Final = Context(prec=17)
"""As many digits as a float has."""


def quantity(prefix: str, number: Decimal, like: QuantityValue) -> str:
    """The number in the unit of a value, as a list of what it is in every unit that compares; HAPI takes the prefix of
    the first for all."""
    if like.system != UCUM or like.code is None:
        return quantity_as_asked(prefix, number, like)
    factor = 1 + _SLACK.get(prefix, 0) if number else Decimal(1)
    amounts = {
        code: amount if code == like.code else _AS_FLOATS.multiply(amount, factor if amount > 0 else 2 - factor)
        for code, amount in in_each_unit(number, like.code).items()
    }
    texts = [f"{prefix}{decimal_text(amount)}|{UCUM}|{escaped(code)}" for code, amount in amounts.items()]
    return ",".join([*texts, f"{prefix}0|{_NOT_CONVERTED}"])


def quantity_as_asked(prefix: str, number: Decimal, like: QuantityValue) -> str:
    """The number in the unit of a value, as it stands."""
    if like.system is None and like.code is None:
        return f"{prefix}{decimal_text(number)}"
    return f"{prefix}{decimal_text(number)}|{escaped(like.system or '')}|{escaped(like.code or '')}"


def decimal_text(number: Decimal) -> str:
    return format(number, "f") if number else "0"
