"""Over HAPI a transaction happens whole or not at all, wherever the facade stops between the two databases."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.errors import Unavailable
from tests.crash.acts import Telling, Whole, overtaken, stopped, undisturbed, walk
from tests.crash.bundles import KINDS, RICH, SMALL, Story
from tests.crash.lives import Life
from tests.crash.steps import Crash

RICHEST = Telling(Story((*RICH, "read")))


pytestmark = pytest.mark.xdist_group("crash over HAPI")


@pytest.fixture(scope="module")
def rich(life: Life) -> Whole:
    return asyncio.run(undisturbed(life, RICHEST))


def test_a_transaction_whose_facade_dies_at_any_step_has_happened_whole_or_not_at_all(rich: Whole, life: Life) -> None:
    """Once HAPI has carried it out, it has happened."""
    asyncio.run(walk(life, RICHEST, rich, Crash))


def test_a_transaction_in_which_any_call_fails_has_happened_whole_or_not_at_all(life: Life) -> None:
    """The facade lives on and does not know: what failed may have been carried out all the same."""
    small = Telling(Story(SMALL))
    asyncio.run(walk(life, small, asyncio.run(undisturbed(life, small)), Unavailable))


def test_a_transaction_that_overtakes_the_recovery_happens_whole(life: Life, url: str) -> None:
    small = Telling(Story(SMALL))
    whole = asyncio.run(undisturbed(life, small))

    assert asyncio.run(overtaken(life, small, whole, url)) == whole.after


@settings(max_examples=4)
@given(kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4), where=st.floats(0, 1))
def test_any_transaction_that_is_stopped_anywhere_has_happened_whole_or_not_at_all(
    life: Life, kinds: list[str], where: float
) -> None:
    any_story = Telling(Story(tuple(kinds)))
    whole = asyncio.run(undisturbed(life, any_story))

    found = asyncio.run(stopped(life, any_story, whole, round(where * (len(whole.steps) - 1))))

    assert found in (whole.before, whole.after)
