"""One file that holds a deployment: an online copy of its SQLite file, its keys, and a manifest to check both by.

    manifest.json   format, versions, time, SHA-256 of the other members, rows per table, what is not in here
    facade.sqlite   the copy: one consistent moment, taken while a server goes on writing
    keys.json       the key file; without it sealed tokens are lost

The archive is a tar file for its owner only. https://sqlite.org/backup.html
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec

from fhir_facade.adapters.backup_target import WORKSHOP, place, refuse_used
from fhir_facade.adapters.data_lock import sole_server
from fhir_facade.errors import BadRequest, Conflict, Unavailable
from fhir_facade.ports import Clock

FORMAT = 1
MANIFEST, DATA, KEYS = "manifest.json", "facade.sqlite", "keys.json"
BUSY_TIMEOUT_S = 30.0
CHUNK = 1 << 20

NO_RESOURCES = "FHIR resources: they are in HAPI's database, back it up with that database's own tools"
NO_ROWS = "accounts, grants, connections and the audit record: they are in PostgreSQL, back it up with pg_dump"


class Manifest(msgspec.Struct, frozen=True):
    """`sha256` by member, `rows` by table, `missing`: sentences about what the deployment keeps elsewhere."""

    format: int
    software: str
    created: datetime
    sha256: dict[str, str]
    rows: dict[str, int]
    missing: list[str]


Tell = Callable[[str], None]
"""Hears what is being done now, in a few words."""


def backup(
    target: Path, *, data: Path | None, keys: Path, hapi: bool, software: str, clock: Clock, tell: Tell
) -> Manifest:
    """Write the archive `target`, beside a running server or without one, and prove it by unpacking it again.

    `data` is the SQLite file, None when the rows are in PostgreSQL; `hapi`: the resources are in HAPI. Conflict when
    `target` exists, Unavailable when something cannot be read. A failure leaves nothing behind.
    """
    if target.exists():
        raise Conflict(f"{target} exists; a backup never replaces a file, choose another name")
    with _workshop(target.parent) as folder:
        tell("copying")
        if data is not None:
            _copy_database(data, folder / DATA)
        _copy_keys(keys, folder / KEYS)
        members = sorted(path.name for path in folder.iterdir())
        rows = _rows(folder / DATA) if data is not None else {}
        missing = [NO_RESOURCES] * hapi + [NO_ROWS] * (data is None)
        sha256 = {name: _digest(folder / name) for name in members}
        manifest = Manifest(FORMAT, software, clock.now(), sha256, rows, missing)
        (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        tell("packing")
        draft = folder / "archive"
        with _private(draft) as file, tarfile.open(fileobj=file, mode="w") as archive:
            for name in (MANIFEST, *members):
                archive.add(folder / name, arcname=name, filter=_nobodys)
        tell("checking by restoring")
        with _workshop(target.parent) as proof:
            unpack(draft, proof)
        place(draft, target)
    return manifest


def restore(archive: Path, *, data: Path, keys: Path, tell: Tell) -> Manifest:
    """Put an archive's data file and keys where a deployment expects them.

    Conflict: a server is running on `data`, or its folder is not empty, or `keys` holds other keys. BadRequest: not an
    archive, or a damaged one. Nothing is put in place before everything was checked.
    """
    with sole_server(data), _workshop(data.parent) as folder:
        tell("unpacking and checking")
        manifest = unpack(archive, folder)
        tell("putting in place")
        refuse_used(data, keys, (folder / KEYS).read_bytes())
        keys.parent.mkdir(parents=True, exist_ok=True)
        place(folder / KEYS, keys)
        if DATA in manifest.sha256:
            place(folder / DATA, data)
    return manifest


def unpack(path: Path, folder: Path) -> Manifest:
    """The members into `folder`, checked: digests, the database's own integrity check, rows per table."""
    try:
        with tarfile.open(path, "r:") as archive:
            manifest = _manifest(_member(archive, MANIFEST).read())
            for name in manifest.sha256:
                with _private(folder / name) as file:
                    _pour(_member(archive, name), file)
    except FileNotFoundError as error:
        raise BadRequest(f"{path} does not exist") from error
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise BadRequest(f"{path} is not a backup, or is cut off") from error
    for name, expected in manifest.sha256.items():
        if _digest(folder / name) != expected:
            raise BadRequest(f"{name} in {path} is damaged: its checksum is wrong; use another backup")
    if DATA in manifest.sha256:
        _check(folder / DATA, manifest.rows, path)
    return manifest


def _manifest(content: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise BadRequest(
            "the manifest of the backup cannot be read; it is not ours, or from another version"
        ) from error
    if manifest.format != FORMAT or KEYS not in manifest.sha256 or set(manifest.sha256) - {DATA, KEYS}:
        raise BadRequest(f"the backup has format {manifest.format} of fhir-facade {manifest.software}: restore with it")
    return manifest


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    content = archive.extractfile(archive.getmember(name))
    if content is None:
        raise KeyError(name)
    return content


def _copy_database(source: Path, copy: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S)) as live,
            closing(sqlite3.connect(copy)) as target,
        ):
            live.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise Unavailable(f"{source} cannot be copied: {error}") from error


def _copy_keys(source: Path, copy: Path) -> None:
    try:
        copy.write_bytes(source.read_bytes())
    except OSError as error:
        raise Unavailable(f"the key file {source} cannot be read: {error.strerror}") from error


def _check(database: Path, expected: dict[str, int], archive: Path) -> None:
    try:
        with closing(sqlite3.connect(database)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchall()
        sound = found == [("ok",)] and _rows(database) == expected
    except sqlite3.Error as error:
        raise BadRequest(f"the data in {archive} cannot be opened: {error}") from error
    if not sound:
        raise BadRequest(f"the data in {archive} is damaged; use another backup")


def _rows(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(database)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        count = "SELECT count(*) FROM "
        return {
            name: connection.execute(count + '"' + name.replace('"', '""') + '"').fetchone()[0] for (name,) in names
        }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pour(source: IO[bytes], target: IO[bytes]) -> None:
    while chunk := source.read(CHUNK):
        target.write(chunk)


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _workshop(beside: Path) -> Iterator[Path]:
    """A folder on the same file system, for its owner only, gone afterwards."""
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=WORKSHOP, dir=beside) as folder:
        yield Path(folder)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the names of this machine's users."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member
