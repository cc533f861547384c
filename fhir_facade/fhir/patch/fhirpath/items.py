"""What the items of a collection are worth: values, equality, order, truth.

An item is a `Place` of the resource or a value of the System types: bool, str, int, Decimal, Moment, Amount.
https://hl7.org/fhirpath/N1/#equality, https://hl7.org/fhir/R4/fhirpath.html#types (implicit conversions)
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from fhir_facade.fhir.patch.fhirpath.amounts import EXACT, Amount, of_element
from fhir_facade.fhir.patch.fhirpath.moments import Moment, of_text
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken
from fhir_facade.fhir.patch.places import Place

Item = Any
"""A Place, or a value of the System types."""
Items = Sequence[Item]

CHARACTERS: Final = 32
"""How many characters of a text are as much work as an item."""

_MOMENTS: Final = {"date": "Date", "dateTime": "DateTime", "instant": "DateTime", "time": "Time"}
_AMOUNTS: Final = frozenset(("Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration"))


def value_of(item: Item) -> Any:
    """The System value that an element stands for; the element itself when it stands for none."""
    if not isinstance(item, Place):
        return item
    value = item.value
    if item.definition in _AMOUNTS and isinstance(value, dict):
        return of_element(value) or item
    if item.definition in _MOMENTS and isinstance(value, str):
        return of_text(_MOMENTS[item.definition], value) or value
    if item.definition == "decimal" and type(value) is int:
        return Decimal(value)
    return value if isinstance(value, str | bool | int | Decimal) else item


def is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def one_value(items: Items, of: str) -> Any:
    """The value of the only item, None for none. NotTaken for several; `of` says where they stand."""
    if len(items) > 1:
        raise NotTaken(f"{of} finds {len(items)} items where it takes one")
    return value_of(items[0]) if items else None


def truth(items: Items, of: str) -> bool | None:
    """What a condition says: an item that is there counts as true, none is None."""
    value = one_value(items, of)
    return value if value is None or isinstance(value, bool) else True


def key_of(item: Item) -> Hashable:
    """The same for items that are equal."""
    value = value_of(item)
    if isinstance(value, Place):
        return "element", _frozen(value.value if value.value is not None else value.node)
    if isinstance(value, Moment):
        return value.kind == "Time", value.is_zoned, value.parts
    if isinstance(value, Amount):
        return value.canonical
    return _frozen(value)


def size_of(item: Item) -> int:
    """How much there is to look at when an item is compared."""
    return _size(item.value if isinstance(item, Place) else item)


def _size(value: Any) -> int:
    if isinstance(value, dict | list):
        return 1 + sum(map(_size, value.values() if isinstance(value, dict) else value))
    return 1 + len(value) // CHARACTERS if isinstance(value, str) else 1


def _frozen(value: Any) -> Hashable:
    if isinstance(value, dict):
        return frozenset((name, _frozen(item)) for name, item in value.items())
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return type(value).__name__ if value is None else (isinstance(value, bool), isinstance(value, str), value)


def distinct(items: Iterable[Item]) -> list[Item]:
    """Each item once, the first of equal ones."""
    found: dict[Hashable, Item] = {}
    for item in items:
        found.setdefault(key_of(item), item)
    return [*found.values()]


def equal(one: Item, other: Item) -> bool | None:
    """`=` of two items; None when they are too imprecise to say so, or measure different things."""
    a, b = _alike(value_of(one), value_of(other))
    if isinstance(a, Moment) and isinstance(b, Moment) and a.comparable(b):
        order = a.compared(b)
        return None if order is None else order == 0
    if isinstance(a, Amount) and isinstance(b, Amount):
        order = a.compared(b)
        return None if order is None else order == 0
    if isinstance(a, Moment) and isinstance(b, str):  # a date of the resource and a text: as they are written
        return a.text == b
    if isinstance(a, str) and isinstance(b, Moment):
        return a == b.text
    return key_of(a) == key_of(b)


def equivalent(one: Item, other: Item) -> bool:
    """`~` of two items: without regard to case, space and the digits that only one of them has."""
    a, b = _alike(value_of(one), value_of(other))
    if isinstance(a, str) and isinstance(b, str):
        return _plain(a) == _plain(b)
    if is_number(a) and is_number(b):
        return _about(Decimal(a), Decimal(b))
    if isinstance(a, Amount) and isinstance(b, Amount):
        return any(_about(*values) for values in a.in_units_of_both(b))
    return equal(a, b) is True


def _about(a: Decimal, b: Decimal) -> bool:
    step = Decimal(1).scaleb(-min(_decimals(a), _decimals(b)))
    return a == b or EXACT.quantize(a, step) == EXACT.quantize(b, step)


def compared(one: Item, other: Item) -> int | None:
    """Less than, greater than or 0; None when nobody can say. NotTaken for what has no order."""
    a, b = _alike(value_of(one), value_of(other))
    if isinstance(a, Moment) and isinstance(b, Moment) and a.comparable(b):
        return a.compared(b)
    if isinstance(a, Amount) and isinstance(b, Amount):
        return a.compared(b)
    if any(isinstance(value, Place) and value.definition in _AMOUNTS for value in (a, b)):
        return None  # no number, or only a limit of it
    if (isinstance(a, str) and isinstance(b, str)) or (is_number(a) and is_number(b)):
        return int(a > b) - int(a < b)
    raise NotTaken("it compares what has no common order")


def _alike(a: Any, b: Any) -> tuple[Any, Any]:
    """A number beside an amount is an amount too."""
    if isinstance(a, Amount) and is_number(b):
        return a, Amount(Decimal(b), "1")
    if isinstance(b, Amount) and is_number(a):
        return Amount(Decimal(a), "1"), b
    return a, b


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _decimals(number: Decimal) -> int:
    exponent = EXACT.plus(number).normalize(EXACT).as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)
