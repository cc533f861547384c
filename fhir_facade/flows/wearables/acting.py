"""For which patient somebody acts on connections: whoever may write a patient's Observations may connect a wearable.

Foreign and absent connections answer alike. docs/decisions/011-who-may-do-what.md
"""

from __future__ import annotations

from typing import Final

from fhir_facade.errors import BadRequest, FacadeError, NotFound
from fhir_facade.flows.admission import refusal
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.rows.connections import Connection
from fhir_facade.values import FhirRequest, Interaction, Principal

SYNC: Final = Principal(kind="engine", name="sync")
"""Who writes what a wearable measured."""


async def acting_patient(
    ports: Ports, principal: Principal, patient: str | None, asked: Interaction = Interaction.CREATE
) -> str:
    """The patient somebody may connect a wearable for (or, with READ, see the connections of): the given one, or the
    one in context. NotFound, Forbidden."""
    wanted = patient or principal.patient
    if wanted is None:
        raise BadRequest('Say which patient: pass "patient" with the id, or use a token with a patient in context.')
    refused = await _refusal(ports, principal, wanted, asked)
    if refused is not None:
        raise refused
    await dispatch(ports, SYNC, FhirRequest(Interaction.READ, "Patient", wanted))
    return wanted


async def reachable(ports: Ports, principal: Principal, connection_id: str, asked: Interaction) -> Connection:
    """The connection, if the principal may do `asked` to Observations of its patient. NotFound, Forbidden."""
    connection = await ports.state.read(lambda tx: tx.get(Connection, connection_id))
    if connection is None:
        raise _absent(connection_id)
    refused = await _refusal(ports, principal, connection.patient, asked)
    if isinstance(refused, NotFound):
        raise _absent(connection_id)
    if refused is not None:
        raise refused
    return connection


async def may_see(ports: Ports, principal: Principal, patient: str) -> bool:
    return await _refusal(ports, principal, patient, Interaction.READ) is None


def _absent(connection_id: str) -> NotFound:
    return NotFound(f"There is no connection {connection_id}.")


async def _refusal(ports: Ports, principal: Principal, patient: str, asked: Interaction) -> FacadeError | None:
    probe = {"resourceType": "Observation", "subject": {"reference": f"Patient/{patient}"}}
    return await refusal(ports, principal, asked, probe, patient)
