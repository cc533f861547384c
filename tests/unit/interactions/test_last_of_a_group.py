"""What a group of `$lastn` keeps: the newest, with all that tie, in any order of arrival."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.interactions.operations.lastn import Group, moment_of
from fhir_facade.values import StoredResource

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 30), max_size=120), st.integers(1, 12))
def test_the_newest_are_kept_and_all_that_are_as_old_as_the_last(moments: list[int], most: int) -> None:
    group = Group()
    for at, moment in enumerate(moments):
        group.add(moment, StoredResource("Observation", f"o{at}", "1", NOW, b""), most)
    group.cut(most)

    newest = sorted(moments, reverse=True)
    oldest = newest[min(most, len(newest)) - 1] if newest else 0
    assert [moment for moment, _ in group.kept] == [moment for moment in newest if moment >= oldest]
    assert len({stored.id for _, stored in group.kept}) == len(group.kept)


def test_a_timing_begins_with_its_first_event() -> None:
    timing = {"effectiveTiming": {"event": ["2026-02-01", "2026-01-01", "nonsense"]}}

    assert moment_of(timing) == moment_of({"effectiveDateTime": "2026-01-01"})
    assert moment_of({}) < moment_of({"effectiveInstant": "1900-01-01T00:00:00Z"})
