from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminology import ucum

VALUES = st.decimals(min_value=-100000, max_value=100000, places=4)
CODES = st.sampled_from(sorted(ucum.table()))


@pytest.mark.parametrize("wrong", ["lbs", "mmHg", "bpm", "Kg", "", "mg/dl"])
def test_a_unit_outside_the_table_is_refused_with_the_list_of_known_units(wrong: str) -> None:
    with pytest.raises(ucum.UnknownUnit, match=r"known are %"):
        ucum.convert(Decimal(1), wrong, "kg")


@pytest.mark.parametrize(("a", "b"), [("kg", "mg/dL"), ("Cel", "K"), ("mg/dL", "mmol/L"), ("%", "mmol/mol")])
def test_units_of_different_dimensions_do_not_convert(a: str, b: str) -> None:
    with pytest.raises(ucum.IncomparableUnits, match="does not convert"):
        ucum.convert(Decimal(1), a, b)
    assert not ucum.comparable(a, b)


def test_an_unknown_unit_compares_with_nothing_and_has_no_canonical_form() -> None:
    assert not ucum.comparable("lbs", "kg")
    assert not ucum.comparable("kg", "lbs")
    assert ucum.canonical(Decimal(1), "lbs") is None
    assert ucum.printed("lbs") == "lbs"


@pytest.mark.parametrize("value", ["5e300", "-5e-300", "1" + "0" * 70])
def test_a_number_of_any_size_converts(value: str) -> None:
    assert ucum.convert(ucum.convert(Decimal(value), "kg", "mg"), "mg", "kg") == Decimal(value)


def test_the_units_that_compare_with_one_are_told_itself_among_them() -> None:
    assert set(ucum.alike("[degF]")) == {"Cel", "[degF]"}
    assert ucum.alike("%") == ("%",)
    assert ucum.alike("lbs") == ()


def test_comparable_units_have_one_canonical_code() -> None:
    assert {ucum.canonical_code(code) for code in ("kg", "g", "mg", "[lb_av]")} == {"kg"}
    assert ucum.canonical_code("lbs") is None
    for code in ucum.table():
        assert ucum.comparable(code, str(ucum.canonical_code(code)))


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        ("37", "Cel", "[degF]", "98.6"),
        ("98.6", "[degF]", "Cel", "37"),
        ("-40", "[degF]", "Cel", "-40"),
        ("100", "[degF]", "Cel", "37.7777777777778"),
        ("87090", "g", "kg", "87.09"),
        ("180", "[lb_av]", "kg", "81.6466266"),
        ("7000000", "mm", "m", "7000"),
        ("1", "[mi_i]", "km", "1.609344"),
        ("2000", "kcal", "kJ", "8368"),
        ("4.5", "10*3/uL", "10*9/L", "4.5"),
        ("60", "{beats}/min", "/s", "1"),
        ("5.5", "mmol/L", "umol/L", "5500"),
        ("1.50", "kg", "kg", "1.50"),
        ("5000", "ug", "mg", "5"),
        ("44", "a", "mo", "528"),
        ("1", "mo", "d", "30.4375"),
        ("1.5", "[IU]/mL", "u[IU]/mL", "1500000"),
        ("1", "mbar", "Pa", "100"),
        ("1", "W", "kcal/d", "20.6500956022945"),
        ("250", "um", "mm", "0.25"),
        ("7", "mg/mL", "g/L", "7"),
    ],
)
def test_conversion_is_exact(value: str, source: str, target: str, expected: str) -> None:
    assert str(ucum.convert(Decimal(value), source, target)) == expected


def test_kilopascal_follows_the_ucum_definition_of_the_millimetre_of_mercury() -> None:
    assert ucum.convert(Decimal("133.322"), "kPa", "mm[Hg]") == 1000


def test_the_canonical_unit_of_a_dimension_is_the_one_with_factor_one() -> None:
    assert ucum.canonical(Decimal(80), "[lb_av]") == (Decimal("36.2873896"), "kg")
    assert ucum.canonical(Decimal("38.5"), "Cel") == (Decimal("38.5"), "Cel")
    assert ucum.printed("mm[Hg]") == "mmHg"


@given(VALUES, CODES)
def test_every_unit_converts_to_its_canonical_unit_and_back(value: Decimal, code: str) -> None:
    found = ucum.canonical(value, code)
    assert found is not None
    back = ucum.convert(found[0], found[1], code)
    assert abs(back - value) <= abs(value) * Decimal("1e-12") + Decimal("1e-10")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_plain_keeps_the_number_and_drops_the_exponent(value: Decimal) -> None:
    short = ucum.plain(value)
    assert short == value
    assert "E+" not in str(short)
