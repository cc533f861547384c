"""Which types hold something that refers to a resource, and so forbid its deletion.

https://hl7.org/fhir/R4/resource-operation-validate.html, https://hl7.org/fhir/R4/http.html#delete
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from fhir_facade.fhir.definitions import reference_targets, resource_types, search_parameters
from fhir_facade.ports import FhirStore
from fhir_facade.values import AnyOf, Match, Ref, ReferenceValue, SearchQuery, Ways

AT_ONCE: Final = 40
"""Parameters that a store is asked about together."""


async def referrer(store: FhirStore, ref: Ref) -> str | None:
    """A type of which a live resource, other than itself, refers to this one; None when nothing does."""
    for ways in _ways(ref.type):
        told = await store.referring([ref], ways)
        for kind in sorted(told):
            page = await store.search(_pointing(kind, told[kind], ref))
            if any(found.ref != ref for found in page.entries):
                return kind
    return None


def _pointing(kind: str, params: Sequence[str], ref: Ref) -> SearchQuery:
    value = ReferenceValue(ref.type, ref.id)
    return SearchQuery(kind, (AnyOf(tuple((Match(param, "reference", (value,)),) for param in params)),), count=2)


@cache
def _ways(type: str) -> tuple[Ways, ...]:
    return tuple(_cut(type))


def _cut(type: str) -> Iterator[Ways]:
    ways: dict[str, list[str]] = defaultdict(list)
    for kind in resource_types():
        pointing = [code for code in search_parameters(kind) if type in reference_targets(kind, code)]
        if ways and sum(map(len, ways.values())) + len(pointing) > AT_ONCE:
            yield ways
            ways = defaultdict(list)
        if pointing:
            ways[kind] = pointing
    if ways:
        yield ways
