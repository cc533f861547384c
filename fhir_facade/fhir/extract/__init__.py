"""Values of every official search parameter in a resource, as index rows (https://hl7.org/fhir/R4/search.html#ptypes).

    extract(resource, *, canonical=None, texts=True, without=()) -> IndexRows
    extract_parameter(resource, code, *, canonical=None) -> IndexRows     one parameter, compiled on its own

`rows.py` says what the rows mean. `IndexRows` has a list per kind: tokens, strings, texts, dates, numbers, quantities,
references, uris, composites; each row is a tuple (NamedTuple) that starts with the parameter's code, ready for
`executemany`. `_id`, `_lastUpdated`, `_tag`, `_profile`, `_security`, `_source` come from `id` and `meta` like others.
"""

from __future__ import annotations

from fhir_facade.fhir.extract.compile import extractor, single_extractor
from fhir_facade.fhir.extract.rows import (
    Canonical,
    CompositeRow,
    DateRow,
    IndexRows,
    NumberRow,
    QuantityRow,
    ReferenceRow,
    StringRow,
    TokenRow,
    UriRow,
)
from fhir_facade.values import JsonObject

VERSION = 10
"""Counts the changes of what is extracted: a store whose index rows are of an older version makes them anew."""

_NOTHING: frozenset[str] = frozenset()

__all__ = [
    "VERSION",
    "Canonical",
    "CompositeRow",
    "DateRow",
    "IndexRows",
    "NumberRow",
    "QuantityRow",
    "ReferenceRow",
    "StringRow",
    "TokenRow",
    "UriRow",
    "extract",
    "extract_parameter",
]


def extract(
    resource: JsonObject, *, canonical: Canonical | None = None, texts: bool = True, without: frozenset[str] = _NOTHING
) -> IndexRows:
    """All rows of a parsed resource (plain dicts and lists, numbers int, float or Decimal).

    `texts` False leaves out what `:text` searches; `without` are codes of parameters to leave out. Compiled for each
    set of them, so there should be few. KeyError when `resourceType` is no R4 type.
    """
    rows = IndexRows(resource, canonical)
    extractor(resource["resourceType"], texts, without)((resource,), rows)
    rows.make_distinct()
    return rows


def extract_parameter(resource: JsonObject, code: str, *, canonical: Canonical | None = None) -> IndexRows:
    """The rows of one parameter, with those of its `:identifier`, `:of-type` and `:text`."""
    rows = IndexRows(resource, canonical)
    single_extractor(resource["resourceType"], code)((resource,), rows)
    rows.make_distinct()
    return rows
