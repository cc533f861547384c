"""What one page about one patient needs, gathered at once through the door: person, wearables, readings, score, alerts.

https://hl7.org/fhir/R4/patient.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from fhir_facade.fhir.document import decimal_loads
from fhir_facade.flows.admission import UNKNOWN, Origin
from fhir_facade.flows.alerts import Alert, list_alerts
from fhir_facade.flows.connections import ConnectionView, connections_of
from fhir_facade.flows.people import staff_names
from fhir_facade.flows.readings import Series, readings_of
from fhir_facade.flows.score import latest_score
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.rules.observations import zone_of
from fhir_facade.values import FhirRequest, Interaction, JsonObject, Principal


@dataclass(frozen=True, slots=True)
class Overview:
    """`zone` is the person's own, by the wearable or else as given; `first` and `last` are the days of the period.

    `alerts` are the open ones, `staff` the names behind their owners' references.
    """

    patient: JsonObject
    zone: str
    first: date
    last: date
    connections: Sequence[ConnectionView]
    readings: Sequence[Series]
    score: JsonObject | None
    alerts: Sequence[Alert]
    staff: Mapping[str, str]


async def overview(
    ports: Ports, principal: Principal, patient: str, *, zone: str, days: int, origin: Origin = UNKNOWN
) -> Overview:
    """The last `days` days of a patient. NotFound when the patient is absent or not the principal's to see."""
    request = FhirRequest(Interaction.READ, "Patient", patient, request_id=origin.request_id, address=origin.address)
    found = await dispatch(ports, principal, request)
    connections = await connections_of(ports, principal, patient)
    own = next((each.zone for each in connections if each.zone is not None), zone)
    last = ports.clock.now().astimezone(zone_of(own)).date()
    first = last - timedelta(days=days - 1)
    readings, score, open_alerts = await asyncio.gather(
        readings_of(ports, principal, patient, zone=zone_of(own), first=first, origin=origin),
        latest_score(ports, principal, patient, origin=origin),
        list_alerts(ports, principal, patient=patient, origin=origin),
    )
    return Overview(
        patient=decimal_loads(found.body),
        zone=own,
        first=first,
        last=last,
        connections=connections,
        readings=readings,
        score=None if score is None else decimal_loads(score),
        alerts=open_alerts.alerts,
        staff=await staff_names(ports, principal, [alert.owner for alert in open_alerts.alerts], origin),
    )
