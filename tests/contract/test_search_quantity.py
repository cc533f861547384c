"""Quantity parameters: https://hl7.org/fhir/R4/search.html#quantity."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

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


AMOUNTS = {
    "a": ("g", 5.4),
    "b": ("mg", 5400),
    "c": ("%", 95),
    "d": ("{score}", 0.95),
    "e": ("1", 0.95),
    "f": ("10*3/uL", 7),
    "g": ("/uL", 7000),
    "h": ("nmol/L", 100),
    "i": ("Cel", 36.5),
    "j": ("[degF]", 97.7),
    "k": ("{beats}/min", 72),
    "l": ("1/min", 72),
    "m": ("[lb_av]", 150),
}
COMPARED = {
    "5.4 g": "ab",
    "0.0054 kg": "ab",
    "gt90 %": "c",  # no number of anything else
    "le95 %": "c",
    "ne95 %": "",
    "0.95 {score}": "d",
    "lt2 1": "e",
    "gt5 10*9/L": "fg",  # cells are no molecules
    "gt0 mmol/L": "h",
    "36.5 Cel": "ij",
    "gt300 K": "",  # a difference of temperatures is none
    "72 /min": "k",
    "72 1/min": "l",  # a unit outside the table compares with itself alone
    "le68.0388555 kg": "abm",  # an edge that is converted is neither lost nor crossed
    "gt68.0388555 kg": "",
    "7 10^3/uL": "",
}


async def test_a_quantity_is_compared_with_what_measures_the_same(case: Case) -> None:
    patient = await case.put("Patient", "p")
    subject = {"reference": f"Patient/{patient.id}"}
    for label, (unit, value) in AMOUNTS.items():
        quantity = {"value": value, "system": UCUM, "code": unit}
        await case.put("Observation", label, subject=subject, valueQuantity=quantity)

    for text, found in COMPARED.items():
        number, unit = text.split()
        asked = f"value-quantity={number}|{UCUM}|{quote(unit)}"
        assert "".join(await case.labels("Observation", f"{asked}&_sort=_id")) == found, text
        assert (await case.search("Observation", asked, count=0, total=True)).total == len(found), text
        behind = await case.labels("Patient", f"_has:Observation:patient:{asked}")
        assert behind == (["p"] if found else []), text


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


MG = {"system": UCUM, "code": "mg/L"}


def amount(value: float, comparator: str | None = None) -> dict[str, Any]:
    return {"value": value} | ({} if comparator is None else {"comparator": comparator})


MEASURED: dict[str, dict[str, Any]] = {
    "a": {"valueQuantity": {"value": 5} | MG},
    "b": {"valueQuantity": {"value": 5, "comparator": "<"} | MG},
    "c": {"valueQuantity": {"value": 5, "comparator": ">"} | MG},
    "d": {"valueQuantity": {"value": 5, "comparator": "<="} | MG},
    "e": {"valueQuantity": {"value": 5, "comparator": ">="} | MG},
    "s": {
        "valueSampledData": {
            "origin": {"value": 1} | MG,
            "period": 10,
            "factor": 2,
            "dimensions": 1,
            "upperLimit": 3,
            "data": "E 1.5 U 2",
        }
    },
}
"""`s` reaches from 4 to 7."""


@pytest.fixture
async def intervals(case: Case) -> Case:
    made = [case.resource("Observation", label, **value) for label, value in MEASURED.items()]
    await case.store.write([case.put_of(resource) for resource in made])
    return case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("value-quantity=5", "a", id="the number itself"),
        pytest.param(f"value-quantity=5|{UCUM}|mg/L", "a", id="with its unit"),
        pytest.param(f"value-quantity=5000|{UCUM}|ug/L", "a", id="in another unit"),
        pytest.param(f"value-quantity=6e0|{UCUM}|mg/L", "", id="within samples"),
        pytest.param("value-quantity=5,77", "a", id="one of two"),
        pytest.param("value-quantity=1e1||mg/L", "", id="around nothing"),
        pytest.param("value-quantity=ne5", "bcdes", id="another"),
        pytest.param(f"value-quantity=gt5|{UCUM}|mg/L", "ces", id="greater"),
        pytest.param("value-quantity=gt100", "ce", id="far greater"),
        pytest.param(f"value-quantity=lt5000|{UCUM}|ug/L", "bds", id="less, in another unit"),
        pytest.param("value-quantity=lt3", "bd", id="far less"),
        pytest.param("value-quantity=ge6", "ces", id="greater or equal"),
        pytest.param("value-quantity=le5", "abdes", id="less or equal, an end included"),
        pytest.param("value-quantity=ge5", "acdes", id="greater or equal, an end included"),
        pytest.param("value-quantity=sa4.5", "ace", id="starts after"),
        pytest.param("value-quantity=sa3", "aces", id="samples start after"),
        pytest.param("value-quantity=sa6", "", id="starts far after"),
        pytest.param("value-quantity=sa5", "c", id="starts after an end"),
        pytest.param("value-quantity=eb5", "b", id="ends before an end"),
        pytest.param(f"value-quantity=eb6|{UCUM}|mg/L", "abd", id="ends before"),
        pytest.param("value-quantity=eb8", "abds", id="samples end before"),
        pytest.param("value-quantity=ap5", "abcdes", id="around"),
        pytest.param("value-quantity=ap8", "ce", id="around what no sample reaches"),
        pytest.param("value-quantity:missing=false", "abcdes", id="present"),
        pytest.param("combo-value-quantity=5", "a", id="of the whole or a part"),
        pytest.param("combo-value-quantity=sa3&value-quantity=eb9", "as", id="of the whole or a part, and ends before"),
        pytest.param("combo-value-quantity=lt3", "bd", id="of the whole or a part, less"),
        pytest.param("combo-value-quantity=sa3", "aces", id="of the whole or a part, starts after"),
        pytest.param("combo-value-quantity=sa6", "", id="of the whole or a part, starts far after"),
        pytest.param(f"combo-value-quantity=eb5000|{UCUM}|ug/L", "b", id="of the whole or a part, ends before an end"),
        pytest.param("code-value-quantity=718-7$5", "a", id="beside a code"),
        pytest.param("code-value-quantity=718-7$gt100", "ce", id="beside a code, far greater"),
        pytest.param("code-value-quantity=718-7$sa6", "", id="beside a code, starts after"),
        pytest.param("_filter=value-quantity eq 5 or value-quantity gt 100", "ace", id="in a filter"),
        pytest.param("_filter=value-quantity sa 4.5 or value-quantity lt 3", "abcde", id="in a filter, starts after"),
    ],
)
async def test_a_quantity_that_is_an_interval_is_found_by_its_ends(intervals: Case, asked: str, found: str) -> None:
    shown = await intervals.search("Observation", f"{asked}&_sort=_id", total=True)

    assert "".join(intervals.labels_of(shown)) == found
    assert shown.total == len(found)
    assert (await intervals.search("Observation", asked, count=0, total=True)).total == len(found)


@pytest.mark.parametrize("sort", ["value-quantity", "-value-quantity"])
async def test_pages_go_on_behind_an_open_end(intervals: Case, sort: str) -> None:
    everything = await intervals.labels("Observation", f"_sort={sort}")
    page = await intervals.search("Observation", f"_sort={sort}", count=1)
    found = intervals.labels_of(page)
    while page.cursor is not None:
        page = await intervals.search("Observation", f"_sort={sort}", count=1, cursor=page.cursor)
        found += intervals.labels_of(page)

    assert found == everything


async def test_what_a_page_leaves_out_ends_no_search(intervals: Case) -> None:
    later = {f"z{number}": {"valueQuantity": {"value": 5} | MG} for number in range(3)}
    made = [intervals.resource("Observation", label, **value) for label, value in later.items()]
    await intervals.store.write([intervals.put_of(resource) for resource in made])

    page = await intervals.search("Observation", "value-quantity=5&_sort=-value-quantity", count=2, total=True)
    assert page.total == 4
    found = intervals.labels_of(page)
    while page.cursor is not None:
        page = await intervals.search(
            "Observation", "value-quantity=5&_sort=-value-quantity", count=2, cursor=page.cursor
        )
        found += intervals.labels_of(page)

    assert found == ["a", "z0", "z1", "z2"]


@pytest.mark.parametrize(("sort", "found"), [("value-quantity", "bdsaec"), ("-value-quantity", "cesadb")])
async def test_an_interval_is_sorted_by_its_least_number_and_backwards_by_its_greatest(
    intervals: Case, sort: str, found: str
) -> None:
    assert "".join(await intervals.labels("Observation", f"_sort={sort}")) == found


async def test_a_number_is_sorted_before_what_is_greater_and_backwards_before_what_is_less(case: Case) -> None:
    compared = {"a": ">", "b": None, "c": "<"}
    for label, comparator in compared.items():
        await case.put("Observation", label, valueQuantity=amount(5, comparator) | MG)

    assert await case.labels("Observation", "_sort=value-quantity") == ["c", "b", "a"]
    assert await case.labels("Observation", "_sort=-value-quantity") == ["a", "b", "c"]


async def test_a_part_is_an_interval_too(case: Case) -> None:
    def component(code: str, value: float, comparator: str | None) -> dict[str, object]:
        return {"code": {"coding": [{"code": code}]}, "valueQuantity": amount(value, comparator) | MG}

    await case.put("Observation", "p", component=[component("x", 5, "<"), component("y", 9, None)])

    asked = {
        "component-value-quantity=lt3": ["p"],
        "component-value-quantity=5": [],
        "component-value-quantity=9": ["p"],
        "component-value-quantity=sa5": ["p"],
        "component-value-quantity=eb5": ["p"],
        "component-value-quantity=eb4": [],
        "component-value-quantity=sa10": [],
        "component-value-quantity=eb7": ["p"],
        "component-code-value-quantity=x$lt3": ["p"],
        "component-code-value-quantity=y$lt3": [],
        "component-code-value-quantity=x$gt7": [],
        "component-code-value-quantity=x$5": [],
        "component-code-value-quantity=x$ge5": [],
        "component-code-value-quantity=x$eb5": ["p"],
        "component-code-value-quantity=x$sa4": [],
    }
    assert {text: await case.labels("Observation", text) for text in asked} == asked
    totals = {text: (await case.search("Observation", text, count=0, total=True)).total for text in asked}
    assert totals == {text: len(found) for text, found in asked.items()}


async def test_an_interval_is_found_behind_references(case: Case) -> None:
    patient = await case.put("Patient", "p")
    subject = {"reference": f"Patient/{patient.id}"}
    low = await case.put("Observation", "o", subject=subject, valueQuantity=amount(5, "<") | MG)
    await case.put("DiagnosticReport", "r", result=[{"reference": f"Observation/{low.id}"}])

    asked = {
        ("Patient", "_has:Observation:patient:value-quantity=lt3"): ["p"],
        ("Patient", "_has:Observation:patient:value-quantity=5"): [],
        ("Patient", "_has:Observation:patient:value-quantity=gt7"): [],
        ("Patient", "_has:Observation:patient:value-quantity=ge5"): [],
        ("Patient", "_has:Observation:patient:value-quantity=sa3"): [],
        ("Patient", "_has:Observation:patient:value-quantity=eb3"): [],
        ("Patient", f"_has:Observation:patient:value-quantity=eb5000|{UCUM}|ug/L"): ["p"],
        ("DiagnosticReport", "result.value-quantity=lt3"): ["r"],
        ("DiagnosticReport", "result.value-quantity=5"): [],
        ("DiagnosticReport", f"result.value-quantity=sa3000|{UCUM}|ug/L"): [],
        ("DiagnosticReport", "result.value-quantity=eb5"): ["r"],
        ("DiagnosticReport", "result.patient._has:Observation:patient:value-quantity=sa3"): [],
    }
    assert {(kind, text): await case.labels(kind, text) for kind, text in asked} == asked


async def test_samples_on_both_sides_of_a_number_neither_start_after_it_nor_end_before_it(case: Case) -> None:
    """Behind references, in a part, in totals, and beside a number that does."""

    def sampled(data: str) -> dict[str, Any]:
        return {"origin": {"value": 0} | MG, "period": 10, "dimensions": 1, "data": data}

    code = {"code": {"coding": [{"code": "x"}]}}
    for label, amounts in {
        "a": [{"valueSampledData": sampled("4 7")}],
        "b": [{"valueSampledData": sampled("4 7")}, {"valueQuantity": amount(7) | MG}],
        "c": [{"valueSampledData": sampled("4 7")}, {"valueSampledData": sampled("7 9")}],
        "d": [{"valueSampledData": sampled("4 7")}, {"valueQuantity": amount(7) | MG | {"code": "mmol/L"}}],
    }.items():
        patient = await case.put("Patient", label)
        subject = {"reference": f"Patient/{patient.id}"}
        await case.put("Observation", label, subject=subject, component=[code | own for own in amounts])

    asked = {
        "sa5": "bcd",
        f"sa5|{UCUM}|mg/L": "bc",
        f"sa5000|{UCUM}|ug/L": "bc",
        "sa3": "abcd",
        "eb6": "",
        "eb8": "abcd",
    }
    for text, found in asked.items():
        shown = await case.search("Observation", f"component-value-quantity={text}&_sort=_id", total=True)
        assert ("".join(case.labels_of(shown)), shown.total) == (found, len(found)), text
        counted = await case.search("Observation", f"combo-value-quantity={text}", count=0, total=True)
        assert counted.total == len(found), text
        behind = await case.labels("Patient", f"_has:Observation:patient:component-value-quantity={text}&_sort=_id")
        assert "".join(behind) == found, text


async def test_an_age_that_is_a_range_is_found_by_its_ends(case: Case) -> None:
    year = {"system": UCUM, "code": "a"}
    ages = {"a": {"low": {"value": 40} | year, "high": {"value": 50} | year}, "b": {"low": {"value": 40} | year}}
    for label, age in ages.items():
        patient = await case.put("Patient", label)
        subject = {"reference": f"Patient/{patient.id}"}
        await case.put("Condition", label, subject=subject, onsetRange=age)

    asked = {
        "45": [],
        "gt60": ["b"],
        "lt45": ["a", "b"],
        "sa39": ["a", "b"],
        "sa45": [],
        "eb55": ["a"],
        "ap45": ["a", "b"],
    }
    assert {text: await case.labels("Condition", f"onset-age={text}&_sort=_id") for text in asked} == asked


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("5.4||g", "abc", id="as a code or as it is printed"),
        pytest.param("5.4||grams", "b", id="printed beside a code"),
        pytest.param("gt5||grams", "b", id="greater"),
        pytest.param(f"5.4|{UCUM}|g", "bc", id="of a system"),
        pytest.param(f"5.4|{UCUM}|grams", "", id="printed is not of a system"),
        pytest.param("5.4", "abc", id="whatever the unit"),
        pytest.param("le7||g", "abcd", id="printed beside a comparator"),
        pytest.param("lt3||g", "d", id="printed, an open end"),
    ],
)
async def test_a_unit_is_found_as_it_is_printed(case: Case, asked: str, found: str) -> None:
    values = {
        "a": {"value": 5.4, "unit": "g"},
        "b": {"value": 5.4, "unit": "grams", "system": UCUM, "code": "g"},
        "c": {"value": 5.4, "unit": "g", "system": UCUM, "code": "g"},
        "d": {"value": 7, "unit": "g", "comparator": "<="},
    }
    await case.store.write(
        [case.put_of(case.resource("Observation", label, valueQuantity=value)) for label, value in values.items()]
    )

    assert "".join(await case.labels("Observation", f"value-quantity={asked}&_sort=_id")) == found


WITHOUT = {"a": None, "b": "<", "c": "<=", "d": ">", "e": ">="}
AT_THE_END = {
    "": "a",
    "ne": "bcde",
    "gt": "de",
    "ge": "acde",
    "lt": "bc",
    "le": "abce",
    "sa": "d",
    "eb": "b",
    "ap": "abcde",
}
"""Which of `5`, `< 5`, `<= 5`, `> 5` and `>= 5` each prefix finds beside 5."""


@pytest.mark.parametrize(
    ("value", "unit", "asked"),
    [
        pytest.param(5, "mg/L", ["5", "5.0", f"5|{UCUM}|mg/L", f"5.000|{UCUM}|mg/L"], id="as it is written"),
        pytest.param(5, "mg/L", [f"5000|{UCUM}|ug/L", f"0.0050|{UCUM}|g/L"], id="in other units"),
        pytest.param(0.7, "g", ["0.7", "0.70", f"0.7|{UCUM}|g", f"700|{UCUM}|mg", "0.7||g"], id="with decimals"),
        pytest.param(0, "mmol/L", ["0", "0.0", f"0|{UCUM}|mmol/L", f"0.0|{UCUM}|umol/L"], id="zero"),
        pytest.param(-3, "kg", ["-3", f"-3|{UCUM}|kg", f"-3000|{UCUM}|g"], id="less than zero"),
        pytest.param(37, "Cel", ["37", f"37.0|{UCUM}|Cel", f"98.6|{UCUM}|[degF]"], id="degrees"),
        pytest.param(0, "Cel", ["0", f"0.0|{UCUM}|Cel", f"32|{UCUM}|[degF]"], id="the zero of a scale"),
    ],
)
async def test_an_end_that_is_not_within_is_not_found_at_the_number(
    case: Case, value: float, unit: str, asked: list[str]
) -> None:
    own = {"system": UCUM, "code": unit}
    for label, comparator in WITHOUT.items():
        await case.put("Observation", label, valueQuantity=amount(value, comparator) | own)

    found = {
        prefix + text: "".join(await case.labels("Observation", f"value-quantity={prefix}{text}&_sort=_id"))
        for text in asked
        for prefix in AT_THE_END
    }

    assert found == {prefix + text: labels for text in asked for prefix, labels in AT_THE_END.items()}


async def test_an_end_of_a_part_that_is_not_within_is_not_found_at_the_number(case: Case) -> None:
    code = {"coding": [{"code": "x"}]}
    for label, comparator in WITHOUT.items():
        await case.put("Observation", label, component=[{"code": code, "valueQuantity": amount(5, comparator) | MG}])

    for name, begin in (
        ("component-value-quantity", ""),
        ("combo-value-quantity", ""),
        ("component-code-value-quantity", "x$"),
        ("combo-code-value-quantity", "x$"),
    ):
        for text in ("5", f"5.0|{UCUM}|mg/L", f"5000|{UCUM}|ug/L"):
            found = {
                prefix: "".join(await case.labels("Observation", f"{name}={begin}{prefix}{text}&_sort=_id"))
                for prefix in AT_THE_END
            }
            assert found == AT_THE_END, (name, text)


async def test_samples_beyond_all_numbers_are_kept(case: Case) -> None:
    sampled = {"origin": {"value": 0} | MG, "period": 10, "dimensions": 1, "data": "1 1e300"}
    await case.put("Observation", "s", valueSampledData=sampled)

    assert await case.labels("Observation", "value-quantity=gt5") == ["s"]
