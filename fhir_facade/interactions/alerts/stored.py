"""What the alert engine asks the store: current resources by id, and the recent readings of patients.

However many are asked for, the number of questions stays small. https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from fhir_facade.errors import Gone, NotFound
from fhir_facade.fhir.document import parse
from fhir_facade.fhir.query import parse_query
from fhir_facade.interactions.alerts.concerns import subject_of
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.connections import Connection
from fhir_facade.rules.alerts import Reading, Rule, reading, rules_for
from fhir_facade.values import JsonObject, Ref, SearchQuery, StoredResource
from terminology.canonical import LOINC

FEW: Final = 8
"""So many are read one by one; more are searched for."""

IDS: Final = 100
PATIENTS: Final = 50
PAGE: Final = 500
MOST: Final = 10_000
"""Readings that one evaluation looks back at, newest first; what is older than these takes no part."""


async def currents(ports: Ports, refs: Collection[Ref]) -> dict[Ref, StoredResource]:
    """Those of the resources that are there."""
    by_type: defaultdict[str, list[str]] = defaultdict(list)
    for ref in dict.fromkeys(refs):
        by_type[ref.type].append(ref.id)
    found = [await _of_type(ports, type_name, ids) for type_name, ids in by_type.items()]
    return {stored.ref: stored for some in found for stored in some}


async def _of_type(ports: Ports, type_name: str, ids: Sequence[str]) -> list[StoredResource]:
    if len(ids) == 1:
        alone = await _one(ports, Ref(type_name, ids[0]))
        return [] if alone is None else [alone]
    if len(ids) <= FEW:
        found = await asyncio.gather(*(_one(ports, Ref(type_name, id_)) for id_ in ids))
        return [stored for stored in found if stored is not None]
    chunks = [ids[start : start + IDS] for start in range(0, len(ids), IDS)]
    return [each for chunk in chunks for each in await _all(ports, type_name, (("_id", ",".join(chunk)),))]


async def _one(ports: Ports, ref: Ref) -> StoredResource | None:
    try:
        return await ports.store.read(ref)
    except (NotFound, Gone):
        return None


async def recent_readings(ports: Ports, rule: Rule, since: Mapping[str, datetime]) -> dict[str, list[Reading]]:
    """What the store holds for a rule, by patient; `since` says from when on, for each. Withdrawn ones are left out."""
    patients = list(since)
    chunks = [patients[start : start + PATIENTS] for start in range(0, len(patients), PATIENTS)]
    stored = [each for chunk in chunks for each in await _all(ports, "Observation", _asked(rule, chunk, since))]
    zones = await zones_of(ports, patients)
    found: defaultdict[str, list[Reading]] = defaultdict(list)
    for observation in (parse(each.body) for each in stored):
        patient = subject_of(observation)
        if patient is not None and patient in since and rule in rules_for(observation):
            found[patient] += _counting(rule, observation, zones.get(patient))
    return found


def _asked(rule: Rule, patients: Sequence[str], since: Mapping[str, datetime]) -> tuple[tuple[str, str], ...]:
    begin = min(since[patient] for patient in patients).astimezone(UTC)
    return (
        ("patient", ",".join(patients)),
        ("code", ",".join(f"{LOINC}|{code}" for code in rule.codes)),
        ("date", f"ge{begin.strftime('%Y-%m-%dT%H:%M:%SZ')}"),
        ("_sort", "-date"),
    )


def _counting(rule: Rule, observation: JsonObject, zone: str | None) -> Iterable[Reading]:
    found = reading(rule, observation, zone)
    return [found] if isinstance(found, Reading) and found.counts else []


async def _all(ports: Ports, type_name: str, params: tuple[tuple[str, str], ...]) -> list[StoredResource]:
    asked = (*params, ("_count", str(PAGE)))
    query: SearchQuery = parse_query(type_name, asked, now=ports.clock.now()).query
    found: list[StoredResource] = []
    while True:
        page = await ports.store.search(query)
        found += page.entries
        if page.cursor is None or len(found) >= MOST:
            return found
        query = replace(query, cursor=page.cursor)


async def zones_of(ports: Ports, patients: Collection[str]) -> dict[str, str]:
    """The IANA zone of each patient that has a known one: as a wearable says, else as the account says."""
    asked = tuple(dict.fromkeys(patients))
    if not asked:
        return {}

    def work(tx: StateTransaction) -> dict[str, str]:
        accounts = tx.find(Account, ("patient_id", "in", asked))
        wearables = tx.find(Connection, ("patient", "in", asked), ("zone", "!=", None), order=("last_sync_at",))
        known = {row.patient_id: row.zone for row in accounts} | {row.patient: row.zone for row in wearables}
        return {patient: zone for patient, zone in known.items() if patient and zone}

    return await ports.state.read(work)
