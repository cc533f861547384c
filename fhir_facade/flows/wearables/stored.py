"""What the store already holds of one connection and data type: found through the door like everything else."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import msgspec

from fhir_facade.fhir.searchset import read_searchset
from fhir_facade.flows.wearables.acting import SYNC
from fhir_facade.flows.wearables.changes import key_of
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.rows.connections import Connection
from fhir_facade.values import FhirRequest, Interaction
from mappers.google_health import types
from mappers.observation import identity_key

PAGE: Final = 500
EARLIER: Final = timedelta(days=2)
"""A sleep is read by its end and may begin before the window; the search is by any overlap of its period."""


async def stored_observations(ports: Ports, connection: Connection, data_type: str, since: date) -> dict[str, bytes]:
    """JSON by identity key, of everything that touches `since` or later."""
    account = connection.account or ""
    prefix = identity_key(connection.patient, connection.vendor, account, data_type, "")
    params: tuple[tuple[str, str], ...] = (
        ("patient", connection.patient),
        ("code", _codes(data_type)),
        ("date", f"ge{(since - EARLIER).isoformat()}"),
        ("_count", str(PAGE)),
    )
    found: dict[str, bytes] = {}
    while params:
        response = await dispatch(ports, SYNC, FhirRequest(Interaction.SEARCH_TYPE, "Observation", params=params))
        page = read_searchset(response.body)
        for resource in page.resources:
            key = key_of(msgspec.json.decode(resource), connection.vendor)
            if key is not None and key.startswith(prefix):
                found[key] = resource
        params = page.following
    return found


def _codes(data_type: str) -> str:
    """The first code of each measure the data type becomes, as one token parameter."""
    return ",".join("|".join(measure.codes[0]) for measure in types()[data_type].measures)
