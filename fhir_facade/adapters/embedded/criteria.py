"""A search criterion as a condition on one index table, with the semantics of https://hl7.org/fhir/R4/search.html."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fhir_facade.adapters.embedded.amounts import ENDS, amount, amounts, by_ends
from fhir_facade.adapters.embedded.canonicals import canonicals_of, named_by
from fhir_facade.adapters.embedded.catalogue import CANONICAL, TAILS, Catalogue
from fhir_facade.adapters.embedded.columns import OWN_COLUMNS, own_column
from fhir_facade.adapters.embedded.conditions import value_sql
from fhir_facade.adapters.embedded.fulltext import full_text
from fhir_facade.adapters.embedded.near import near
from fhir_facade.adapters.embedded.source import Condition, Either, Sql, Test
from fhir_facade.adapters.embedded.spans import date_condition
from fhir_facade.adapters.embedded.texts import says
from fhir_facade.errors import NotSupported
from fhir_facade.fhir.definitions.canonicals import canonical_targets
from fhir_facade.fhir.extract.canonical import canonical_quantity
from fhir_facade.fhir.words import TEXTS
from fhir_facade.values import (
    AnyOf,
    Chain,
    CompositeValue,
    Criterion,
    DateValue,
    Has,
    Match,
    MissingValue,
    Not,
    QuantityValue,
    SearchValue,
    TokenValue,
)

MANY = 10
MOST_HOPS = 8
"""Types a reference may lead to of which each is tried: to Any there are 146."""


def condition(catalogue: Catalogue, type: str, criterion: Criterion) -> Test:
    """Compile one criterion of a search of `type`. NotSupported names what this store cannot do."""
    match criterion:
        case Match():
            return _match(catalogue, type, criterion)
        case Chain():
            return _chain(catalogue, type, criterion)
        case Has():
            return _has(catalogue, type, criterion)
        case AnyOf(groups):
            return any_of(catalogue, type, groups)
        case Not(inner):
            found = _match(catalogue, type, inner)
            return replace(found, negated=not found.negated)


def any_of(catalogue: Catalogue, type: str, groups: tuple[tuple[Criterion, ...], ...]) -> Either:
    """Groups of criteria of which one has to hold."""
    return Either(tuple(tuple(condition(catalogue, type, own) for own in group) for group in groups))


def _match(catalogue: Catalogue, type: str, match: Match) -> Condition:
    if match.name in OWN_COLUMNS:
        return own_column(type, match)
    if match.kind == "special":
        return full_text(type, match) if match.name in TEXTS else near(catalogue, type, match)
    table = _TABLES.get(match.kind)
    if table is None:
        raise NotSupported(f"{type}?{match.name} is not searchable here")
    missing = next((v for v in match.values if isinstance(v, MissingValue)), None)
    if missing is not None:
        numbers = catalogue.searched(type, match.name)
        return Condition(table, f"param IN ({_marks(numbers)})", numbers, negated=missing.missing)
    if match.modifier in ("identifier", "of-type"):
        return _special_token(catalogue, type, match)
    if match.kind == "token" and match.modifier == "text":
        return says(type, match)
    if match.kind == "token" and match.modifier not in (None, "not"):
        raise NotSupported(f":{match.modifier} on {match.name} is not available on this store")
    if match.kind == "date":
        return date_condition(catalogue, type, match.name, [[v] for v in match.values if isinstance(v, DateValue)])
    if match.kind == "quantity":
        return _quantity(catalogue, type, match)
    (where, args), (check, check_args) = _any_value(catalogue, type, match)
    return Condition(table, where, args, match.modifier == "not", check=check, check_args=check_args)


def _quantity(catalogue: Catalogue, type: str, match: Match) -> Condition:
    """Those in UCUM units also search the rows in canonical units."""
    found: list[Sql] = []
    checks: list[Sql] = []
    for names, values in _rows_searched(match):
        if asked := [value for value in values if isinstance(value, QuantityValue)]:
            where, args = _joined(" OR ", [amount(catalogue, value) for value in asked])
            checks.append(_of(catalogue, type, names, TAILS, where, args))
            found += amounts(catalogue, {tail: _numbers(catalogue, type, names, (tail,)) for tail in ENDS}, asked)
    where, args = _joined(" OR ", checks)
    members = " UNION ALL ".join([sql for sql, _ in found])
    return Condition("idx_quantity", where, args, found=(members, tuple([arg for _, own in found for arg in own])))


def _any_value(catalogue: Catalogue, type: str, match: Match) -> tuple[Sql, Sql]:
    """The values are alternatives, as they are found and as one resource is checked for them."""
    found: list[Sql] = []
    checks: list[Sql] = []
    for params, values in _rows_searched(match):
        if values:
            where, args = _joined(" OR ", _alternatives(catalogue, type, match, values))
            found += [_of(catalogue, type, params, tails, sql, args) for tails, sql in _by_length(match, where)]
            checks.append(_of(catalogue, type, params, TAILS, where, args))
    return _joined(" OR ", found), _joined(" OR ", checks)


def _joined(word: str, parts: Sequence[Sql]) -> Sql:
    return word.join([f"({sql})" for sql, _ in parts]), tuple([arg for _, args in parts for arg in args])


def _of(
    catalogue: Catalogue, type: str, params: Sequence[str], tails: Sequence[str], where: str, args: tuple[Any, ...]
) -> Sql:
    numbers = _numbers(catalogue, type, params, tails)
    return f"param IN ({_marks(numbers)}) AND ({where})", (*numbers, *args)


def _numbers(catalogue: Catalogue, type: str, params: Sequence[str], tails: Sequence[str]) -> tuple[int, ...]:
    return tuple([number for name in params for number in catalogue.searched(type, name, tails)])


def _by_length(match: Match, where: str) -> tuple[tuple[Sequence[str], str], ...]:
    if match.kind != "number":
        return ((TAILS, where),)
    return tuple([((tail,), by_ends(where, tail)) for tail in ENDS])


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _alternatives(catalogue: Catalogue, type: str, match: Match, values: Sequence[SearchValue]) -> list[Sql]:
    """One condition per value; many codes of one system or references are one list, because SQLite's expressions are
    not deep."""
    if match.kind == "reference" and len(values) >= MANY:
        targets = [target for value in values for target in value_sql(catalogue, type, match, value)[1]]
        return [(f"target IN ({_marks(targets)})", tuple(targets))]
    if match.kind != "token" or len(values) < MANY:
        return [value_sql(catalogue, type, match, value) for value in values]
    codes: dict[str, list[str]] = {}
    others: list[SearchValue] = []
    for value in values:
        if isinstance(value, TokenValue) and value.system and value.code is not None:
            codes.setdefault(value.system, []).append(value.code)
        else:
            others.append(value)
    lists = [
        (f"system = ? AND code IN ({', '.join('?' * len(own))})", (catalogue.system(system), *own))
        for system, own in codes.items()
    ]
    return [*lists, *(value_sql(catalogue, type, match, value) for value in others)]


def _rows_searched(match: Match) -> tuple[tuple[tuple[str, ...], list[SearchValue]], ...]:
    canonical = [value for value in match.values if _is_canonical(value)]
    plain = [value for value in match.values if not _is_canonical(value)]
    return ((match.name,), plain), ((match.name, f"{match.name}{CANONICAL}"), canonical)


def _is_canonical(value: SearchValue) -> bool:
    match value:
        case QuantityValue():
            return canonical_quantity(value) is not None
        case CompositeValue(parts):
            return any(_is_canonical(part) for part in parts)
        case _:
            return False


_TABLES = {
    "token": "idx_token",
    "string": "idx_string",
    "date": "idx_date",
    "number": "idx_number",
    "quantity": "idx_quantity",
    "reference": "idx_reference",
    "uri": "idx_uri",
    "composite": "idx_composite",
}


def _special_token(catalogue: Catalogue, type: str, match: Match) -> Condition:
    """`:identifier` and `:of-type` have token rows of their own, named after parameter and modifier."""
    tokens = [v for v in match.values if isinstance(v, TokenValue)]
    if match.modifier == "of-type":
        tokens = [TokenValue(token.system, f"{token.type_code}|{token.code}") for token in tokens]
    return _match(catalogue, type, Match(f"{match.name}:{match.modifier}", "token", tuple(tokens)))


# --- chains ---------------------------------------------------------------------------------------------------


def _chain(catalogue: Catalogue, type: str, chain: Chain) -> Condition:
    """References whose target satisfies the inner criterion."""
    selects: list[str] = []
    args: list[Any] = [catalogue.param(type, chain.name)]
    hops: list[Sql] = []
    named = canonical_targets(type, chain.name)
    for target in chain.targets:
        inner = condition(catalogue, target, chain.inner)
        sql, values = _pks(inner)
        type_ = "type" if inner.negated else "+type"  # with the + it is not looked for among all of the type
        selects.append(f"SELECT type || '/' || id FROM fhir_resource WHERE {type_} = ? AND deleted = 0 AND {sql}")
        args += [target, *values]
        hops.append(_led_to(target, inner))
        if target in named:
            by_url, more = canonicals_of(catalogue, target, (sql, values))
            selects.append(by_url)
            args += more
    targets = f"target IN ({' UNION ALL '.join(selects)})"
    each = len(hops) <= MOST_HOPS and not set(named).intersection(chain.targets)
    hop, behind = _joined(" OR ", hops if each else [])
    # The + keeps SQLite from trying every target for one resource instead of looking at what it refers to.
    return Condition(
        "idx_reference", f"param = ? AND {targets}", tuple(args), check=f"param = ? AND +{targets}",
        hop=hop and f"param = ? AND ({hop})", hop_args=(args[0], *behind),
    )  # fmt: skip


def _led_to(type: str, inner: Test) -> Sql:
    """Whether a row of references leads to a resource of the type that satisfies the condition."""
    sql, args = inner.holds_for("t.pk", alone=True)
    test = f"""EXISTS (SELECT 1 FROM fhir_resource t WHERE t.type = ? AND t.id = substr(idx_reference.target, ?)
      AND t.deleted = 0 AND {sql})"""
    return f"target >= ? AND target < ? AND {test}", (f"{type}/", f"{type}0", type, len(type) + 2, *args)


def _has(catalogue: Catalogue, type: str, has: Has) -> Condition:
    """Resources that some `has.type` refers to and that satisfies the inner criterion."""
    inner = condition(catalogue, has.type, has.inner)
    sql, values = _pks(inner)
    start, by = len(type) + 2, catalogue.param(has.type, has.name)
    args = (type, start, by, f"{type}/", f"{type}0", *values)
    select = f"SELECT substr(target, ?) FROM idx_reference WHERE param = ? AND target >= ? AND target < ? AND {sql}"
    if type in canonical_targets(has.type, has.name):
        named, more = named_by(catalogue, type, has, (sql, values))
        return Condition("fhir_resource", f"type = ? AND (id IN ({select}) OR pk IN ({named}))", (*args, *more))
    test, behind = inner.holds_for("f.pk", alone=True)
    hop = f"EXISTS (SELECT 1 FROM idx_reference f WHERE f.target = type || '/' || id AND f.param = ? AND {test})"
    return Condition(
        "fhir_resource", f"type = ? AND id IN ({select})", args,
        hop=f"type = ? AND {hop}", hop_args=(type, by, *behind),
    )  # fmt: skip


def _pks(inner: Test) -> tuple[str, Sequence[Any]]:
    """An expression on `pk` of the surrounding select."""
    sql, args = inner.members()
    return (f"pk NOT IN ({sql})" if inner.negated else f"pk IN ({sql})"), args
