"""Streams have an end of their number, and those that ended make room."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from fhir_facade.api.listeners import MOST, Listeners
from fhir_facade.errors import TooManyRequests
from fhir_facade.values import Principal

ANNA, BERT = Principal("patient", user="a"), Principal("patient", user="b")


def test_one_caller_does_not_take_all_connections() -> None:
    listeners = Listeners()
    with ExitStack() as held:
        for _ in range(MOST):
            held.enter_context(listeners.place(ANNA))

        with pytest.raises(TooManyRequests), listeners.place(ANNA):
            pass
        held.enter_context(listeners.place(BERT))


def test_a_stream_that_ended_makes_room_at_once() -> None:
    listeners = Listeners()
    with ExitStack() as held:
        for _ in range(MOST - 1):
            held.enter_context(listeners.place(ANNA))
        for _ in range(2):
            with listeners.place(ANNA):
                pass
