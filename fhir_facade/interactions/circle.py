"""The patients of a practitioner, a proxy or an institution: one function for picker, alerts, streams and every FHIR
request."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace
from typing import Final

from fhir_facade.access.care import Carer, carer_of, circle_of, circle_queries, organizations_of, role_queries
from fhir_facade.access.denial import denial_queries, denied
from fhir_facade.fhir.document import parse_stored
from fhir_facade.ports import Ports
from fhir_facade.rows.audit import EmergencyAccess
from fhir_facade.values import JsonObject, PatientId, Principal, SearchQuery

TOPIC: Final = "circle"
REMEMBERED_S: Final = 3.0
PAGE: Final = 500
NOBODY: Final[frozenset[PatientId]] = frozenset()

MADE_OF: Final = frozenset({"CareTeam", "Consent", "Patient", "PractitionerRole", "RelatedPerson"})
"""The types whose writes change circles."""


async def circle(ports: Ports, principal: Principal) -> frozenset[PatientId]:
    """The patients whom a practitioner (by name, team, role or emergency), a proxy or an institution reaches, without
    those whose Consent denies it; nobody for other principals.

    Another process sees a change within REMEMBERED_S.
    """
    carer = carer_of(principal)
    if carer is None:
        return NOBODY

    async def make() -> frozenset[PatientId]:
        return await _circle(ports, carer)

    return await ports.memory.recall((TOPIC, carer.itself), for_s=REMEMBERED_S, make=make)


async def _circle(ports: Ports, carer: Carer) -> frozenset[PatientId]:
    now, known = ports.clock.now(), await _known(ports, carer)
    reached = await _lasting(ports, known) | await _emergencies(ports, known)
    if not reached:
        return NOBODY
    return reached - denied(await _found(ports, denial_queries(reached, count=PAGE)), known, now)


async def _known(ports: Ports, carer: Carer) -> Carer:
    """The carer, with the institutions of the own roles."""
    roles = await _found(ports, role_queries(carer, count=PAGE))
    return replace(carer, organizations=organizations_of(roles, carer, ports.clock.now()))


async def _lasting(ports: Ports, known: Carer) -> frozenset[PatientId]:
    return circle_of(await _found(ports, circle_queries(known, count=PAGE)), known, ports.clock.now())


async def reached_in_emergency_only(ports: Ports, principal: Principal, patients: Set[str]) -> bool:
    """Whether one of the patients is reached for the time of an emergency, and by nothing that lasts."""
    carer = carer_of(principal)
    opened = NOBODY if carer is None else patients & await _emergencies(ports, carer)
    if carer is None or not opened:
        return False
    return not opened <= await _lasting(ports, await _known(ports, carer))


async def refuses(ports: Ports, principal: Principal, patient: PatientId) -> bool:
    """Whether the patient's Consent forbids this principal to see the record."""
    carer, now = carer_of(principal), ports.clock.now()
    if carer is None:
        return False
    known = await _known(ports, carer)
    return patient in denied(await _found(ports, denial_queries([patient], count=PAGE)), known, now)


async def _emergencies(ports: Ports, carer: Carer) -> frozenset[PatientId]:
    """Patients whose record a practitioner opened in an emergency that is not over."""
    if carer.type != "Practitioner":
        return NOBODY
    now = ports.clock.now()
    where = (("practitioner", "=", carer.id), ("ends_at", ">", now))
    rows = await ports.state.read(lambda tx: tx.find(EmergencyAccess, *where))
    return frozenset(PatientId(row.patient) for row in rows)


async def _found(ports: Ports, queries: Iterable[SearchQuery]) -> list[JsonObject]:
    found: list[JsonObject] = []
    for query in queries:
        cursor: str | None = None
        while True:
            page = await ports.store.search(replace(query, cursor=cursor))
            found += [parse_stored(stored.body) for stored in page.entries]
            cursor = page.cursor
            if cursor is None:
                break
    return found
