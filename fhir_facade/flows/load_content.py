"""What is in a file to import, plain or packed: unpacked a piece at a time, and no more of it than records would be.

https://www.rfc-editor.org/rfc/rfc1952 (gzip), https://github.com/ndjson/ndjson-spec
"""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

import msgspec

from fhir_facade.errors import BadRequest, TooLarge

TIMES: Final = 200
"""Records become a tenth to a fiftieth of their size when they are packed; what becomes less than this is none."""
_PIECE: Final = 64 * 1024
_UNPACKERS: Final[dict[str, Callable[[IO[bytes]], IO[bytes]]]] = {
    ".gz": lambda packed: cast("IO[bytes]", gzip.GzipFile(fileobj=packed)),
    ".bz2": lambda packed: cast("IO[bytes]", bz2.BZ2File(packed)),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One resource of a file, and where it stands there, as somebody counts who looks for it: from one. `fault`: why it
    was not read; there is no body then."""

    place: str
    body: bytes
    fault: str | None = None


class Content:
    """An open file. What is read at once has at most `most_whole` bytes."""

    def __init__(self, disk: IO[bytes], unpacked: IO[bytes], size: int, most_whole: int) -> None:
        self._disk, self._unpacked = disk, unpacked
        self._most = max(most_whole, TIMES * size) if unpacked is not disk else None
        self._read = 0
        self._line = 0
        self._head = io.BytesIO()
        head = self._from_file(lambda: unpacked.read(most_whole + 1))
        self.whole = head if len(head) <= most_whole else None
        """All of it, when it is not too long for that."""
        self._head = io.BytesIO(head)

    @property
    def done(self) -> int:
        """How many bytes of the file were read, as they lie on the disk."""
        return self._disk.tell()

    def lines(self, most: int) -> Iterator[Part]:
        """NDJSON, without its empty lines. One of more than `most` bytes is passed over."""
        while line := self._next(most + 1):
            self._line += 1
            if len(line) > most and not line.endswith(b"\n"):
                self._pass_over()
                yield Part(f"line {self._line}", b"", too_long(most))
            elif line.strip():
                yield Part(f"line {self._line}", line)

    def begins_with_a_value(self) -> bool:
        """Whether the first line is JSON by itself, as in NDJSON."""
        first = next((line for line in io.BytesIO(self._head.getvalue()) if line.strip()), b"")
        return is_one_value(first)

    def _pass_over(self) -> None:
        while (piece := self._next(_PIECE)) and not piece.endswith(b"\n"):
            pass

    def _next(self, most: int) -> bytes:
        """The next line, or its first `most` bytes."""
        line = self._head.readline(most)
        if line.endswith(b"\n") or len(line) == most:
            return line
        return line + self._from_file(lambda: self._unpacked.readline(most - len(line)))

    def _from_file(self, read: Callable[[], bytes]) -> bytes:
        try:
            found = read()
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise BadRequest(f"the file cannot be read{self._after()}: {error}") from error
        self._read += len(found)
        if self._most is not None and self._read > self._most:
            raise TooLarge(f"the file unpacks to more than {TIMES} times its size, as no records do{self._after()}")
        return found

    def _after(self) -> str:
        return f"; what is after line {self._line} was not read" if self._line else ""


@contextmanager
def opened(file: Path, most_whole: int) -> Iterator[Content]:
    """BadRequest when it cannot be read."""
    try:
        disk = file.open("rb")
    except OSError as error:
        raise BadRequest(f"the file cannot be read: {error}") from error
    with disk:
        unpack = _UNPACKERS.get(file.suffix)
        yield Content(disk, disk if unpack is None else unpack(disk), file.stat().st_size, most_whole)


def is_one_value(content: bytes) -> bool:
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def too_long(most: int) -> str:
    return f"longer than {most} bytes, which FHIR_FACADE_MAX_BODY_BYTES allows"
