"""The key file: numbered 256-bit keys in JSON, readable by its owner only, shared by all replicas of a deployment.

    {"keys": [{"number": 1, "created": "2026-01-01T12:00:00Z", "key": "<base64url>"}]}

The highest number seals; the others stay so that what they sealed opens. The file is only ever replaced as a whole.
https://cheatsheetseries.owasp.org/cheatsheets/Cryptographic_Storage_Cheat_Sheet.html
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from fhir_facade.adapters.folders import sync_folder
from fhir_facade.errors import Conflict, Unavailable
from fhir_facade.ports import Clock

log = logging.getLogger(__name__)

KEY_BYTES = 32
OTHERS_MAY = 0o077


class _Key(msgspec.Struct, frozen=True):
    number: int
    created: datetime
    key: str


class _KeyDocument(msgspec.Struct, frozen=True):
    keys: list[_Key]


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by number; never empty."""

    keys: Mapping[int, bytes]

    @property
    def newest(self) -> int:
        return max(self.keys)


class KeyFile:
    """Reads and replaces one key file. `ring` is what was read last."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Unavailable when the file is absent, open to others, or not a key file."""
        self._path = path
        self._clock = clock
        self._read_as = (0, 0)
        self.ring = self._read()

    def refresh(self) -> None:
        """Read again when another process replaced the file; a look costs microseconds.

        A file that vanished or was damaged meanwhile leaves the ring as it is, and a line in the log.
        """
        try:
            stat = self._path.stat()
            if (stat.st_mtime_ns, stat.st_ino) != self._read_as:
                self.ring = self._read()
        except (OSError, Unavailable) as error:
            log.error("going on with the keys read before: %s", error)

    def add(self) -> int:
        """Add a newest key to the file and to `ring`; returns its number. Two processes at once add one each."""
        with _alone_in(self._path.parent):
            document = _document(self._path)
            number = max(key.number for key in document.keys) + 1
            _replace(self._path, _KeyDocument([*document.keys, _new_key(number, self._clock.now())]))
            self.ring = self._read()
        return number

    def _read(self) -> KeyRing:
        document = _document(self._path)
        stat = self._path.stat()
        self._read_as = (stat.st_mtime_ns, stat.st_ino)
        return KeyRing({key.number: _decoded(self._path, key) for key in document.keys})


def create_key_file(path: Path, clock: Clock) -> None:
    """A file with one key. Conflict when the path exists, also when another process is faster."""
    draft = _draft(path, _KeyDocument([_new_key(1, clock.now())]))
    try:
        os.link(draft, path)
    except FileExistsError as error:
        raise Conflict(f"{path} exists; keys are added to it with `fhir-facade keys rotate`") from error
    finally:
        draft.unlink()
        sync_folder(path.parent)


def open_key_file(path: Path, clock: Clock, *, create: bool) -> KeyFile:
    """With `create` (embedded deployments) the first start makes the file; else it must be there (Unavailable)."""
    if create and not path.exists():
        with contextlib.suppress(Conflict):
            create_key_file(path, clock)
    return KeyFile(path, clock)


def _document(path: Path) -> _KeyDocument:
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as error:
        raise Unavailable(f"the key file {path} cannot be read: {error.strerror}") from error
    if mode & OTHERS_MAY:
        raise Unavailable(f"the key file {path} is open to other users (mode {mode & 0o777:o}): chmod 600 {path}")
    try:
        document = msgspec.json.decode(content, type=_KeyDocument)
    except msgspec.DecodeError as error:
        raise Unavailable(f"{path} is not a key file: restore it from a backup") from error
    if not document.keys:
        raise Unavailable(f"the key file {path} holds no key: restore it from a backup")
    return document


def _decoded(path: Path, key: _Key) -> bytes:
    try:
        plain = urlsafe_b64decode(key.key)
    except ValueError:
        plain = b""
    if len(plain) != KEY_BYTES or not 0 < key.number < 2**32:
        raise Unavailable(f"key {key.number} of {path} is damaged: restore the file from a backup")
    return plain


def _new_key(number: int, created: datetime) -> _Key:
    return _Key(number, created, urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode())


def _replace(path: Path, document: _KeyDocument) -> None:
    _draft(path, document).replace(path)
    sync_folder(path.parent)


def _draft(path: Path, document: _KeyDocument) -> Path:
    """The whole content on disk under another name, from the first byte on for its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    content = msgspec.json.format(msgspec.json.encode(document)) + b"\n"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder; another process that adds a key waits."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
