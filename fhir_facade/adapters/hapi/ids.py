"""What is asked about ids, taken together: HAPI forgets the ids that are wanted beside those that are not, and finds
nothing where one that is not wanted is not there. https://hl7.org/fhir/R4/search.html#all
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeGuard

from fhir_facade.adapters.hapi.alternatives import Group
from fhir_facade.adapters.hapi.query import id_text, opposite
from fhir_facade.values import Criterion, Match, Not, TokenValue

Known = Callable[[list[str]], Awaitable[set[str]]]
"""Those of the ids that are there."""


async def with_ids_together(group: Group, known: Known) -> Group:
    """The same criteria with one about ids, where some are not wanted."""
    plain = tuple([_plain(own) for own in group])
    refused = {id_ for own in plain if _is_by_id(own, "not") for id_ in _ids(own)}
    if not refused:
        return group
    choices = [set(_ids(own)) for own in plain if _is_by_id(own)]
    others = tuple([own for own in plain if not (_is_by_id(own) or _is_by_id(own, "not"))])
    if choices:
        return (*others, _by_ids(set.intersection(*choices) - refused))
    there = await known(sorted(refused))
    return (*others, _by_ids(there, "not")) if there else others


def but_for(group: Group, ids: set[str]) -> Group:
    """The same criteria, with these ids not wanted."""
    return (*group, _by_ids(ids, "not")) if ids else group


def _plain(criterion: Criterion) -> Criterion:
    """What is not one of some ids as a modifier says it."""
    denied = opposite(criterion.inner) if isinstance(criterion, Not) and criterion.inner.name == "_id" else None
    return criterion if denied is None else denied


def _is_by_id(criterion: Criterion, modifier: str | None = None) -> TypeGuard[Match]:
    return isinstance(criterion, Match) and (criterion.name, criterion.modifier) == ("_id", modifier)


def _ids(match: Match) -> Iterator[str]:
    return (id_text(value) for value in match.values if isinstance(value, TokenValue))


def _by_ids(ids: set[str], modifier: str | None = None) -> Match:
    return Match("_id", "token", tuple([TokenValue(None, id_) for id_ in sorted(ids)]), modifier)
