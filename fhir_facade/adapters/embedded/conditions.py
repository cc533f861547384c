"""One value of a search against the columns of its index table (https://hl7.org/fhir/R4/search.html#ptypes)."""

from __future__ import annotations

import re
from typing import Any

from fhir_facade.adapters.embedded.amounts import amount
from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.adapters.embedded.compare import interval, point
from fhir_facade.adapters.embedded.source import Sql
from fhir_facade.errors import NotSupported
from fhir_facade.fhir.definitions import search_parameters
from fhir_facade.fhir.extract.dates import to_us
from fhir_facade.fhir.extract.text import normalise
from fhir_facade.values import (
    CompositeValue,
    DateValue,
    Match,
    MissingValue,
    NearValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)

LAST_CHARACTER = "\U0010ffff"


def value_sql(catalogue: Catalogue, type: str, match: Match, value: SearchValue) -> Sql:
    match value:
        case TokenValue():
            return _token(catalogue, value)
        case StringValue():
            return _string(match, value)
        case DateValue():
            return _date(value)
        case NumberValue():
            return point(value)
        case QuantityValue():
            return amount(catalogue, value)
        case ReferenceValue():
            return _reference(type, match, value)
        case UriValue():
            return _uri(match, value)
        case CompositeValue():
            return _composite(catalogue, type, match, value)
        case MissingValue() | NearValue():
            raise NotSupported(f"{type}?{match.name} cannot be combined like this")


def _token(catalogue: Catalogue, value: TokenValue) -> Sql:
    clauses: list[str] = []
    args: list[Any] = []
    if value.code is not None:
        clauses.append("code = ?")
        args.append(value.code)
    if value.system is not None:
        clauses.append("system = ?")
        args.append(catalogue.system(value.system))
    return " AND ".join(clauses) or "1", tuple(args)


def _string(match: Match, value: StringValue) -> Sql:
    if match.modifier == "exact":
        return "folded = ? AND exact = ?", (normalise(value.text), value.text)
    if match.modifier == "contains":
        return "instr(folded, ?) > 0", (normalise(value.text),)
    folded = normalise(value.text)
    if match.modifier == "equal":
        return "folded = ?", (folded,)
    if match.modifier == "ends":
        return ("substr(folded, -length(?)) = ?", (folded, folded)) if folded else ("1", ())
    return "folded >= ? AND folded < ?", (folded, folded + LAST_CHARACTER)


def _date(value: DateValue) -> Sql:
    low, high = to_us(value.low), to_us(value.high)
    return interval(value.prefix, low, high)


def _reference(type: str, match: Match, value: ReferenceValue) -> Sql:
    if value.url is not None:
        return "target = ?", (value.url,)
    types = (value.type or match.modifier,) if value.type or match.modifier else targets_of(type, match.name)
    marks = ", ".join("?" * len(types))
    return f"target IN ({marks})", tuple(f"{target}/{value.id}" for target in types)


def targets_of(type: str, name: str) -> tuple[str, ...]:
    """The types a reference parameter may point to."""
    return tuple(search_parameters(type)[name].targets)


_PART_COLUMNS = {"exact": "text", "folded": "text", "target": "text", "uri": "text", "unit": "text"}
_COLUMN = re.compile(r"\b(code|system|low|high|text|exact|folded|target|uri|unit)\b")


def _composite(catalogue: Catalogue, type: str, match: Match, value: CompositeValue) -> Sql:
    """All parts of one combination: each part's own condition, on the columns of its place."""
    components = search_parameters(type)[match.name].components
    clauses: list[str] = []
    args: list[Any] = []
    for place, (component, part) in enumerate(zip(components, value.parts, strict=True)):
        sql, values = value_sql(catalogue, type, Match(component.code, component.kind, (part,)), part)
        clauses.append("(" + _COLUMN.sub(lambda m, n=place: f"{_PART_COLUMNS.get(m[1], m[1])}{n}", sql) + ")")  # type: ignore[misc]
        args += values
    return " AND ".join(clauses), tuple(args)


def _uri(match: Match, value: UriValue) -> Sql:
    if match.modifier == "below":
        return "uri >= ? AND uri < ?", (value.uri, value.uri + LAST_CHARACTER)
    if match.modifier == "above":
        return "substr(?, 1, length(uri)) = uri", (value.uri,)
    return "uri = ?", (value.uri,)
