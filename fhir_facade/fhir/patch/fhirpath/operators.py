"""The operators of FHIRPath on two collections. https://hl7.org/fhirpath/N1/#operations"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from fhir_facade.fhir.patch.fhirpath.amounts import EXACT, Amount
from fhir_facade.fhir.patch.fhirpath.focus import Budget
from fhir_facade.fhir.patch.fhirpath.items import (
    Items,
    compared,
    distinct,
    equal,
    equivalent,
    is_number,
    one_value,
    size_of,
)
from fhir_facade.fhir.patch.fhirpath.moments import Moment
from fhir_facade.fhir.patch.fhirpath.syntax import LARGEST_INTEGER
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken

Operator = Callable[[Items, Items], Items]


def said(answer: bool | None) -> Items:
    """A truth value as a collection: unknown is empty."""
    return () if answer is None else (answer,)


# --- equality and order -----------------------------------------------------------------------------------------------


def _equal(left: Items, right: Items) -> bool | None:
    if not left or not right:
        return None
    answers = [len(left) == len(right), *(equal(a, b) for a, b in zip(left, right, strict=False))]
    if False in answers:
        return False
    return None if None in answers else True


def _equivalent(left: Items, right: Items) -> bool:
    rest = [*right]
    for one in left:
        found = next((at for at, other in enumerate(rest) if equivalent(one, other)), None)
        if found is None:
            return False
        del rest[found]
    return not rest


def _ordered(sign: str, holds: Callable[[int], bool]) -> Operator:
    def compare(left: Items, right: Items) -> Items:
        values = one_value(left, sign), one_value(right, sign)
        order = None if None in values else compared(*values)
        return said(None if order is None else holds(order))

    return compare


def negated(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def member_of(item: Items, items: Items, sign: str) -> Items:
    """`in`, and `contains` the other way round."""
    if not item:
        return ()
    one_value(item, sign)
    return (any(equal(item[0], other) for other in items),)


# --- numbers, amounts, moments and texts ------------------------------------------------------------------------------


def _calculated(sign: str, calculate: Callable[[Any, Any], Any]) -> Operator:
    def operate(left: Items, right: Items) -> Items:
        values = one_value(left, sign), one_value(right, sign)
        return () if None in values else bounded(calculate(*values))

    return operate


def bounded(value: Any) -> Items:
    """A result that is too large or undefined is empty."""
    if isinstance(value, Decimal) and not value.is_finite():
        return ()
    if type(value) is int and abs(value) > LARGEST_INTEGER:
        return ()
    return () if value is None else (value,)


def _refuse(sign: str) -> NotTaken:
    return NotTaken(f"{sign} does not take what it stands between")


def _sum(a: Any, b: Any) -> Any:
    if isinstance(a, str) and isinstance(b, str):
        return a + b
    if isinstance(a, Moment) and isinstance(b, Amount):
        return a.moved(b)
    if isinstance(a, Amount) and isinstance(b, Amount):
        return a.plus(b)
    return _number(a, b, "+")


def _difference(a: Any, b: Any) -> Any:
    if isinstance(b, Amount):
        return _sum(a, Amount(EXACT.minus(b.value), b.unit))
    return _number(a, b, "-")


_EXACTLY: Final[Mapping[str, Callable[[Decimal, Decimal], Decimal]]] = {
    "+": EXACT.add,
    "-": EXACT.subtract,
    "*": EXACT.multiply,
    "/": EXACT.divide,
    "div": EXACT.divide_int,
    "mod": EXACT.remainder,
}


def _number(a: Any, b: Any, sign: str) -> Any:
    if not is_number(a) or not is_number(b):
        raise _refuse(sign)
    result = _EXACTLY[sign](Decimal(a), Decimal(b))
    whole = sign == "div" or (sign != "/" and isinstance(a, int) and isinstance(b, int))
    return int(result.to_integral_value(ROUND_DOWN)) if whole and result.is_finite() else result


def _joined(left: Items, right: Items) -> Items:
    texts = [one_value(items, "&") for items in (left, right)]
    if any(not isinstance(text, str | None) for text in texts):
        raise _refuse("&")
    return ("".join(text or "" for text in texts),)


OPERATORS: Final[Mapping[str, Operator]] = {
    "=": lambda left, right: said(_equal(left, right)),
    "!=": lambda left, right: said(negated(_equal(left, right))),
    "~": lambda left, right: (_equivalent(left, right),),
    "!~": lambda left, right: (not _equivalent(left, right),),
    "<": _ordered("<", lambda order: order < 0),
    "<=": _ordered("<=", lambda order: order <= 0),
    ">": _ordered(">", lambda order: order > 0),
    ">=": _ordered(">=", lambda order: order >= 0),
    "in": lambda left, right: member_of(left, right, "in"),
    "contains": lambda left, right: member_of(right, left, "contains"),
    "|": lambda left, right: distinct((*left, *right)),
    "&": _joined,
    "+": _calculated("+", _sum),
    "-": _calculated("-", _difference),
    "*": _calculated("*", lambda a, b: _number(a, b, "*")),
    "/": _calculated("/", lambda a, b: _number(a, b, "/")),
    "div": _calculated("div", lambda a, b: _number(a, b, "div")),
    "mod": _calculated("mod", lambda a, b: _number(a, b, "mod")),
}


def charge(budget: Budget, operator: str, left: Items, right: Items) -> None:
    """What a comparison of these looks at, paid before it is made."""
    sizes = sum(map(size_of, left)), sum(map(size_of, right))
    budget.spend(sum(sizes) + (len(left) * len(right) if operator in ("~", "!~") else 0))


# --- logic ------------------------------------------------------------------------------------------------------------


_DECIDING: Final[Mapping[str, bool | None]] = {"and": False, "or": True, "implies": False, "xor": None}
_DECIDED: Final[Mapping[str, bool | None]] = {"and": False, "or": True, "implies": True, "xor": None}


def decided(operator: str, left: bool | None) -> bool | None:
    """What `and`, `or` and `implies` say whatever stands to their right; None when that has to be looked at."""
    return _DECIDED[operator] if left is _DECIDING[operator] else None


def concluded(operator: str, left: bool | None, right: bool | None) -> bool | None:
    """The three-valued tables of `and`, `or`, `xor` and `implies`, where the left side alone does not decide."""
    if operator == "xor":
        return None if left is None or right is None else left != right
    decisive = operator != "and"
    if right is decisive:
        return decisive
    return None if left is None else right


LOGIC: Final = frozenset(("and", "or", "xor", "implies"))
