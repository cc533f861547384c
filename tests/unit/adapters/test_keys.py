"""What the key file promises."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from fhir_facade.adapters.keys import KeyFile, create_key_file, open_key_file
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.errors import Conflict, Unavailable

CLOCK = SystemClock()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "secrets" / "keys.json"
    create_key_file(path, CLOCK)
    return path


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(Unavailable, match=r"absent\.json cannot be read: No such file"):
        KeyFile(tmp_path / "absent.json", CLOCK)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_open_to_others_is_refused_with_the_cure(path, mode):
    path.chmod(mode)

    with pytest.raises(Unavailable, match=rf"mode {mode:o}.*chmod 600"):
        KeyFile(path, CLOCK)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"keys": []}',
        '{"keys": [{"number": 1, "created": "2026-01-01T00:00:00Z", "key": "c2hvcnQ="}]}',
        '{"keys": [{"number": 1, "created": "2026-01-01T00:00:00Z", "key": "no base64"}]}',
        '{"keys": [{"number": 0, "created": "2026-01-01T00:00:00Z", "key": "%s"}]}' % ("A" * 43 + "="),
        '{"keys": [{"number": 4294967296, "created": "2026-01-01T00:00:00Z", "key": "%s"}]}' % ("A" * 43 + "="),
    ],
    ids=["empty", "no keys", "not an object", "no key", "short key", "not base64", "number 0", "number too large"],
)
def test_a_damaged_file_is_refused_without_its_content(path, content):
    path.write_text(content)

    with pytest.raises(Unavailable, match="restore") as refused:
        KeyFile(path, CLOCK)
    assert "c2hvcnQ" not in str(refused.value)


def test_an_existing_file_is_never_replaced_by_a_new_one(path):
    before = path.read_bytes()

    with pytest.raises(Conflict, match="rotate"):
        create_key_file(path, CLOCK)

    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_new_file_is_for_its_owner_only_and_holds_one_256_bit_key(path):
    ring = KeyFile(path, CLOCK).ring

    assert path.stat().st_mode & 0o777 == 0o600
    assert list(ring.keys) == [1]
    assert len(ring.keys[1]) == 32


def test_a_file_that_only_its_owner_may_read_is_accepted(path):
    path.chmod(0o400)

    assert KeyFile(path, CLOCK).ring.newest == 1


def test_an_added_key_is_the_newest_and_the_old_ones_stay(path):
    file = KeyFile(path, CLOCK)
    first = file.ring.keys[1]

    assert [file.add(), file.add()] == [2, 3]

    assert file.ring.newest == 3
    assert file.ring.keys[1] == first
    assert len(set(file.ring.keys.values())) == 3
    assert KeyFile(path, CLOCK).ring == file.ring
    assert path.stat().st_mode & 0o777 == 0o600


def test_keys_that_are_added_at_the_same_time_all_stay(path):
    files = [KeyFile(path, CLOCK) for _ in range(4)]

    with ThreadPoolExecutor(4) as together:
        numbers = list(together.map(KeyFile.add, files))

    assert sorted(numbers) == [2, 3, 4, 5]
    assert sorted(KeyFile(path, CLOCK).ring.keys) == [1, 2, 3, 4, 5]


def test_the_day_of_a_key_is_written_beside_it(path):
    (key,) = json.loads(path.read_text())["keys"]

    assert abs(datetime.fromisoformat(key["created"]) - datetime.now(UTC)).total_seconds() < 60


def test_a_refresh_sees_what_another_process_added(path):
    ours, theirs = KeyFile(path, CLOCK), KeyFile(path, CLOCK)
    theirs.add()

    ours.refresh()

    assert ours.ring == theirs.ring


def test_only_a_first_start_that_may_create_makes_a_file(tmp_path):
    with pytest.raises(Unavailable):
        open_key_file(tmp_path / "keys.json", CLOCK, create=False)

    first = open_key_file(tmp_path / "keys.json", CLOCK, create=True)

    assert open_key_file(tmp_path / "keys.json", CLOCK, create=True).ring == first.ring
