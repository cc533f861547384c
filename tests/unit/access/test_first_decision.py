"""What the first decision for somebody takes, counted in calls of functions: no clock can make these tests fail."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest

from fhir_facade.access import rights
from fhir_facade.access.policy import Allow, Ask, decide
from fhir_facade.values import Interaction, PatientId, Principal
from tests.unit.access.people import patient, practitioner

MOST_CALLS = 14
"""A call of a function and what it does is a quarter of a microsecond; the aim for a decision is five."""
SCOPES = " ".join(f"patient/{name}.rs" for name in ("Patient", "Condition", "Device", "Goal", "Encounter", "Procedure"))


@pytest.fixture(autouse=True)
def there_is_room_in_the_memory() -> None:
    """What others filled is emptied when it is full, perhaps between two steps that are compared here."""
    seen = vars(rights)["_SEEN"]
    seen.rights.clear()
    seen.ways.clear()


@pytest.fixture(autouse=True)
def nothing_is_collected() -> Iterator[None]:
    """Who listens to the garbage collector, as Hypothesis does, would be counted with a collection in between."""
    gc.disable()
    yield
    gc.enable()


def calls(work: Callable[[], object]) -> int:
    """How many Python functions run meanwhile."""
    count = 0

    def note(_: FrameType, event: str, __: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def in_care(of: str, patients: int) -> frozenset[PatientId]:
    return frozenset(PatientId(f"{of}-{number}") for number in range(patients))


@pytest.mark.parametrize("interaction", [Interaction.READ, Interaction.SEARCH_TYPE, Interaction.UPDATE])
def test_a_first_decision_takes_a_few_steps_once_the_scopes_of_the_app_are_known(interaction: Interaction) -> None:
    known = patient(f"{SCOPES} patient/*.cruds", PatientId("first-of-the-app"))
    decide(known, Ask(interaction, "Observation"))

    somebody = replace(known, patient=PatientId(f"first-{interaction}"))
    assert calls(lambda: decide(somebody, Ask(interaction, "Observation"))) <= MOST_CALLS


def test_a_first_refusal_takes_a_few_steps() -> None:
    known = patient("patient/*.rs", PatientId("refused-of-the-app"))
    decide(known, Ask(Interaction.DELETE, "MedicationRequest"))

    somebody = replace(known, patient=PatientId("refused-first"))
    assert calls(lambda: decide(somebody, Ask(Interaction.DELETE, "MedicationRequest"))) <= MOST_CALLS


@pytest.mark.parametrize("interaction", [Interaction.READ, Interaction.SEARCH_TYPE])
def test_it_takes_no_more_steps_for_a_doctor_with_many_patients(interaction: Interaction) -> None:
    def steps(doctor: Principal, patients: int) -> int:
        ask = Ask(interaction, "Observation", circle=in_care(f"steps-{interaction}-{patients}", patients))
        return calls(lambda: decide(doctor, ask))

    doctor = practitioner()
    decide(doctor, Ask(interaction, "Observation"))
    assert steps(doctor, 400) == steps(doctor, 2) <= MOST_CALLS


def test_the_limits_of_a_search_are_written_once_for_all_types_of_a_circle() -> None:
    doctor, circle = practitioner(), in_care("written-once", 300)

    def limits(type_name: str, circle: frozenset[PatientId] = circle) -> object:
        answer = decide(doctor, Ask(Interaction.SEARCH_TYPE, type_name, circle=circle))
        assert isinstance(answer, Allow)
        return answer.narrow

    limits("Condition", in_care("what-the-type-is-known-by", 1))
    assert calls(lambda: limits("Observation")) > 300
    assert calls(lambda: limits("Condition")) < 50
    assert limits("Observation") == limits("Condition")
