"""Row changes as bytes, so that an intent can carry them. https://jcristharif.com/msgspec/structs.html"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

import msgspec

from fhir_facade.adapters.state.tables import Tables
from fhir_facade.rows import Append, Put, Remove, Row, RowChange


class _Encoded(msgspec.Struct, array_like=True):
    verb: Literal["append", "put", "remove"]
    table: str
    content: msgspec.Raw


_LIST = msgspec.msgpack.Decoder(list[_Encoded])


def encode_changes(tables: Tables, changes: Iterable[RowChange]) -> bytes:
    return msgspec.msgpack.encode([_encoded(tables, change) for change in changes])


def decode_changes(tables: Tables, encoded: bytes) -> list[RowChange]:
    return [_decoded(tables, item) for item in _LIST.decode(encoded)]


def digest_of(row: Row | None) -> str:
    """Tells whether a row is still what it was; empty for no row."""
    return "" if row is None else hashlib.sha256(msgspec.msgpack.encode(row)).hexdigest()


def _encoded(tables: Tables, change: RowChange) -> _Encoded:
    if isinstance(change, Remove):
        return _Encoded("remove", tables.of(change.row_class).spec.name, _raw(change.key))
    verb: Literal["append", "put"] = "append" if isinstance(change, Append) else "put"
    return _Encoded(verb, tables.of(type(change.row)).spec.name, _raw(change.row))


def _decoded(tables: Tables, item: _Encoded) -> RowChange:
    row = tables.named(item.table).row
    if item.verb == "remove":
        return Remove(row, tuple(msgspec.msgpack.decode(item.content)))
    decoded = msgspec.msgpack.decode(item.content, type=row)
    return Append(decoded) if item.verb == "append" else Put(decoded)


def _raw(content: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(content))
