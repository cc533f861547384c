"""Streams have an end of their number, and those that ended make room."""

from __future__ import annotations

import pytest

from fhir_facade.api.listeners import MOST, Listeners
from fhir_facade.errors import TooManyRequests
from fhir_facade.values import Principal

ANNA, BERT = Principal("patient", user="a"), Principal("patient", user="b")


def test_one_caller_does_not_take_all_connections() -> None:
    listeners = Listeners()
    held = [listeners.place(ANNA) for _ in range(MOST)]

    with pytest.raises(TooManyRequests):
        listeners.place(ANNA)

    assert listeners.place(BERT)
    assert len(held) == MOST


def test_a_stream_that_broke_makes_room() -> None:
    listeners = Listeners()
    held = [listeners.place(ANNA) for _ in range(MOST)]

    held.pop()

    assert listeners.place(ANNA)
