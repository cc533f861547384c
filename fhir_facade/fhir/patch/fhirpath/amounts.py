"""Numbers with a unit, compared through UCUM. https://hl7.org/fhirpath/N1/#quantity"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Final

from terminology import ucum
from terminology.canonical import UCUM

CALENDAR: Final[Mapping[str, str]] = {
    f"{word}{plural}": code
    for word, code in {
        "year": "year",
        "month": "month",
        "week": "wk",
        "day": "d",
        "hour": "h",
        "minute": "min",
        "second": "s",
        "millisecond": "ms",
    }.items()
    for plural in ("", "s")
}
"""A year or month of the calendar has no fixed length, so it is no UCUM unit."""

EXACT: Final = Context(prec=60, traps=[])
"""What does not end is cut at 60 digits; what is no number is empty in FHIRPath."""


@dataclass(frozen=True, slots=True)
class Amount:
    """System.Quantity; "1" is the unit of a number without one."""

    value: Decimal
    unit: str

    @property
    def canonical(self) -> tuple[Decimal, str]:
        """Equal for amounts that are equal, whatever their units."""
        if self.unit == "year":
            return EXACT.multiply(self.value, 12), "month"
        return ucum.canonical(self.value, self.unit) or (self.value, self.unit)

    def in_units_of_both(self, other: Amount) -> Iterator[tuple[Decimal, Decimal]]:
        """Both values in the unit of this one, and in that of the other; none when they measure different things."""
        if self.unit == other.unit:
            yield self.value, other.value
        elif ucum.comparable(self.unit, other.unit):
            yield self.value, ucum.convert(other.value, other.unit, self.unit)
            yield ucum.convert(self.value, self.unit, other.unit), other.value

    def plus(self, other: Amount) -> Amount | None:
        """The sum; None when they measure different things."""
        (mine, unit), (theirs, other_unit) = self.canonical, other.canonical
        if self.unit == other.unit:
            return Amount(EXACT.add(self.value, other.value), self.unit)
        return Amount(EXACT.add(mine, theirs), unit) if unit == other_unit else None

    def compared(self, other: Amount) -> int | None:
        """Less than, greater than or 0; None when they measure different things."""
        (mine, unit), (theirs, other_unit) = self.canonical, other.canonical
        return (mine > theirs) - (mine < theirs) if unit == other_unit else None


def of_element(element: Mapping[str, Any]) -> Amount | None:
    """The amount that a Quantity states; None when it has no number, or only a limit of it."""
    value = element.get("value")
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or element.get("comparator"):
        return None
    unit = element.get("code") if element.get("system") == UCUM else element.get("unit")
    return Amount(Decimal(value), unit if isinstance(unit, str) else "1")
