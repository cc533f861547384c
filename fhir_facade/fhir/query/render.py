"""The inverse of parsing: a criterion, a query, a search as parameters (https://hl7.org/fhir/R4/search.html#escaping)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from fhir_facade.fhir.query.escape import escape
from fhir_facade.fhir.query.parse import ParsedSearch
from fhir_facade.values import (
    CompositeValue,
    Criterion,
    DateValue,
    Has,
    Include,
    Match,
    MissingValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchQuery,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)


def render_criterion(criterion: Criterion) -> tuple[str, str]:
    """(name, value), not yet URL-encoded; parsing them for the same type gives the criterion back."""
    if isinstance(criterion, Match):
        name = criterion.name if criterion.modifier is None else f"{criterion.name}:{criterion.modifier}"
        return name, ",".join(render_value(value) for value in criterion.values)
    name, value = render_criterion(criterion.inner)
    if isinstance(criterion, Has):
        return f"_has:{criterion.type}:{criterion.name}:{name}", value
    typed = f":{criterion.targets[0]}" if len(criterion.targets) == 1 else ""
    return f"{criterion.name}{typed}.{name}", value


def render_value(value: SearchValue) -> str:
    """One value with its prefix, escaped."""
    return _RENDERED[type(value)](value)


def _token(value: TokenValue) -> str:
    code = escape(value.code or "")
    if value.type_code is not None:
        return f"{escape(value.system or '')}|{escape(value.type_code)}|{code}"
    return code if value.system is None else f"{escape(value.system)}|{code}"


def _prefixed(value: DateValue | NumberValue | QuantityValue) -> str:
    return "" if value.prefix == "eq" else value.prefix


def _quantity(value: QuantityValue) -> str:
    number = _prefixed(value) + value.text
    if value.system is None and value.code is None:
        return number
    return f"{number}|{escape(value.system or '')}|{escape(value.code or '')}"


def _reference(value: ReferenceValue) -> str:
    if value.url is not None:
        return escape(value.url)
    return f"{value.type}/{value.id}" if value.type is not None else str(value.id)


def _composite(value: CompositeValue) -> str:
    return "$".join(render_value(part) for part in value.parts)


_RENDERED: Final[dict[type[SearchValue], Callable[[Any], str]]] = {
    StringValue: lambda value: escape(value.text),
    TokenValue: _token,
    DateValue: lambda value: _prefixed(value) + value.text,
    NumberValue: lambda value: _prefixed(value) + value.text,
    QuantityValue: _quantity,
    ReferenceValue: _reference,
    UriValue: lambda value: escape(value.uri),
    MissingValue: lambda value: "true" if value.missing else "false",
    CompositeValue: _composite,
}


def render_include(include: Include) -> tuple[str, str]:
    name = ("_revinclude" if include.reverse else "_include") + (":iterate" if include.iterate else "")
    if include.source == "*":
        return name, "*"
    return name, ":".join(part for part in (include.source, include.name, include.target) if part is not None)


def render_criteria(query: SearchQuery) -> tuple[tuple[str, str], ...]:
    """The criteria and the order of a query, without `any_of`, which plain parameters cannot say."""
    return tuple(_criteria(query))


def _criteria(query: SearchQuery) -> Iterator[tuple[str, str]]:
    yield from (render_criterion(criterion) for criterion in query.criteria)
    if query.sort:
        yield "_sort", ",".join(f"-{sort.name}" if sort.descending else sort.name for sort in query.sort)


def render_query(search: ParsedSearch) -> tuple[tuple[str, str], ...]:
    """All parameters of a search in a fixed order; parsing them gives the same search."""
    return tuple(_parameters(search))


def _parameters(search: ParsedSearch) -> Iterator[tuple[str, str]]:
    yield from _criteria(search.query)
    yield from (render_include(include) for include in search.includes)
    if search.types:
        yield "_type", ",".join(search.types)
    if search.elements:
        yield "_elements", ",".join(search.elements)
    if search.summary is not None:
        yield "_summary", search.summary
    if search.total_mode is not None:
        yield "_total", search.total_mode
    if search.count is not None:
        yield "_count", str(search.count)
