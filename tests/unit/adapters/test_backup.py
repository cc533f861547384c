"""A backup is complete, private and proven; a restore never destroys anything."""

import asyncio
import hashlib
import io
import json
import sqlite3
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fhir_facade.adapters.backup import backup, restore
from fhir_facade.adapters.data_lock import sole_server
from fhir_facade.adapters.keys import KeyFile, create_key_file
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.adapters.vault import KeyFileVault
from fhir_facade.errors import BadRequest, Conflict, Unavailable
from fhir_facade.rows.events import Event
from tests.facade import unused_file

CLOCK = SystemClock()


class Place:
    """A deployment's folder."""

    def __init__(self, folder):
        self.data, self.keys = folder / "data" / "facade.sqlite", folder / "data" / "keys.json"

        self.told = []

    def backup(self, target, **options):
        chosen = {"data": self.data, "hapi": False, "tell": self.told.append} | options
        return backup(target, keys=self.keys, software="1.2.3", clock=CLOCK, **chosen)

    def restore(self, archive):
        return restore(archive, data=self.data, keys=self.keys, tell=self.told.append)


@pytest.fixture
async def live(tmp_path):
    """A deployment whose server is running."""
    place = Place(tmp_path / "live")
    create_key_file(place.keys, CLOCK)
    place.data.write_bytes(await unused_file())
    file = SqliteFile(place.data)
    file.open()
    place.state = SqliteState(file)
    await place.state.append([event(number) for number in range(20)])
    yield place
    file.close()


@pytest.fixture
def empty(tmp_path):
    return Place(tmp_path / "empty")


@pytest.fixture
def archive(live, tmp_path):
    live.backup(tmp_path / "backup.tar")
    return tmp_path / "backup.tar"


def event(number):
    return Event(at=datetime(2026, 1, 1, tzinfo=UTC), topic="alert", kind=str(number), patient="p", data="{}")


async def events_of(place):
    file = SqliteFile(place.data)
    file.open()
    try:
        return [row.kind for row in await SqliteState(file).read(lambda tx: tx.find(Event, order=("id",)))]
    finally:
        file.close()


def rewritten(archive, target, **contents):
    """The archive with other contents of some members; None leaves a member out."""
    with tarfile.open(archive) as old, tarfile.open(target, "w") as new:
        for member in old.getmembers():
            content = contents.get(member.name.split(".")[0], old.extractfile(member).read())
            if content is not None:
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
    return target


def hidden(folder: Path):
    return [path.name for path in folder.rglob("*") if path.name.startswith(".")]


# --- refusals ------------------------------------------------------------------------------------------------


def test_a_backup_never_replaces_a_file(live, tmp_path):
    (tmp_path / "precious").write_text("kept")

    with pytest.raises(Conflict, match="choose another name"):
        live.backup(tmp_path / "precious")

    assert (tmp_path / "precious").read_text() == "kept"


@pytest.mark.parametrize("missing", ["data", "keys"])
def test_what_cannot_be_read_is_named_and_leaves_nothing_behind(live, tmp_path, missing):
    setattr(live, missing, tmp_path / "absent")

    with pytest.raises(Unavailable, match="absent"):
        live.backup(tmp_path / "backup.tar")

    assert not (tmp_path / "backup.tar").exists()
    assert not (tmp_path / "absent").exists()
    assert hidden(tmp_path) == []


def test_under_a_running_server_nothing_is_restored(live, archive):
    with sole_server(live.data), pytest.raises(Conflict, match="server is running"):
        live.restore(archive)


def test_a_folder_in_use_is_refused_untouched(empty, archive):
    empty.data.parent.mkdir(parents=True)
    empty.data.write_text("another database")

    with pytest.raises(Conflict, match=r"not empty \(facade\.sqlite\)"):
        empty.restore(archive)

    assert empty.data.read_text() == "another database"
    assert hidden(empty.data.parent) == []


def test_other_keys_are_never_overwritten(empty, archive):
    create_key_file(empty.keys, CLOCK)
    before = empty.keys.read_bytes()

    with pytest.raises(Conflict, match="other keys"):
        empty.restore(archive)

    assert empty.keys.read_bytes() == before
    assert not empty.data.exists()


@pytest.mark.parametrize("cut", [0, 100, 5_000, -20_000])
def test_a_cut_archive_is_refused(empty, archive, cut):
    archive.write_bytes(archive.read_bytes()[:cut])

    with pytest.raises(BadRequest):
        empty.restore(archive)

    assert not empty.data.exists()
    assert not empty.keys.exists()


def test_an_absent_archive_is_named(empty, tmp_path):
    with pytest.raises(BadRequest, match=r"absent\.tar does not exist"):
        empty.restore(tmp_path / "absent.tar")


def test_a_changed_byte_is_found(empty, archive):
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)

    with pytest.raises(BadRequest, match="checksum"):
        empty.restore(archive)


def manifest_of(archive):
    with tarfile.open(archive) as opened:
        return json.load(opened.extractfile("manifest.json"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2, "software": "9.9"}, "9.9"),
        ({"sha256": {}}, "format"),
        ({"rows": {"event": 19}}, "damaged"),
        ({"created": "yesterday"}, "manifest"),
    ],
    ids=["newer format", "no keys", "fewer rows", "not a manifest"],
)
def test_a_manifest_that_does_not_fit_is_refused(empty, archive, tmp_path, change, reason):
    manifest = manifest_of(archive) | change
    other = rewritten(archive, tmp_path / "other.tar", manifest=json.dumps(manifest).encode())

    with pytest.raises(BadRequest, match=reason):
        empty.restore(other)


@pytest.mark.parametrize("name", ["../escaped", "/etc/escaped", "sub/keys.json"])
def test_no_member_leaves_the_folder(empty, archive, tmp_path, name):
    manifest = manifest_of(archive)
    manifest["sha256"][name] = manifest["sha256"]["keys.json"]
    other = rewritten(archive, tmp_path / "other.tar", manifest=json.dumps(manifest).encode())

    with pytest.raises(BadRequest):
        empty.restore(other)
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("member", ["manifest", "facade", "keys"])
def test_an_archive_without_one_of_its_members_is_refused(empty, archive, tmp_path, member):
    with pytest.raises(BadRequest, match="not a backup"):
        empty.restore(rewritten(archive, tmp_path / "other.tar", **{member: None}))


def test_a_database_that_fails_its_own_check_is_refused(empty, archive, tmp_path):
    broken = b"SQLite format 3\0" + b"\1" * 5000
    manifest = manifest_of(archive)
    manifest["sha256"]["facade.sqlite"] = hashlib.sha256(broken).hexdigest()
    content = json.dumps(manifest).encode()

    with pytest.raises(BadRequest, match=r"cannot be opened|damaged"):
        empty.restore(rewritten(archive, tmp_path / "other.tar", facade=broken, manifest=content))


# --- promises ------------------------------------------------------------------------------------------------


async def test_what_was_backed_up_beside_a_running_server_comes_back_with_its_keys(live, archive, empty):
    sealed = KeyFileVault(KeyFile(live.keys, CLOCK)).seal(b"token", context="c")

    manifest = empty.restore(archive)

    assert manifest.rows["event"] == 20
    assert manifest.missing == []
    assert await events_of(empty) == [str(number) for number in range(20)]
    assert KeyFileVault(KeyFile(empty.keys, CLOCK)).open(sealed, context="c") == b"token"
    assert hidden(empty.data.parent) == []


async def test_a_backup_is_one_moment_of_a_database_that_is_being_written(live, tmp_path, empty):
    """Rows come in pairs in one transaction: a copy never holds half a pair."""
    await live.state.append([event("odd"), event("even")])
    backing_up = asyncio.create_task(asyncio.to_thread(live.backup, tmp_path / "backup.tar"))
    while not backing_up.done():
        await live.state.append([event("odd"), event("even")])
    await backing_up

    empty.restore(tmp_path / "backup.tar")

    kinds = await events_of(empty)
    assert kinds.count("odd") == kinds.count("even") >= 1


def test_only_its_owner_reads_a_backup_and_what_is_restored(archive, empty):
    empty.restore(archive)

    assert [path.stat().st_mode & 0o777 for path in (archive, empty.data, empty.keys)] == [0o600] * 3


def test_an_interrupted_restore_can_be_repeated(archive, empty):
    empty.restore(archive)
    empty.data.unlink()
    (empty.data.parent / ".fhir-facade-interrupted").mkdir()

    empty.restore(archive)

    with sqlite3.connect(empty.data) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (20,)
    connection.close()


def test_a_backup_says_what_a_deployment_keeps_elsewhere(live, tmp_path, empty):
    with_rows = live.backup(tmp_path / "rows.tar", hapi=True)
    keys_only = live.backup(tmp_path / "keys.tar", hapi=True, data=None)

    assert [text.split(":")[0] for text in with_rows.missing] == ["FHIR resources"]
    assert len(keys_only.missing) == 2
    assert "pg_dump" in keys_only.missing[1]
    assert empty.restore(tmp_path / "keys.tar").rows == {}
    assert empty.keys.read_bytes() == live.keys.read_bytes()
    assert not empty.data.exists()
