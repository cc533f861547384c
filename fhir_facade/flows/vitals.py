"""Readings a person types in: all of one entry are stored together, or none.

https://hl7.org/fhir/R4/observation-vitalsigns.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fhir_facade.errors import InvalidResource
from fhir_facade.fhir.document import decimal_dumps
from fhir_facade.flows.admission import UNKNOWN, Origin, admit
from fhir_facade.flows.score import ENGINE
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.values import FhirRequest, Interaction, Preference, Principal
from mappers.vitals import VitalsContext, VitalsError, to_observations


async def record_vitals(
    ports: Ports, principal: Principal, patient_id: str, entry: Mapping[str, Any], *, origin: Origin = UNKNOWN
) -> list[str]:
    """Store the readings of `entry` (members as in `mappers.vitals`); `Observation/id` of each, in their order.

    NotFound: absent or not the caller's. Forbidden. InvalidResource names the member that is wrong.
    """
    observations = _observations(ports, principal, patient_id, entry)
    for observation in observations:
        await admit(ports, principal, Interaction.CREATE, observation, patient=patient_id, origin=origin)
    await dispatch(ports, ENGINE, FhirRequest(Interaction.READ, "Patient", patient_id))
    response = await dispatch(ports, principal, _transaction(observations, origin))
    return [_reference(entry.response.location) for entry in _ANSWER.decode(response.body).entry]


def _observations(
    ports: Ports, principal: Principal, patient_id: str, entry: Mapping[str, Any]
) -> list[dict[str, Any]]:
    performer = f"Practitioner/{principal.practitioner}" if principal.practitioner else None
    try:
        return to_observations(entry, VitalsContext(patient_id, ports.clock.now(), performer))
    except VitalsError as error:
        raise InvalidResource(str(error), expression=error.member) from error


def _transaction(observations: list[dict[str, Any]], origin: Origin) -> FhirRequest:
    entries = [{"resource": each, "request": {"method": "POST", "url": "Observation"}} for each in observations]
    return FhirRequest(
        Interaction.TRANSACTION,
        body=decimal_dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}),
        prefer=Preference(returns="minimal"),
        request_id=origin.request_id,
        address=origin.address,
    )


class _Response(msgspec.Struct):
    location: str


class _Entry(msgspec.Struct):
    response: _Response


class _Answer(msgspec.Struct):
    entry: list[_Entry]


_ANSWER = msgspec.json.Decoder(_Answer)


def _reference(location: str) -> str:
    """`Observation/id` of a location with or without base and version."""
    parts = location.partition("/_history/")[0].split("/")
    return "/".join(parts[-2:])
