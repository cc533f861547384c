"""The table of what a history takes."""

from __future__ import annotations

from fhir_facade.fhir.history import HISTORIES, HISTORY_PARAMETERS, UNDERSTOOD_ELSEWHERE
from fhir_facade.values import Interaction


def test_types_are_chosen_in_the_history_of_the_whole_server_only() -> None:
    of = {own.name: own.of for own in HISTORY_PARAMETERS}

    assert of.pop("_type") == {Interaction.HISTORY_SYSTEM}
    assert set(of.values()) == {HISTORIES}
    assert UNDERSTOOD_ELSEWHERE.isdisjoint(of)
