"""Search parameters of a request as a `SearchQuery` (https://hl7.org/fhir/R4/search.html).

    parse_query(type, params, *, now, base_url=None, strict=True, stored=NO_CODES) -> ParsedSearch
    searched_types(type, params) -> the types that each parameter has to belong to
    without_empty(params) -> without what has no value between commas, as a search is asked
    named_value_sets(params), named_code_systems(params) -> URLs whose codes `stored` is to hold
    named_places(type, params, base_url) -> resources whose hierarchies `stored` is to hold
    whole_number(name, text) -> int                           `_count` and its like
    dates.parse_instant(text) -> datetime                     `_since` and its like

What the values mean for a store:
* `ap` has its tolerance in `low` and `high` already: everything that overlaps [low, high) matches.
* `:identifier` and `:of-type` are answered from the token rows named `name:identifier` and `name:of-type` (there the
  code is `type_code|code`); `:text` of a token from the `texts` rows. `:in`, `:not-in`, `:above` and `:below` of tokens
  have become the codes they stand for, with the modifier `not` or none; those of references the references.
* `_filter` becomes criteria with `AnyOf` and `Not`; its `eq` and `ew` are the modifiers `equal` and `ends` of a
  string, `po` a date with `ap`.
* `_text` and `_content` are of kind special, their StringValue is read by `words.parse_words`; so is `near`.
* `subject:Patient=1` becomes ReferenceValue("Patient", "1") without modifier; `_list=1` becomes a Has.
* `_count=0` and `_summary=count`: `query.count` 0 and `query.total`.
"""

from __future__ import annotations

from fhir_facade.fhir.query.concepts import NO_CODES, StoredCodes, named_code_systems, named_value_sets
from fhir_facade.fhir.query.controls import MAX_COUNT, Summary, TotalMode, whole_number
from fhir_facade.fhir.query.criterion import MAX_HOPS, MAX_VALUES
from fhir_facade.fhir.query.hierarchies import named_places, parents
from fhir_facade.fhir.query.parse import (
    DEFAULT_COUNT,
    MAX_PARAMETERS,
    ParsedSearch,
    parse_query,
    searched_types,
    without_empty,
)

__all__ = [
    "DEFAULT_COUNT",
    "MAX_COUNT",
    "MAX_HOPS",
    "MAX_PARAMETERS",
    "MAX_VALUES",
    "NO_CODES",
    "ParsedSearch",
    "StoredCodes",
    "Summary",
    "TotalMode",
    "named_code_systems",
    "named_places",
    "named_value_sets",
    "parents",
    "parse_query",
    "searched_types",
    "whole_number",
    "without_empty",
]
