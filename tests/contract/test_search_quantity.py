"""Quantity parameters: https://hl7.org/fhir/R4/search.html#quantity."""

from __future__ import annotations

import pytest

from tests.contract.case import Case

UCUM = "http://unitsofmeasure.org"
VALUES = {"a": "5.349", "b": "5.35", "c": "5.40", "d": "5.4499", "e": "5.45"}


@pytest.fixture
async def readings(case: Case) -> Case:
    def of(label: str, value: str, code: str) -> bytes:
        text = case.resource("Observation", label, valueQuantity="VALUE")
        quantity = f'{{"value":{value},"unit":"{code}","system":"{UCUM}","code":"{code}"}}'
        return case.put_of(text).body.replace(b'"VALUE"', quantity.encode())

    bodies = [of(label, value, "kg") for label, value in VALUES.items()]
    await case.store.write([case.put_of(body) for body in [*bodies, of("p", "5.4", "%")]])
    return case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("value-quantity=7.1", "", id="nothing"),
        pytest.param("value-quantity=5.4", "bcdp", id="the range that the digits imply"),
        pytest.param(f"value-quantity=5.4|{UCUM}|kg", "bcd", id="with a unit"),
        pytest.param("value-quantity=5.4||kg", "bcd", id="with a code of any system"),
        pytest.param(f"value-quantity=5.4|{UCUM}|", "bcdp", id="with a system and any code"),
        pytest.param("value-quantity=5.4|urn:other|", "", id="with another system"),
        pytest.param(f"value-quantity=5400|{UCUM}|g", "c", id="in another unit of the same kind"),
        pytest.param(f"value-quantity=gt5400|{UCUM}|g", "de", id="greater, in another unit"),
        pytest.param(f"value-quantity=5.4|{UCUM}|mg/dL", "", id="in a unit of another kind"),
        pytest.param(f"value-quantity=5.40|{UCUM}|kg", "c", id="more digits, a narrower range"),
        pytest.param(f"value-quantity=5|{UCUM}|kg", "abcde", id="fewer digits, a wider range"),
        pytest.param(f"value-quantity=ne5.4|{UCUM}|kg", "ae", id="not in the range"),
        pytest.param(f"value-quantity=gt5.4|{UCUM}|kg", "de", id="greater than the number itself"),
        pytest.param(f"value-quantity=ge5.4|{UCUM}|kg", "cde", id="greater or equal"),
        pytest.param(f"value-quantity=lt5.4|{UCUM}|kg", "ab", id="less"),
        pytest.param(f"value-quantity=le5.4|{UCUM}|kg", "abc", id="less or equal"),
        pytest.param(f"value-quantity=sa5.4|{UCUM}|kg", "de", id="starts after"),
        pytest.param(f"value-quantity=eb5.4|{UCUM}|kg", "ab", id="ends before"),
        pytest.param(f"value-quantity=ap5.8|{UCUM}|kg", "abcde", id="around"),
        pytest.param(f"value-quantity=5.40|{UCUM}|kg,5.40|{UCUM}|%25", "cp", id="one of two units"),
        pytest.param("value-quantity:missing=false", "abcdep", id="present"),
    ],
)
async def test_a_quantity_is_found(readings: Case, asked: str, found: str) -> None:
    assert "".join(await readings.labels("Observation", f"{asked}&_sort=_id")) == found


async def test_two_components_do_not_make_up_one_value_between_them(case: Case) -> None:
    def component(value: int) -> dict[str, object]:
        return {"code": {"text": "x"}, "valueQuantity": {"value": value, "system": UCUM, "code": "mm[Hg]"}}

    await case.put("Observation", "pressure", component=[component(120), component(80)])

    assert await case.labels("Observation", f"component-value-quantity=100|{UCUM}|mm[Hg]") == []
    assert await case.labels("Observation", f"component-value-quantity=80|{UCUM}|mm[Hg]") == ["pressure"]


async def test_an_amount_is_found_in_each_unit_of_its_kind(case: Case) -> None:
    alike = {
        "age": (44, "a", "528", "mo"),
        "dose": (5, "mg", "5000", "ug"),
        "amount": (2, "mmol", "2000", "umol"),
        "concentration": (7, "mg/mL", "7.00", "g/L"),
        "drop": (250, "uL", "0.250", "mL"),
        "air": (1013, "mbar", "101300", "Pa"),
        "ions": (4, "meq/L", "0.0040", "eq/L"),
        "activity": (3, "kU/L", "3000", "U/L"),
    }
    readings = {
        label: case.resource("Observation", label, valueQuantity={"value": value, "system": UCUM, "code": unit})
        for label, (value, unit, _, _) in alike.items()
    }
    await case.store.write([case.put_of(reading) for reading in readings.values()])

    found = {
        label: await case.labels("Observation", f"value-quantity={text}|{UCUM}|{unit}")
        for label, (_, _, text, unit) in alike.items()
    }

    assert found == {label: [label] for label in alike}


async def test_around_a_quantity_includes_its_edges(case: Case) -> None:
    for label, number in {"a": 71.9, "b": 72, "c": 88, "d": 88.1}.items():
        value = {"value": number, "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
        await case.put("Observation", label, valueQuantity=value)

    assert await case.labels("Observation", "value-quantity=ap80||mm[Hg]&_sort=_id") == ["b", "c"]
