"""Tables derived from the row classes of `rows/`; none is written by hand. `metadata` says them to SQLAlchemy."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from fhir_facade import rows
from fhir_facade.adapters.state.fields import Field, field_of, same, storable
from fhir_facade.rows import Row, TableSpec

if TYPE_CHECKING:
    import sqlalchemy as sa

RowT = TypeVar("RowT", bound=Row)


class RowTable(Generic[RowT]):
    """One row class with its table and the conversion between the two.

    Encoded values come in the order of `fields`, which is the order of the columns after `tenant`.
    """

    def __init__(self, spec: TableSpec, row: type[RowT]) -> None:
        self.spec = spec
        self.row = row
        self.by_name: dict[str, Field] = {
            field.name: field_of(field.name, field.type) for field in msgspec.structs.fields(row)
        }
        self.fields = tuple(self.by_name)
        self.serial_at = self.fields.index(spec.key[0]) if spec.serial else None
        kinds = list(enumerate(self.by_name.values()))
        self._texts = tuple(at for at, field in kinds if field.encode is storable)
        self._encoders = tuple((at, field.encode) for at, field in kinds if field.encode not in (same, storable))
        self.decode: Callable[[Sequence[Any]], RowT] = _made_of_values(row, self.by_name.values())

    def insertion(self, row: Row) -> tuple[bool, tuple[Any, ...]]:
        """Whether the database numbers the row, and its encoded values: then without the serial field."""
        values = list(msgspec.structs.astuple(row))
        joined = "".join([values[at] or "" for at in self._texts])
        if "\0" in joined or not joined.isascii():
            for at in self._texts:
                if values[at] is not None:
                    values[at] = storable(values[at])
        for at, encode in self._encoders:
            if values[at] is not None:
                values[at] = encode(values[at])
        if self.serial_at is None or values[self.serial_at] != 0:
            return False, tuple(values)
        del values[self.serial_at]
        return True, tuple(values)

    def defaults(self) -> dict[str, Any]:
        """The encoded values of fields that a row may leave out."""
        fields = msgspec.structs.fields(self.row)
        return {each.name: self.encode_field(each.name, each.default) for each in fields if not each.required}

    def is_unnumbered(self, row: Row) -> bool:
        return self.serial_at is not None and getattr(row, self.fields[self.serial_at]) == 0

    def encode_field(self, name: str, value: Any) -> Any:
        return None if value is None else self.by_name[name].encode(value)


def _made_of_values(row: type[RowT], fields: Iterable[Field]) -> Callable[[Sequence[Any]], RowT]:
    """A row of encoded values. Written as a call with all names in it, as one would by hand: a dict of them for each of
    the thousands of lines that are sealed takes more than twice as long."""
    names: dict[str, Any] = {"row": row}
    given = []
    for at, field in enumerate(fields):
        value = f"values[{at}]"
        if field.decode is not same:
            names[f"decode{at}"] = field.decode
            value = f"None if {value} is None else decode{at}({value})"
        given.append(f"{field.name}={value}")
    made: Callable[[Sequence[Any]], RowT] = eval(f"lambda values: row({', '.join(given)})", names)  # noqa: S307 - our own
    return made


class Tables:
    """All row tables of one deployment, by row class."""

    def __init__(self, specs: Iterable[TableSpec]) -> None:
        self._by_row: dict[type[Row], RowTable[Any]] = {spec.row: RowTable(spec, spec.row) for spec in specs}
        self._by_name = {table.spec.name: table for table in self}

    def of(self, row: type[RowT]) -> RowTable[RowT]:
        """KeyError for a row class without a table."""
        return self._by_row[row]

    def named(self, name: str) -> RowTable[Any]:
        """KeyError for a name that no table has."""
        return self._by_name[name]

    @cached_property
    def metadata(self) -> sa.MetaData:
        """As SQLAlchemy knows them, which a file that needs no migration does not load."""
        from fhir_facade.adapters.state.metadata import metadata_of

        return metadata_of(self)

    def __iter__(self) -> Iterator[RowTable[Any]]:
        return iter(self._by_row.values())


@cache
def facade_tables() -> Tables:
    """The tables of every row class in `fhir_facade.rows`."""
    for module in pkgutil.iter_modules(rows.__path__):
        import_module(f"{rows.__name__}.{module.name}")
    return Tables(rows.tables())
