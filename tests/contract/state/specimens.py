"""Row classes that exist for the contract alone: every field type, every kind of key and index."""

from datetime import datetime

from fhir_facade.adapters.state.tables import Tables
from fhir_facade.rows import Row, TableSpec


class Specimen(Row, frozen=True, kw_only=True):
    """One field of every type."""

    id: str
    text: str = ""
    number: int = 0
    flag: bool = False
    blob: bytes = b""
    at: datetime
    words: tuple[str, ...] = ()
    maybe_text: str | None = None
    maybe_number: int | None = None
    maybe_flag: bool | None = None
    maybe_blob: bytes | None = None
    maybe_at: datetime | None = None
    maybe_words: tuple[str, ...] | None = None


class Named(Row, frozen=True, kw_only=True):
    """A unique index beside a key of two fields; the field names are reserved words of SQL."""

    group: str
    order: int
    user: str
    used_at: datetime | None = None


class Line(Row, frozen=True, kw_only=True):
    """Numbered by the database."""

    text: str
    id: int = 0
    note: str = ""


class Pair(Row, frozen=True, kw_only=True):
    """Nothing but a key."""

    left: str
    right: str


TABLES = Tables(
    (
        TableSpec("specimen", Specimen, ("id",), False, (("number", "at"),), ()),
        TableSpec("named", Named, ("group", "order"), False, (), (("user",),)),
        TableSpec("line", Line, ("id",), True, (("text",),), ()),
        TableSpec("pair", Pair, ("left", "right"), False, (), ()),
    )
)
