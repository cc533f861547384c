from __future__ import annotations

from decimal import Decimal

import pytest

from terminology import analytes, ucum


@pytest.mark.parametrize(
    ("value", "loinc", "unit", "expected"),
    [
        ("5.5", "14771-0", "mmol/L", ("99.088", "mg/dL")),
        ("99", "1558-6", "mg/dL", ("99", "mg/dL")),
        ("1", "1558-6", "g/L", ("100", "mg/dL")),
        ("88.4", "14682-9", "umol/L", ("0.9999808", "mg/dL")),
    ],
)
def test_either_code_reads_as_mass_concentration(value: str, loinc: str, unit: str, expected: tuple[str, str]) -> None:
    assert analytes.to_mass(Decimal(value), loinc, unit) == (Decimal(expected[0]), expected[1])


@pytest.mark.parametrize(("loinc", "unit"), [("8867-4", "/min"), ("2345-7", "%"), ("2345-7", "lbs")])
def test_a_code_and_a_unit_that_do_not_fit_read_as_nothing(loinc: str, unit: str) -> None:
    assert analytes.to_mass(Decimal(1), loinc, unit) is None


def test_every_pair_uses_known_units_of_the_right_kind() -> None:
    for pair in analytes.pairs().values():
        assert ucum.comparable(pair.mass_unit, "mg/dL")
        assert ucum.comparable(pair.molar_unit, "mmol/L")
