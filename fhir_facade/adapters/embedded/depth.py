"""A search behind so many references that SQLite cannot read it at once: taken hop by hop, from its end.

SQLite's parser has room for about three hops. https://www.sqlite.org/limits.html
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Final, TypeGuard

from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.adapters.embedded.criteria import condition
from fhir_facade.errors import TooLarge
from fhir_facade.fhir.definitions.occurrence import single_valued
from fhir_facade.values import AnyOf, Chain, Criterion, Has, Match, ReferenceValue, SearchQuery, TokenValue

Group = tuple[Criterion, ...]

MOST_IDS: Final = 25_000
"""What one hop may find: SQLite takes 32,766 values in a question."""
MOST_WAYS: Final = 300
"""Conditions of one statement: each type that a chain may lead to has its own, and so has each type behind that."""


def is_wide(query: SearchQuery) -> bool:
    """Whether the hops part into so many ways that one statement would be too long."""
    left = MOST_WAYS
    for criterion in (own for group in (query.criteria, *query.any_of) for own in group):
        if not isinstance(criterion, Match):
            left = _left(criterion, 1, left)
            if left < 0:
                return True
    return False


def _left(criterion: Criterion, times: int, left: int) -> int:
    """What is left of so many ways; it is not counted on when there is nothing left."""
    match criterion:
        case Chain(_, targets, inner):
            return _left(inner, times * len(targets), left)
        case Has(_, _, inner):
            return _left(inner, times * 2, left)
        case AnyOf(groups):
            for own in (own for group in groups for own in group):
                left = _left(own, times, left)
                if left < 0:
                    break
            return left
    return left - times


def hop_by_hop(
    connection: sqlite3.Connection, catalogue: Catalogue, query: SearchQuery, *, most: int = MOST_IDS
) -> SearchQuery:
    """The same query with one hop at most: what lies behind it is found first, and asked for by id. TooLarge when that
    is more than `most`; what the query excludes elsewhere is not counted, for that would tell of it."""
    reader = _Reader(connection, catalogue, most)
    groups = tuple(reader.group(query.type, group) for group in query.any_of)
    return replace(query, criteria=reader.group(query.type, query.criteria), any_of=groups)


@dataclass(frozen=True, slots=True)
class _Reader:
    connection: sqlite3.Connection
    catalogue: Catalogue
    most: int
    known: dict[tuple[str, tuple[int, ...]], tuple[Group, Group]] = field(default_factory=dict)
    """What lies behind a hop to a type, by the criteria there, which many ways lead to. They are kept beside, so that
    no others get their identities."""

    def group(self, type: str, criteria: Group) -> Group:
        """Criteria that hold together. Chains over a reference that occurs once speak of one record, so that whatever
        is said of it is looked for together: a limit that stands beside a chain too."""
        together: dict[tuple[str, str], list[Criterion]] = defaultdict(list)
        found: list[Criterion] = []
        for own in criteria:
            if isinstance(own, Chain) and len(own.targets) == 1 and single_valued(type, own.name):
                together[own.name, own.targets[0]].append(own.inner)
            else:
                found.append(self._one_hop(type, own, criteria))
        for (name, target), inner in together.items():
            found += [Chain(name, (target,), each) for each in self._behind(target, tuple(inner))]
        return tuple(found)

    def _one_hop(self, type: str, criterion: Criterion, beside: Group) -> Criterion:
        match criterion:
            case Chain(name, targets, inner):
                ways = tuple((Chain(name, (each,), *self._behind(each, (inner,))),) for each in targets)
                return ways[0][0] if len(ways) == 1 else AnyOf(ways)
            case Has():
                return replace(criterion, inner=self._referring(type, criterion, beside))
            case AnyOf(groups):
                return AnyOf(tuple(self.group(type, group) for group in groups))
        return criterion

    def _referring(self, type: str, has: Has, beside: Group) -> Criterion:
        """What refers to a record that is named by its id refers to that id."""
        if not _leads_on(has.inner):
            return has.inner
        ids = [value.code for own in beside if _names_ids(own) for value in own.values if isinstance(value, TokenValue)]
        named = Match(has.name, "reference", tuple(ReferenceValue(type, id_) for id_ in ids))
        return self._ids(has.type, (has.inner, named) if ids else (has.inner,))

    def _behind(self, type: str, inner: Group) -> Group:
        """As many criteria, or one of ids for all of them."""
        if not any(_leads_on(own) for own in inner):
            return inner
        key = (type, tuple(id(own) for own in inner))
        if key not in self.known:
            self.known[key] = inner, (self._ids(type, inner),)
        return self.known[key][1]

    def _ids(self, type: str, criteria: Group) -> Match:
        members = [condition(self.catalogue, type, own).members() for own in self.group(type, criteria)]
        inside = " AND ".join(f"pk IN ({own})" for own, _ in members)
        args = [arg for _, own in members for arg in own]
        statement = f"SELECT id FROM fhir_resource WHERE {inside} AND type = ? AND deleted = 0 LIMIT ?"
        found = self.connection.execute(statement, (*args, type, self.most + 1)).fetchall()
        if len(found) > self.most:
            raise TooLarge(f"this search leads through more than {self.most:,} records: ask in several searches")
        return Match("_id", "token", tuple(TokenValue(None, id_) for (id_,) in found))


def _names_ids(criterion: Criterion) -> TypeGuard[Match]:
    return isinstance(criterion, Match) and criterion.name == "_id" and criterion.modifier is None


def _leads_on(criterion: Criterion) -> bool:
    if isinstance(criterion, AnyOf):
        return any(_leads_on(own) for group in criterion.groups for own in group)
    return isinstance(criterion, Chain | Has)
