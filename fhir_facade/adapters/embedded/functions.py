"""Functions of ours that SQL calls, given to a connection only for the searches that need them: most do not.

https://www.sqlite.org/c3ref/create_function.html
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from fhir_facade.adapters.embedded.texts import says_so
from fhir_facade.fhir.positions import metres_between
from fhir_facade.values import AnyOf, Chain, Criterion, Has, Match, Not, SearchQuery


def enable(connection: sqlite3.Connection, query: SearchQuery) -> None:
    """Make the connection ready for everything that the query asks."""
    for _, match in typed_matches(query):
        if match.kind == "token" and match.modifier == "text":
            connection.create_function("fhir_says", 3, says_so, deterministic=True)
        elif match.name == "near":
            connection.create_function("fhir_metres", 4, _metres, deterministic=True)


def typed_matches(query: SearchQuery) -> Iterator[tuple[str, Match]]:
    """The plain questions at any depth, each with the type of which it is asked."""
    return _matches((*query.criteria, *(own for group in query.any_of for own in group)), query.type, set())


def _matches(criteria: Iterable[Criterion], type: str, seen: set[tuple[str, int]]) -> Iterator[tuple[str, Match]]:
    """Each once, by however many ways a chain leads there."""
    for own in criteria:
        if (type, id(own)) in seen:
            continue
        seen.add((type, id(own)))
        match own:
            case Match():
                yield type, own
            case Not(inner):
                yield type, inner
            case Chain():
                for target in own.targets:
                    yield from _matches((own.inner,), target, seen)
            case Has():
                yield from _matches((own.inner,), own.type, seen)
            case AnyOf(groups):
                yield from _matches((each for group in groups for each in group), type, seen)


def _metres(north: float, east: float, other_north: float, other_east: float) -> float:
    return metres_between((north, east), (other_north, other_east))
