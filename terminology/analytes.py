"""Blood tests measured by mass or by amount of substance: the unit selects the LOINC code, a value is never converted
to fit a code. https://loinc.org/kb/users-guide/

    pairs() -> {loinc: Pair}                                both codes of an analyte, with their units and the factor
    to_mass(value, loinc, ucum) -> (Decimal, str) | None    for reading only: the mass value and its unit
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from terminology import ucum
from terminology.canonical import BASE, identifier_system
from terminology.codes import resources

_MAP = f"{BASE}/ConceptMap/mass-to-molar"


@dataclass(frozen=True, slots=True)
class Pair:
    """One analyte under its two codes, each with the unit it is usually given in."""

    mass: str
    mass_unit: str
    molar: str
    molar_unit: str
    mass_per_molar: Decimal


@cache
def pairs() -> Mapping[str, Pair]:
    """Every pair, under both of its codes."""
    elements = resources("ConceptMap")[_MAP]["group"][0]["element"]
    found: dict[str, Pair] = {}
    for element in elements:
        target = element["target"][0]
        facts = {product["property"]: product["value"] for product in target["product"]}
        name = identifier_system("analyte")
        pair = Pair(
            mass=element["code"],
            mass_unit=facts[f"{name}-mass-unit"],
            molar=target["code"],
            molar_unit=facts[f"{name}-molar-unit"],
            mass_per_molar=Decimal(facts[f"{name}-mass-per-molar"]),
        )
        found[pair.mass] = found[pair.molar] = pair
    return found


def to_mass(value: Decimal, loinc: str, unit: str) -> tuple[Decimal, str] | None:
    """The value as mass concentration with its unit, from either code; None when code and unit do not fit.

    For computing only: what is stored keeps its unit and its code.
    """
    pair = pairs().get(loinc)
    if pair is None:
        return None
    if ucum.comparable(unit, pair.mass_unit):
        return ucum.convert(value, unit, pair.mass_unit), pair.mass_unit
    if not ucum.comparable(unit, pair.molar_unit):
        return None
    return ucum.plain(ucum.convert(value, unit, pair.molar_unit) * pair.mass_per_molar), pair.mass_unit
