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
    for match in matches_in((*query.criteria, *(own for group in query.any_of for own in group))):
        if match.kind == "token" and match.modifier == "text":
            connection.create_function("fhir_says", 3, says_so, deterministic=True)
        elif match.name == "near":
            connection.create_function("fhir_metres", 4, _metres, deterministic=True)


def matches_in(criteria: Iterable[Criterion]) -> Iterator[Match]:
    """The plain questions at any depth."""
    for own in criteria:
        match own:
            case Match():
                yield own
            case Chain() | Has() | Not():
                yield from matches_in((own.inner,))
            case AnyOf(groups):
                yield from matches_in(each for group in groups for each in group)


def _metres(north: float, east: float, other_north: float, other_east: float) -> float:
    return metres_between((north, east), (other_north, other_east))
