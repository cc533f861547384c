"""Search of contained resources: the containers are found by the type of what they contain, and looked into.

https://hl7.org/fhir/R4/search.html#contained
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from fhir_facade.access.check import Deny
from fhir_facade.access.compartment import type_rules
from fhir_facade.errors import BadRequest, Gone, TooLarge
from fhir_facade.fhir.document import decimal_dumps, decimal_loads, parse_stored
from fhir_facade.fhir.match import CONTAINED, matches_query
from fhir_facade.fhir.query import ParsedSearch
from fhir_facade.interactions.audit_resource import AUDIT_EVENT
from fhir_facade.interactions.call import Call, may_leave
from fhir_facade.interactions.within import within
from fhir_facade.values import AnyOf, Chain, Criterion, Has, Match, SearchQuery, StoredResource, TokenValue

AT_ONCE: Final = 8
MOST_CONTAINERS: Final = 5000
COUNT: Final = 1000


@dataclass(frozen=True, slots=True)
class Inside:
    """A match: the container, and in it the resource when that alone is asked for."""

    container: StoredResource
    id: str = ""
    body: bytes = b""

    @property
    def place(self) -> tuple[str, str, str]:
        return self.container.type, self.container.id, self.id

    def address(self, base_url: str) -> str:
        """Of a contained resource that of its container, and its own id."""
        return f"{base_url}/{self.container.ref}" + (f"#{self.id}" if self.body else "")


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where the matches go on: among the resources of the type, or behind a place among the contained ones."""

    store: str | None = None
    after: tuple[str, str, str] = ("", "", "")


def opened(cursor: str | None) -> _Cursor | None:
    """Gone for the link of another search."""
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(cursor, type=_Cursor)
    except msgspec.DecodeError as error:
        raise Gone("this page link belongs to another search: repeat the search") from error


def sealed(*, store: str | None = None, after: tuple[str, str, str] = ("", "", "")) -> str:
    return msgspec.json.encode(_Cursor(store, after)).decode()


def refuse_unclear(call: Call, parsed: ParsedSearch) -> None:
    """BadRequest for what has no meaning together with contained resources."""
    if call.request.compartment is not None:
        raise BadRequest("_contained: what is contained is in no compartment of its own; search its type")
    if parsed.includes or parsed.query.sort:
        raise BadRequest("_contained: contained resources have no order and no includes; leave _sort and _include out")
    if any(_is_hop(criterion) for criterion in parsed.query.criteria):
        raise BadRequest("_contained: chains and _has do not lead into contained resources; ask for their container")


def _is_hop(criterion: Criterion) -> bool:
    if isinstance(criterion, AnyOf):
        return any(_is_hop(each) for group in criterion.groups for each in group)
    return isinstance(criterion, Chain | Has)


async def contained(call: Call, parsed: ParsedSearch) -> list[Inside]:
    """All matches by their place, judged by whether their container may leave. TooLarge for too many containers."""
    kinds = [rule.type for rule in type_rules().values() if rule.type_class != "transient" and rule.type != AUDIT_EVENT]
    found: list[Inside] = []
    for start in range(0, len(kinds), AT_ONCE):
        for containers in await asyncio.gather(*(_containers(call, kind) for kind in kinds[start : start + AT_ONCE])):
            found += _matching(parsed, containers)
    return sorted(found, key=lambda inside: inside.place)


async def _containers(call: Call, kind: str) -> list[StoredResource]:
    """Resources of a kind, visible to the caller, that contain something of the type that is asked for."""
    rights = call.search_rights(kind)
    mark = Match(CONTAINED, "token", (TokenValue(None, call.type),))
    limited = await within(call, SearchQuery(kind, (mark,), count=COUNT))
    if isinstance(rights, Deny) or isinstance(limited, Deny):
        return []
    found: list[StoredResource] = []
    while True:
        page = await call.ports.store.search(limited)
        found += [stored for stored in page.entries if may_leave(rights.check, stored)]
        if page.cursor is None:
            return found
        if len(found) > MOST_CONTAINERS:
            raise TooLarge(
                f"more than {MOST_CONTAINERS:,} records contain a {call.type}: search for the records instead"
            )
        limited = replace(limited, cursor=page.cursor)


def _matching(parsed: ParsedSearch, containers: Iterable[StoredResource]) -> Iterator[Inside]:
    for container in containers:
        places = [place for place, inner in enumerate(_inside(container)) if matches_query(inner, parsed.query)]
        if places and parsed.contained_type == "container":
            yield Inside(container)
        elif places:
            bodies = decimal_loads(container.body)["contained"]
            yield from (
                Inside(container, bodies[place].get("id", ""), decimal_dumps(bodies[place])) for place in places
            )


def _inside(container: StoredResource) -> Sequence[Any]:
    inside: Sequence[Any] = parse_stored(container.body)["contained"]
    return inside
