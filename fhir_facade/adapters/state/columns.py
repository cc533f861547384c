"""The column that each field type of a row class takes. https://docs.sqlalchemy.org/en/20/core/type_basics.html"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, Text
from sqlalchemy.types import TypeEngine

# On PostgreSQL text is compared byte by byte, as SQLite does; the collation of the cluster has no say.
TEXT = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite numbers rows only in a column that is called INTEGER.
SERIAL = BigInteger().with_variant(Integer(), "sqlite")

TYPES: dict[Any, TypeEngine[Any]] = {
    str: TEXT,
    int: BigInteger(),
    bool: Boolean(),
    bytes: LargeBinary(),
    datetime: BigInteger(),
    tuple[str, ...]: TEXT,
}
