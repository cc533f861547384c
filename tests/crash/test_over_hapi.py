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


pytestmark = pytest.mark.xdist_group("crash over HAPI")


@pytest.fixture(scope="module")
def rich(life: Life) -> Whole:
    return asyncio.run(undisturbed(life, RICHEST))


@pytest.mark.parametrize("error", [Crash, Unavailable], ids=["the process dies", "the call fails"])
def test_a_transaction_that_breaks_at_any_step_has_happened_whole_or_not_at_all(
    rich: Whole, life: Life, error: type[BaseException]
) -> None:
    """Once HAPI has carried it out, it has happened. A call that fails may have been carried out all the same."""
    posted = rich.steps.index("after send POST")
    for step in range(rich.first_write, len(rich.steps)):
        found = asyncio.run(stopped(life, RICHEST, rich, step, error))
        assert found == (rich.after if step >= posted else rich.before), f"{step} {rich.steps[step]}"


@settings(max_examples=8)
@given(kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=6), where=st.floats(0, 1))
def test_any_transaction_that_is_stopped_anywhere_has_happened_whole_or_not_at_all(
    life: Life, kinds: list[str], where: float
) -> None:
    any_story = Telling(Story(tuple(kinds)))
    whole = asyncio.run(undisturbed(life, any_story))

    found = asyncio.run(stopped(life, any_story, whole, round(where * (len(whole.steps) - 1))))

    assert found in (whole.before, whole.after)
