"""Real time and real chance."""

import uuid
from datetime import timedelta

from fhir_facade.adapters.system_clock import IDS_AT_ONCE, RandomIds, SystemClock


def test_now_is_aware_and_utc():
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_ids_are_random_uuids_and_never_repeat_also_when_chance_is_asked_again():
    ids = RandomIds()

    made = [ids.new() for _ in range(3 * IDS_AT_ONCE)]

    assert len(set(made)) == len(made)
    read = [uuid.UUID(each) for each in made]
    assert {each.version for each in read} == {4}
    assert {each.variant for each in read} == {uuid.RFC_4122}
    assert [str(each) for each in read] == made


def test_secrets_never_repeat():
    ids = RandomIds()

    assert len({ids.secret() for _ in range(100)}) == 100
