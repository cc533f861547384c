"""The patients of a practitioner: one function for picker, alerts, streams and every FHIR request."""

from __future__ import annotations

from dataclasses import replace

from fhir_facade.access.care import circle_of, circle_queries
from fhir_facade.fhir.document import parse_stored
from fhir_facade.ports import Ports
from fhir_facade.values import PatientId, Principal, SearchQuery, StoredResource

TOPIC = "circle"
REMEMBERED_S = 3.0
PAGE = 500

MADE_OF = frozenset({"Patient", "CareTeam"})
"""The types whose writes change circles."""


async def circle(ports: Ports, principal: Principal) -> frozenset[PatientId]:
    """Patients whose generalPractitioner or active CareTeam names this practitioner; nobody for other principals.

    Another process sees a change within REMEMBERED_S.
    """
    practitioner = principal.practitioner
    if principal.kind != "practitioner" or practitioner is None:
        return frozenset()

    async def make() -> frozenset[PatientId]:
        found: list[StoredResource] = []
        for query in circle_queries(practitioner, count=PAGE):
            found += await _all(ports, query)
        return circle_of([parse_stored(stored.body) for stored in found], practitioner, ports.clock.now())

    return await ports.memory.recall((TOPIC, practitioner), for_s=REMEMBERED_S, make=make)


async def _all(ports: Ports, query: SearchQuery) -> list[StoredResource]:
    found: list[StoredResource] = []
    cursor: str | None = None
    while True:
        page = await ports.store.search(replace(query, cursor=cursor))
        found += page.entries
        cursor = page.cursor
        if cursor is None:
            return found
