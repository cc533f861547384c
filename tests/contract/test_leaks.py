"""A find outside of the caller's limit: a defect while the store still finds it so, else it was changed in between."""

from __future__ import annotations

import pytest

from fhir_facade.interactions.leaks import LeakPrevented, refuse_leaks
from tests.contract.case import Case


async def test_what_the_store_still_finds_as_it_is_is_a_defect(case: Case) -> None:
    stored = await case.put("Observation", "o", status="final")

    with pytest.raises(LeakPrevented, match="stopped"):
        await refuse_leaks(case.store, case.query("Observation", "status=final"), [stored])


async def test_what_was_changed_or_taken_away_since_it_was_found_is_none(case: Case) -> None:
    first, second, third = [await case.put("Observation", label, status="final") for label in "abc"]
    await case.put("Observation", "a", status="amended")
    await case.put("Observation", "b", status="final", effectiveDateTime="2026-01-01")
    await case.delete(third.ref)

    await refuse_leaks(case.store, case.query("Observation", "status=final"), [first, second, third])
