"""A search behind so many references that SQLite cannot read it at once: taken hop by hop, from its end.

SQLite's parser has room for about three hops. https://www.sqlite.org/limits.html
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import Final

from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.adapters.embedded.criteria import condition
from fhir_facade.errors import TooLarge
from fhir_facade.values import AnyOf, Chain, Criterion, Has, Match, SearchQuery, TokenValue

MOST_IDS: Final = 25_000
"""What one hop may find: SQLite takes 32,766 values in a question."""


def hop_by_hop(connection: sqlite3.Connection, catalogue: Catalogue, query: SearchQuery) -> SearchQuery:
    """The same query with one hop at most: what lies behind it is found first, and asked for by id."""
    reader = _Reader(connection, catalogue)
    criteria = tuple(reader.one_hop(query.type, own) for own in query.criteria)
    return replace(query, criteria=criteria, any_of=reader.groups(query.type, query.any_of))


@dataclass(frozen=True, slots=True)
class _Reader:
    connection: sqlite3.Connection
    catalogue: Catalogue

    def one_hop(self, type: str, criterion: Criterion) -> Criterion:
        match criterion:
            case Chain(name, targets, inner):
                ways = tuple((Chain(name, (target,), self._behind(target, inner)),) for target in targets)
                return ways[0][0] if len(ways) == 1 else AnyOf(ways)
            case Has(source, name, inner):
                return Has(source, name, self._behind(source, inner))
            case AnyOf(groups):
                return AnyOf(self.groups(type, groups))
        return criterion

    def groups(self, type: str, groups: tuple[tuple[Criterion, ...], ...]) -> tuple[tuple[Criterion, ...], ...]:
        return tuple(tuple(self.one_hop(type, own) for own in group) for group in groups)

    def _behind(self, type: str, inner: Criterion) -> Criterion:
        if not _leads_on(inner):
            return inner
        members, args = condition(self.catalogue, type, self.one_hop(type, inner)).members()
        statement = f"SELECT id FROM fhir_resource WHERE pk IN ({members}) AND type = ? AND deleted = 0 LIMIT ?"
        found = self.connection.execute(statement, (*args, type, MOST_IDS + 1)).fetchall()
        if len(found) > MOST_IDS:
            raise TooLarge(f"this search leads through more than {MOST_IDS:,} records: ask in several searches")
        return Match("_id", "token", tuple(TokenValue(None, id_) for (id_,) in found))


def _leads_on(criterion: Criterion) -> bool:
    if isinstance(criterion, AnyOf):
        return any(_leads_on(own) for group in criterion.groups for own in group)
    return isinstance(criterion, Chain | Has)
