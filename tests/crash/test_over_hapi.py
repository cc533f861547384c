"""Over HAPI a transaction happens whole or not at all, wherever the facade stops between the two databases."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.errors import Unavailable
from tests.crash.acts import Telling, Whole, stopped, undisturbed
from tests.crash.bundles import KINDS, RICH, Story
from tests.crash.lives import Life
from tests.crash.steps import Crash

RICHEST = Telling(Story((*RICH, "read")))
SMALL = Telling(Story(("update", "delete", "alert-begins")))


pytestmark = pytest.mark.xdist_group("crash over HAPI")


@pytest.fixture(scope="module")
def rich(life: Life) -> Whole:
    return asyncio.run(undisturbed(life, RICHEST))


def test_a_transaction_whose_facade_dies_at_any_step_has_happened_whole_or_not_at_all(rich: Whole, life: Life) -> None:
    """Once HAPI has carried it out, it has happened."""
    walk(life, RICHEST, rich, Crash)


def test_a_transaction_in_which_any_call_fails_has_happened_whole_or_not_at_all(life: Life) -> None:
    """The facade lives on and does not know: what failed may have been carried out all the same."""
    walk(life, SMALL, asyncio.run(undisturbed(life, SMALL)), Unavailable)


def walk(life: Life, act: Telling, whole: Whole, error: type[BaseException]) -> None:
    posted = whole.steps.index("after send POST")
    for step in range(whole.first_write, len(whole.steps)):
        found = asyncio.run(stopped(life, act, whole, step, error))
        assert found == (whole.after if step >= posted else whole.before), f"{step} {whole.steps[step]}"


@settings(max_examples=5)
@given(kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4), where=st.floats(0, 1))
def test_any_transaction_that_is_stopped_anywhere_has_happened_whole_or_not_at_all(
    life: Life, kinds: list[str], where: float
) -> None:
    any_story = Telling(Story(tuple(kinds)))
    whole = asyncio.run(undisturbed(life, any_story))

    found = asyncio.run(stopped(life, any_story, whole, round(where * (len(whole.steps) - 1))))

    assert found in (whole.before, whole.after)
