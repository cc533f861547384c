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
from fhir_facade.fhir.definitions.canonicals import canonical_targets
from fhir_facade.fhir.extract import IndexRows, QuantityRow, ReferenceRow, TokenRow, extract_parameter
from fhir_facade.fhir.extract.canonical import canonical_quantity, in_canonical_units
from fhir_facade.fhir.extract.dates import to_us
from fhir_facade.fhir.extract.text import normalise
from fhir_facade.fhir.positions import is_near, position_of
from fhir_facade.fhir.words import TEXTS, all_words, narrative_words, parse_words, says
from fhir_facade.values import (
    AnyOf,
    Chain,
    CompositeValue,
    Criterion,
    DateValue,
    Has,
    JsonObject,
    Match,
    MissingValue,
    NearValue,
    Not,
    NumberValue,
    QuantityValue,
    Ref,
    ReferenceValue,
    SearchQuery,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)

Resolve = Callable[[Ref], JsonObject | None]
Referrers = Callable[[str, str, Ref | str], Iterable[JsonObject]]
Named = Callable[[str, str, str], Iterable[JsonObject]]

CONTAINED: Final = "_contained"
"""A criterion that only the server asks: a resource of this type is contained."""

# Absorbs what binary floats cannot hold, far below any digit a client can mean.
RELATIVE_SLACK: Final = 1e-12
_ROWS_OF: Final = {
    "token": "tokens",
    "string": "strings",
    "date": "dates",
    "number": "numbers",
    "quantity": "quantities",
    "reference": "references",
    "uri": "uris",
    "composite": "composites",
}


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
    rows: list[Any] = getattr(values, _ROWS_OF[asked.kind])
    return [row for row in rows if row.param == asked.name]


def holds(row: Any, value: SearchValue, modifier: str | None = None) -> bool:
    """One row against one value of the same kind."""
    return _TESTS[type(value)](row, value, modifier or "")


def _never(row: Any, value: MissingValue | NearValue, modifier: str) -> bool:
    raise NotSupported(":missing and near are questions about all rows, not about one")


def _composite(row: Any, value: CompositeValue, modifier: str) -> bool:
    return all(holds(part, own) for part, own in zip(row.parts, value.parts, strict=True))


def _token(row: TokenRow, value: TokenValue) -> bool:
    code = value.code if value.type_code is None else f"{value.type_code}|{value.code}"
    if value.system is not None and (row.system or "") != value.system:
        return False
    return code is None or row.code == code


_STRING_TESTS: Final[dict[str, Callable[[Any, str], bool]]] = {
    "": lambda row, text: row.text.startswith(normalise(text)),
    "text": lambda row, text: row.text.startswith(normalise(text)),
    "contains": lambda row, text: normalise(text) in row.text,
    "exact": lambda row, text: row.exact == text,
    "ends": lambda row, text: row.text.endswith(normalise(text)),
    "equal": lambda row, text: row.text == normalise(text),
}
_URI_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "": lambda stored, asked: stored == asked,
    "below": lambda stored, asked: stored.startswith(asked),
    "above": lambda stored, asked: asked.startswith(stored),
}


def _reference(row: ReferenceRow, value: ReferenceValue) -> bool:
    if value.url is None:
        return row.id == value.id and value.type in (None, row.type)
    url, bar, version = value.url.partition("|")
    return row.url == value.url or (row.url == url and (not bar or row.version == version))


def _equal_date(low: int, high: int, asked_low: int, asked_high: int) -> bool:
    return asked_low <= low and high <= asked_high


_DATE_TESTS: Final[dict[str, Callable[[int, int, int, int], bool]]] = {
    "eq": _equal_date,
    "ne": lambda low, high, asked_low, asked_high: not _equal_date(low, high, asked_low, asked_high),
    "gt": lambda low, high, asked_low, asked_high: high > asked_high,
    "lt": lambda low, high, asked_low, asked_high: low < asked_low,
    "ge": lambda low, high, asked_low, asked_high: high > asked_high or _equal_date(low, high, asked_low, asked_high),
    "le": lambda low, high, asked_low, asked_high: low < asked_low or _equal_date(low, high, asked_low, asked_high),
    "sa": lambda low, high, asked_low, asked_high: low >= asked_high,
    "eb": lambda low, high, asked_low, asked_high: high <= asked_low,
    "ap": lambda low, high, asked_low, asked_high: low < asked_high and high > asked_low,
}


def _quantity(row: QuantityRow, value: QuantityValue) -> bool:
    """In canonical units where both have them, else by the unit as written."""
    canonical = canonical_quantity(value)
    if canonical is None or row.canonical_low is None or row.canonical_high is None:
        return _unit(row.system, row.code, row.unit, value) and _number(row.low, row.high, value)
    return row.canonical_code == canonical.code and _number(row.canonical_low, row.canonical_high, canonical)


def _unit(system: str | None, code: str | None, unit: str | None, value: QuantityValue) -> bool:
    if value.system is not None and system != value.system:
        return False
    if value.code is None:
        return True
    return code == value.code or (value.system is None and unit == value.code)


def _number(low: float, high: float, value: NumberValue | QuantityValue) -> bool:
    """Comparisons use the number itself, equality the interval that its digits imply."""
    number = float(value.number)
    slack = abs(number) * RELATIVE_SLACK
    return _NUMBER_TESTS[value.prefix](low, high, number, slack, float(value.low), float(value.high))


def _equal_number(low: float, high: float, number: float, slack: float, asked_low: float, asked_high: float) -> bool:
    return asked_low - slack <= low and high < asked_high - slack


_NUMBER_TESTS: Final[dict[str, Callable[[float, float, float, float, float, float], bool]]] = {
    "eq": _equal_number,
    "ne": lambda *all_of_it: not _equal_number(*all_of_it),
    "gt": lambda low, high, number, slack, *_: high > number + slack,
    "ge": lambda low, high, number, slack, *_: high >= number - slack,
    "lt": lambda low, high, number, slack, *_: low < number - slack,
    "le": lambda low, high, number, slack, *_: low <= number + slack,
    "sa": lambda low, high, number, slack, *_: low > number + slack,
    "eb": lambda low, high, number, slack, *_: high < number - slack,
    "ap": lambda low, high, number, slack, asked_low, asked_high: (
        low <= asked_high + slack and high >= asked_low - slack
    ),
}

_TESTS: Final[dict[type[SearchValue], Callable[[Any, Any, str], bool]]] = {
    TokenValue: lambda row, value, _: _token(row, value),
    StringValue: lambda row, value, modifier: _STRING_TESTS[modifier](row, value.text),
    UriValue: lambda row, value, modifier: _URI_TESTS[modifier](row.uri, value.uri),
    ReferenceValue: lambda row, value, _: _reference(row, value),
    DateValue: lambda row, value, _: _DATE_TESTS[value.prefix](row.low, row.high, to_us(value.low), to_us(value.high)),
    NumberValue: lambda row, value, _: _number(row.low, row.high, value),
    QuantityValue: lambda row, value, _: _quantity(row, value),
    CompositeValue: _composite,
    MissingValue: _never,
    NearValue: _never,
}
