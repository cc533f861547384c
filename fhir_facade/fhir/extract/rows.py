"""The values of search parameters in one resource, as rows ready for an index (https://hl7.org/fhir/R4/search.html#ptypes).

Every row is a tuple that starts with the parameter's code. Rows of `IndexRows` are distinct.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from fhir_facade.values import JsonObject

Canonical = Callable[[float, str], tuple[float, str] | None]
"""UCUM value and code -> value and code in canonical units, or None when the unit is unknown."""


ROWS_OF: Final = {
    "token": "tokens",
    "string": "strings",
    "date": "dates",
    "number": "numbers",
    "quantity": "quantities",
    "reference": "references",
    "uri": "uris",
    "composite": "composites",
}
"""The list of `IndexRows` that a kind of parameter fills; `special` ones have none."""


class TokenRow(NamedTuple):
    """`system` None: the data have none. `code` None: a coding with a system alone. Booleans are `true`, `false`.

    Two modifiers search other data than the plain parameter and have rows of their own:
    `subject:identifier` (the Reference's identifier) and `identifier:of-type` (system of the Identifier's type,
    `<type code>|<identifier value>` as code).
    """

    param: str
    system: str | None
    code: str | None


class StringRow(NamedTuple):
    """`text` is normalised (see `text.normalise`), `exact` as stored."""

    param: str
    text: str
    exact: str


class DateRow(NamedTuple):
    """[low, high) in UTC microseconds since 1970; open ends are `dates.MIN_US` and `dates.MAX_US`."""

    param: str
    low: int
    high: int


class NumberRow(NamedTuple):
    """`low` == `high` for a plain number; both ends included."""

    param: str
    low: float
    high: float


class QuantityRow(NamedTuple):
    """`low` == `high` for a plain quantity; a comparator, Range or SampledData makes a range (ends may be infinite).

    `unit` is the printed unit. The canonical columns are None unless a converter knew the UCUM code.
    """

    param: str
    low: float
    high: float
    system: str | None
    code: str | None
    unit: str | None
    canonical_low: float | None
    canonical_high: float | None
    canonical_code: str | None


class ReferenceRow(NamedTuple):
    """A literal reference: `type` and `id` when it is relative, else `url` (then `id` is None, `type` if it shows).

    `version` is that of a versioned reference or of a canonical (`url|version`, kept out of `url`): "" of a canonical
    without one.
    """

    param: str
    type: str | None
    id: str | None
    version: str | None
    url: str | None


class UriRow(NamedTuple):
    param: str
    uri: str


class CompositeRow(NamedTuple):
    """One combination of component values that belong together; `parts` are rows in the order of the definition.

    Parameters with the same components share their parts, whose `param` is that of the first of them.
    """

    param: str
    parts: tuple[Any, ...]


# Making a row of a tuple costs half of what its class takes for its members one by one.
token_row: Final = partial(tuple.__new__, TokenRow)
string_row: Final = partial(tuple.__new__, StringRow)
date_row: Final = partial(tuple.__new__, DateRow)
number_row: Final = partial(tuple.__new__, NumberRow)
quantity_row: Final = partial(tuple.__new__, QuantityRow)
reference_row: Final = partial(tuple.__new__, ReferenceRow)
uri_row: Final = partial(tuple.__new__, UriRow)
composite_row: Final = partial(tuple.__new__, CompositeRow)


class IndexRows:
    """All rows of one resource by kind. `texts` are what `:text` of token parameters searches."""

    __slots__ = (
        "canonical",
        "composites",
        "dates",
        "numbers",
        "quantities",
        "references",
        "resource",
        "strings",
        "texts",
        "tokens",
        "uris",
    )

    def __init__(self, resource: JsonObject, canonical: Canonical | None = None) -> None:
        self.resource = resource
        self.canonical = canonical
        self.tokens: list[TokenRow] = []
        self.strings: list[StringRow] = []
        self.texts: list[StringRow] = []
        self.dates: list[DateRow] = []
        self.numbers: list[NumberRow] = []
        self.quantities: list[QuantityRow] = []
        self.references: list[ReferenceRow] = []
        self.uris: list[UriRow] = []
        self.composites: list[CompositeRow] = []

    def lists(self) -> tuple[list[Any], ...]:
        """The nine lists, in the order of the row classes above (`texts` after `strings`)."""
        return (
            self.tokens,
            self.strings,
            self.texts,
            self.dates,
            self.numbers,
            self.quantities,
            self.references,
            self.uris,
            self.composites,
        )

    def make_distinct(self) -> None:
        """Drop rows that are there already; order stays."""
        for rows in self.lists():
            if len(rows) > 1 and len(distinct := dict.fromkeys(rows)) < len(rows):
                rows[:] = distinct

    def __iter__(self) -> Iterator[Any]:
        """All rows except `texts`."""
        for rows in self.lists():
            if rows is not self.texts:
                yield from rows
