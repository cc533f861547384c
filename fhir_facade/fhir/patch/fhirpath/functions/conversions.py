"""Functions that make a value one of another type, and those that ask whether it can be.

https://hl7.org/fhirpath/N1/#conversion
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from fhir_facade.fhir.patch.fhirpath.amounts import CALENDAR, Amount
from fhir_facade.fhir.patch.fhirpath.functions.function import Function, plain
from fhir_facade.fhir.patch.fhirpath.items import Items, is_number, one_value
from fhir_facade.fhir.patch.fhirpath.moments import Moment, of_text
from fhir_facade.fhir.patch.fhirpath.operators import bounded

_WHOLE = re.compile(r"[+-]?[0-9]{1,10}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,60}(?:\.[0-9]{1,60})?")
_AMOUNT = re.compile(r"(?P<value>[+-]?[0-9]{1,60}(?:\.[0-9]{1,60})?)(?:\s*(?:'(?P<unit>[^']+)'|(?P<word>[a-z]+)))?")
_TRUE, _FALSE = {"true", "t", "yes", "y", "1", "1.0"}, {"false", "f", "no", "n", "0", "0.0"}


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if is_number(value):
        return bool(value) if value in (0, 1) else None
    text = value.lower() if isinstance(value, str) else None
    return True if text in _TRUE else (False if text in _FALSE else None)


def _integer(value: Any) -> int | None:
    if isinstance(value, int):  # a boolean too
        return int(value)
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else None


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    return Decimal(value) if isinstance(value, int | Decimal) else None


def _amount(value: Any) -> Amount | None:
    if isinstance(value, Amount):
        return value
    if isinstance(value, int | Decimal):
        return Amount(Decimal(value), "1")
    found = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if found is None or (found["word"] and found["word"] not in CALENDAR):
        return None
    return Amount(Decimal(found["value"]), CALENDAR[found["word"]] if found["word"] else found["unit"] or "1")


def _string(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Moment):
        return value.text
    if isinstance(value, Amount):
        return f"{value.value:f} '{value.unit}'"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value) if isinstance(value, str | int) else None


def _moment(kind: str) -> Callable[[Any], Moment | None]:
    def convert(value: Any) -> Moment | None:
        text = value.text if isinstance(value, Moment) else value
        if kind == "Date" and isinstance(value, Moment) and value.kind == "DateTime":
            text = value.text[:10]
        return of_text(kind, text) if isinstance(text, str) else None

    return convert


_CONVERSIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "Boolean": _boolean,
    "Integer": _integer,
    "Decimal": _decimal,
    "Quantity": _amount,
    "String": _string,
    "Date": _moment("Date"),
    "DateTime": _moment("DateTime"),
    "Time": _moment("Time"),
}


def _converted(kind: str, items: Items) -> Items:
    value = one_value(items, f"to{kind}()")
    return () if value is None else bounded(_CONVERSIONS[kind](value))


def _to(kind: str) -> Function:
    return plain(lambda items: _converted(kind, items))


def _converts_to(kind: str) -> Function:
    return plain(lambda items: (bool(_converted(kind, items)),) if items else ())


CONVERSIONS: Final[Mapping[str, Function]] = {
    **{f"to{kind}": _to(kind) for kind in _CONVERSIONS},
    **{f"convertsTo{kind}": _converts_to(kind) for kind in _CONVERSIONS},
}
