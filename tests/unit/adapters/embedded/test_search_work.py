"""A search costs what it finds, however much else there is: in steps of SQLite's machine, which no load changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from fhir_facade.adapters.embedded.schema import migrate
from fhir_facade.adapters.embedded.search import search
from fhir_facade.fhir.query import parse_query
from tests.unit.adapters.embedded.corner import NOW, Corner
from tests.unit.adapters.embedded.steps import Counting

FEW, MANY = 100, 1000
UCUM = "http://unitsofmeasure.org"

Resource = dict[str, Any]


def patient(name: str, gender: str) -> Resource:
    return {"resourceType": "Patient", "name": [{"family": name}], "gender": gender}


def visit(whose: str) -> Resource:
    return {
        "resourceType": "Encounter",
        "subject": {"reference": f"Patient/{whose}"},
        "period": {"start": "2024-05-01"},
    }


def reading(whose: str, code: str, value: float, unit: str, **more: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "status": "final",
        "subject": {"reference": f"Patient/{whose}"},
        "code": {"coding": [{"system": "urn:s", "code": code}]},
        "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit},
        **more,
    }


def corner_with(others: int) -> Corner:
    """Ada with a visit, ten heart rates, three weights; and as many others, each with a visit and a reading."""
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Counting)
    migrate(connection)
    corner = Corner(connection)
    corner.catalogue.load(connection)
    corner.add(patient("Ada", "female"), "ada")
    corner.add(visit("ada"), "ada-visit")
    for number in range(10):
        corner.add(reading("ada", "rate", 60 + number, "/min"), f"ada-rate-{number}")
    for number in range(3):
        corner.add(reading("ada", "weight", 60 + number, "kg"), f"ada-weight-{number}")
    corner.add(reading("ada", "rate", 1, "/min", identifier=[{"value": "R1"}]), "ada-named")
    for number in range(3):
        corner.add(reading("ada", "bmi", 20 + number, "kg/m2"), f"ada-bmi-{number}")
    for number in range(others):
        corner.add(patient("Bo", "female"), f"p{number}")
        corner.add(visit(f"p{number}"), f"v{number}")
        corner.add(
            reading(f"p{number}", "weight" if number % 2 else "rate", 70, "kg" if number % 2 else "/min"), f"o{number}"
        )
    return corner


@pytest.fixture(scope="module")
def corners() -> Iterator[tuple[Corner, Corner]]:
    few, many = corner_with(FEW), corner_with(MANY)
    yield few, many
    few.connection.close()
    many.connection.close()


def steps_of(corner: Corner, asked: str, matches: int) -> int:
    type_, _, rest = asked.partition("?")
    params = [(name, value) for name, _, value in (part.partition("=") for part in rest.split("&"))]
    connection = corner.connection
    assert isinstance(connection, Counting)
    connection.steps = 0
    page = search(connection, corner.catalogue, parse_query(type_, params, now=NOW).query)
    steps = connection.steps
    assert len(page.entries) == matches
    return steps


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        pytest.param("Patient?family=Ada&_has:Encounter:patient:date=ge2024-01-01", 1, id="a name and a visit"),
        pytest.param("Patient?_has:Encounter:patient:date=ge2024-01-01&family=Ada", 1, id="a visit and a name"),
        pytest.param("Observation?patient=Patient/ada&value-quantity=gt50||kg", 3, id="a patient and a value"),
        pytest.param("Observation?value-quantity=gt50||kg&patient=Patient/ada", 3, id="a value and a patient"),
        pytest.param(f"Observation?value-quantity=gt5|{UCUM}|kg/m2", 3, id="a value in a rare unit"),
        pytest.param("Observation?value-quantity=gt5||kg/m2", 3, id="and in one of any system"),
        pytest.param("Observation?value-quantity=gt5||kg/m2,lt9||kg/m2", 3, id="and in one of two ranges"),
        pytest.param("Observation?combo-value-quantity=gt5||kg/m2", 3, id="and of a part or the whole"),
        pytest.param("Observation?value-quantity=gt1000", 0, id="a value in any unit"),
        pytest.param("Observation?patient=Patient/ada&code=weight", 3, id="a patient and a code"),
        pytest.param("Observation?patient=Patient/ada&code-value-quantity=weight$gt50", 3, id="a code with a value"),
        pytest.param("Observation?patient=Patient/ada&code-value-quantity=urn:s|weight$gt50", 3, id="of a system"),
        pytest.param("Observation?identifier=R1&patient.gender=female", 1, id="an identifier and a chain"),
        pytest.param("Observation?identifier=R1&patient.gender:not=male", 1, id="a chain to a denial"),
        pytest.param("Observation?identifier=R1&subject.gender=female", 1, id="and a chain to one of several types"),
        pytest.param(
            "Observation?identifier=R1&patient._has:Encounter:patient:date=ge2024-01-01", 1, id="a chain and back"
        ),
    ],
)
def test_others_cost_nothing(corners: tuple[Corner, Corner], asked: str, matches: int) -> None:
    beside_few, beside_many = (steps_of(corner, asked, matches) for corner in corners)

    assert beside_many < 2 * beside_few, (beside_few, beside_many)


def test_a_patient_with_a_code_is_found_among_thousand_readings_of_hers(corners: tuple[Corner, Corner]) -> None:
    corner = corners[0]
    before = steps_of(corner, "Observation?patient=Patient/ada&code=weight", 3)
    for number in range(MANY):
        corner.add(reading("ada", "steps", number, "1"), f"ada-steps-{number}")

    after = steps_of(corner, "Observation?patient=Patient/ada&code=weight", 3)

    assert after < 2 * before, (before, after)


def test_a_code_with_a_rare_value_is_found_by_the_value(corners: tuple[Corner, Corner]) -> None:
    corner = corners[1]
    before = steps_of(corner, "Observation?code-value-quantity=weight$lt63", 3)
    for number in range(MANY):
        corner.add(reading("ada", "weight", 70, "kg"), f"ada-heavy-{number}")

    after = steps_of(corner, "Observation?code-value-quantity=weight$lt63", 3)

    assert after < 1.1 * before, (before, after)
