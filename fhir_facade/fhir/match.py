"""Does one resource satisfy a search criterion? The same meaning as in the stores (https://hl7.org/fhir/R4/search.html).

    matches(resource, criterion, *, resolve=None, referrers=None, named=None) -> bool
    matches_query(resource, query, *, resolve=None, referrers=None, named=None) -> bool  all criteria, one of `any_of`

`resolve(Ref)` fetches what a chain leads to, `named(type, url, version)` what a canonical may mean, `referrers(type,
parameter, target)` what refers to a resource, for `_has`: by its Ref, or by its canonical, with its version and without
one (`url|`). Without the first and the last such a criterion is NotSupported, never silently false.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from fhir_facade.errors import NotSupported
from fhir_facade.fhir.comparisons import holds
from fhir_facade.fhir.definitions.canonicals import canonical_targets
from fhir_facade.fhir.extract import IndexRows, extract_parameter
from fhir_facade.fhir.extract.canonical import in_canonical_units
from fhir_facade.fhir.extract.rows import ROWS_OF
from fhir_facade.fhir.positions import is_near, position_of
from fhir_facade.fhir.words import TEXTS, all_words, narrative_words, parse_words, says
from fhir_facade.values import (
    AnyOf,
    Chain,
    Criterion,
    Has,
    JsonObject,
    Match,
    MissingValue,
    NearValue,
    Not,
    Ref,
    SearchQuery,
    StringValue,
    TokenValue,
)

Resolve = Callable[[Ref], JsonObject | None]
Referrers = Callable[[str, str, Ref | str], Iterable[JsonObject]]
Named = Callable[[str, str, str], Iterable[JsonObject]]

CONTAINED: Final = "_contained"
"""A criterion that only the server asks: a resource of this type is contained."""


@dataclass(frozen=True, slots=True)
class _Around:
    """How to get at other resources."""

    resolve: Resolve | None
    referrers: Referrers | None
    named: Named | None


def matches_query(
    resource: JsonObject,
    query: SearchQuery,
    *,
    resolve: Resolve | None = None,
    referrers: Referrers | None = None,
    named: Named | None = None,
) -> bool:
    """Would the query find this resource? Its order, count and cursor play no part."""
    around = _Around(resolve, referrers, named)

    def holds(criteria: Iterable[Criterion]) -> bool:
        return all(_holds(resource, own, around) for own in criteria)

    if resource.get("resourceType") != query.type or not holds(query.criteria):
        return False
    return not query.any_of or any(holds(group) for group in query.any_of)


def matches(
    resource: JsonObject,
    criterion: Criterion,
    *,
    resolve: Resolve | None = None,
    referrers: Referrers | None = None,
    named: Named | None = None,
) -> bool:
    """Does the resource satisfy the criterion? KeyError when its type has no such parameter."""
    return _holds(resource, criterion, _Around(resolve, referrers, named))


def _holds(resource: JsonObject, criterion: Criterion, around: _Around) -> bool:
    match criterion:
        case Match():
            return _match(resource, criterion)
        case Not(inner):
            return not _match(resource, inner)
        case AnyOf(groups):
            return any(all(_holds(resource, own, around) for own in group) for group in groups)
    found = (
        _targets(resource, criterion, around)
        if isinstance(criterion, Chain)
        else _referring(resource, criterion, around.referrers)
    )
    return any(_holds(other, criterion.inner, around) for other in found)


def _targets(resource: JsonObject, chain: Chain, around: _Around) -> Iterator[JsonObject]:
    if around.resolve is None:
        raise NotSupported(f"a chain over {chain.name} cannot be judged on one resource alone")
    by_url = canonical_targets(str(resource["resourceType"]), chain.name)
    for row in extract_parameter(resource, chain.name).references:
        if row.type in chain.targets and row.id is not None:
            target = around.resolve(Ref(row.type, row.id))
            if target is not None:
                yield target
        elif around.named is not None and row.url is not None:
            for name in chain.targets:
                yield from around.named(name, row.url, row.version or "") if name in by_url else ()


def _referring(resource: JsonObject, has: Has, referrers: Referrers | None) -> Iterable[JsonObject]:
    if referrers is None:
        raise NotSupported(f"_has:{has.type} cannot be judged on one resource alone")
    type_name = str(resource["resourceType"])
    targets: list[Ref | str] = [Ref(type_name, str(resource.get("id", "")))]
    if type_name in canonical_targets(has.type, has.name):
        targets += canonicals(resource)
    return (other for target in targets for other in referrers(has.type, has.name, target))


def canonicals(resource: JsonObject) -> list[str]:
    """What refers to a resource by its canonical URL: without a version (`url|`), and with its own."""
    url, version = resource.get("url"), resource.get("version")
    if not isinstance(url, str):
        return []
    return [f"{url}|", f"{url}|{version}"] if isinstance(version, str) and version else [f"{url}|"]


def _match(resource: JsonObject, asked: Match) -> bool:
    if asked.kind == "special":
        return _special(resource, asked)
    if asked.name == CONTAINED:
        kinds = {inner.get("resourceType") for inner in resource.get("contained", ())}
        return any(isinstance(value, TokenValue) and value.code in kinds for value in asked.values)
    rows = _rows(extract_parameter(resource, asked.name, canonical=in_canonical_units), asked)
    if asked.modifier == "missing":
        return any(value == MissingValue(not rows) for value in asked.values)
    found = any(holds(row, value, asked.modifier) for row in rows for value in asked.values)
    return not found if asked.modifier == "not" else found


def _special(resource: JsonObject, asked: Match) -> bool:
    """What has no rows: words, and the place of a Location."""
    if asked.name in TEXTS:
        words = narrative_words(resource) if asked.name == "_text" else all_words(resource)
        texts = [value.text for value in asked.values if isinstance(value, StringValue)]
        return any(says(words, parse_words(asked.name, text)) for text in texts)
    point = position_of(resource)
    return point is not None and any(is_near(point, value) for value in asked.values if isinstance(value, NearValue))


def _rows(values: IndexRows, asked: Match) -> list[Any]:
    """The rows that the parameter with its modifier searches."""
    if asked.kind == "token" and asked.modifier == "text":
        return values.texts
    if asked.modifier in ("identifier", "of-type"):
        return [row for row in values.tokens if row.param == f"{asked.name}:{asked.modifier}"]
    rows: list[Any] = getattr(values, ROWS_OF[asked.kind])
    return [row for row in rows if row.param == asked.name]
