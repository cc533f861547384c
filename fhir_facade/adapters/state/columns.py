"""How each field type of a row class is kept: its column type and the conversion both ways, the same on both databases.

Text, 64-bit integers, booleans and bytes are kept as they are; a datetime as microseconds since 1970 in UTC (exact, and
ordered on both databases), a tuple of strings as a JSON array. https://docs.sqlalchemy.org/en/20/core/type_basics.html
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, Text
from sqlalchemy.types import TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
REPLACEMENT = "�"
STRINGS = msgspec.json.Decoder(tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Column:
    """One field. `encode` and `decode` never see None."""

    name: str
    nullable: bool
    type: TypeEngine[Any]
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
    return EPOCH + timedelta(microseconds=value)


def _strings(values: tuple[str, ...]) -> str:
    return msgspec.json.encode([storable(value) for value in values]).decode()


def _same(value: Any) -> Any:
    return value


# On PostgreSQL text is compared byte by byte, as SQLite does; the collation of the cluster has no say.
TEXT = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite numbers rows only in a column that is called INTEGER.
SERIAL = BigInteger().with_variant(Integer(), "sqlite")

_Kind = tuple[TypeEngine[Any], Callable[[Any], Any], Callable[[Any], Any]]

KINDS: dict[Any, _Kind] = {
    str: (TEXT, storable, _same),
    int: (BigInteger(), _same, _same),
    bool: (Boolean(), _same, bool),
    bytes: (LargeBinary(), _same, bytes),
    datetime: (BigInteger(), microseconds, moment),
    tuple[str, ...]: (TEXT, _strings, STRINGS.decode),
}


def column_of(name: str, annotation: Any) -> Column:
    """TypeError for a type that rows may not have."""
    plain, nullable = _without_none(annotation)
    if plain not in KINDS:
        raise TypeError(f"{name}: a row field cannot be {annotation}")
    return Column(name, nullable, *KINDS[plain])


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation, False
    others = [part for part in typing.get_args(annotation) if part is not types.NoneType]
    return (others[0] if len(others) == 1 else annotation), True
