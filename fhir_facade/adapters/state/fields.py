"""How each field type of a row class is kept, and the conversion both ways, the same on both databases.

Text, 64-bit integers, booleans and bytes are kept as they are; a datetime as microseconds since 1970 in UTC (exact, and
ordered on both databases), a tuple of strings as a JSON array. `columns` says what column that takes.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
REPLACEMENT = "�"
STRINGS = msgspec.json.Decoder(tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind` is its type, without None; `encode` and `decode` never see None."""

    name: str
    nullable: bool
    kind: Any
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def storable(text: str) -> str:
    """The text without what a database refuses: NUL and lone surrogates become U+FFFD, on SQLite as on PostgreSQL."""
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970; TypeError for a datetime without a zone."""
    return (moment - EPOCH) // MICROSECOND


def moment(value: int) -> datetime:
    return EPOCH + timedelta(0, 0, value)


def _strings(values: tuple[str, ...]) -> str:
    return msgspec.json.encode([storable(value) for value in values]).decode()


def same(value: Any) -> Any:
    return value


CONVERSIONS: dict[Any, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    str: (storable, same),
    int: (same, same),
    bool: (same, bool),
    bytes: (same, bytes),
    datetime: (microseconds, moment),
    tuple[str, ...]: (_strings, STRINGS.decode),
}


def field_of(name: str, annotation: Any) -> Field:
    """TypeError for a type that rows may not have."""
    plain, nullable = _without_none(annotation)
    if plain not in CONVERSIONS:
        raise TypeError(f"{name}: a row field cannot be {annotation}")
    return Field(name, nullable, plain, *CONVERSIONS[plain])


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation, False
    others = [part for part in typing.get_args(annotation) if part is not types.NoneType]
    return (others[0] if len(others) == 1 else annotation), True
