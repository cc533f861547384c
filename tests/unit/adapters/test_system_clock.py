"""Real time and real chance."""

import os
import uuid
from datetime import timedelta

import pytest

from fhir_facade.adapters.system_clock import IDS_AT_ONCE, RandomIds, SystemClock


def test_now_is_aware_and_utc():
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_ids_are_uuids_in_order_of_time_and_never_repeat_also_when_chance_is_asked_again():
    ids = RandomIds()

    made = [ids.new() for _ in range(3 * IDS_AT_ONCE)]

    assert len(set(made)) == len(made)
    read = [uuid.UUID(each) for each in made]
    assert {each.version for each in read} == {7}
    assert {each.variant for each in read} == {uuid.RFC_4122}
    assert [str(each) for each in read] == made


def test_secrets_never_repeat():
    ids = RandomIds()

    assert len({ids.secret() for _ in range(100)}) == 100


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_parts_draws_other_ids():
    ids = RandomIds()
    ids.new()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, ids.new().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 100).decode()
    os.close(reading)
    os.close(writing)

    assert uuid.UUID(theirs)
    assert ids.new() != theirs
