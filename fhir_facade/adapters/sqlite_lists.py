"""Lists of values in statements have few lengths, because each length is a statement of its own that stays prepared.

https://sqlite.org/c3ref/prepare.html
https://docs.python.org/3/library/sqlite3.html#sqlite3.connect (cached_statements)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

LONG: Final = 1024
VALUES_AT_ONCE: Final = 64
"""Of a change: how many resources one statement is about."""


def few_lengths(values: Sequence[T]) -> list[T]:
    """The last value repeated up to the next power of two, in a long list up to the next multiple of LONG: what is
    looked for twice is found once. None stay none."""
    length = len(values)
    wanted = 1 << (length - 1).bit_length() if length <= LONG else -(-length // LONG) * LONG
    return list(values) + list(values[-1:]) * (wanted - length) if values else []


def one_of(values: Sequence[T]) -> tuple[str, tuple[T, ...]]:
    """`IN (?, ?, …)` and its values."""
    wanted = tuple(few_lengths(values))
    return f"IN ({', '.join('?' * len(wanted))})", wanted


def padded(values: Sequence[T]) -> Iterator[list[T]]:
    """At most VALUES_AT_ONCE of the values each time, in few lengths."""
    for at in range(0, len(values), VALUES_AT_ONCE):
        yield few_lengths(values[at : at + VALUES_AT_ONCE])
