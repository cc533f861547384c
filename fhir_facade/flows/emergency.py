"""Emergency access ("break the glass"): a practitioner opens the record of a patient out of care, for a while, with a
reason; the patient is told, and the audit says so.

45 CFR 164.312(a)(2)(ii), https://hl7.org/fhir/R4/v3/PurposeOfUse/vs.html (BTG)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from fhir_facade.errors import BadRequest, FacadeError, Forbidden, NotFound
from fhir_facade.fhir.document import decimal_dumps, instant
from fhir_facade.fhir.media_types import FHIR_JSON
from fhir_facade.flows.admission import UNKNOWN, Origin, absent
from fhir_facade.flows.mail import notices
from fhir_facade.interactions.audit import audit_line, record_lines
from fhir_facade.interactions.circle import TOPIC, refuses
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.rows import Append
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine, EmergencyAccess
from fhir_facade.values import FhirRequest, Interaction, PatientId, Principal

LASTS: Final = timedelta(hours=4)
REMEMBERED: Final = timedelta(days=30)
"""How long the patient is reminded of it on the own page; the access log keeps it."""
SHORTEST_REASON: Final = 10
LONGEST_REASON: Final = 500
ENGINE: Final = Principal("engine", name="emergency")
_CATEGORY: Final = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "notification"}]
}


@dataclass(frozen=True, slots=True)
class Opened:
    """The record is open to the practitioner until `ends_at`; `notice` is the Communication to the patient."""

    patient: str
    ends_at: datetime
    notice: str


async def open_in_emergency(
    ports: Ports, principal: Principal, patient: str, reason: str, *, origin: Origin = UNKNOWN
) -> Opened:
    """From now on the patient is in the practitioner's care, for `LASTS`. Scopes limit what can be done as ever.

    Forbidden: not a practitioner signed in, an app that asks, or the patient's Consent denies it; NotFound; BadRequest
    for a poor reason.
    """
    try:
        return await _open(ports, principal, patient, reason.strip(), origin)
    except FacadeError as error:
        if not error.recorded:
            outcome = "refused" if isinstance(error, Forbidden | NotFound) else "failed"
            await record_lines(
                ports, [_line(ports, principal, patient, f"{error.status} {error.code}", origin, outcome)]
            )
            error.recorded = True
        raise


async def recent_emergencies(ports: Ports, patient: PatientId) -> Sequence[EmergencyAccess]:
    """Those of the last `REMEMBERED`, the newest first."""
    since = ports.clock.now() - REMEMBERED
    where = (("patient", "=", patient), ("ends_at", ">", since))
    return await ports.state.read(lambda tx: tx.find(EmergencyAccess, *where, order=("-ends_at",)))


async def _open(ports: Ports, principal: Principal, patient: str, reason: str, origin: Origin) -> Opened:
    if principal.kind != "practitioner" or principal.practitioner is None or principal.user is None:
        raise Forbidden("Emergency access is for practitioners who are signed in.")
    if principal.client is not None:
        raise Forbidden("Apps open no record in an emergency: sign in on our own pages.")
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise BadRequest(f"Say why, in {SHORTEST_REASON} to {LONGEST_REASON} characters: the patient will read it.")
    await _refuse_absent(ports, patient, origin)
    if await refuses(ports, principal, PatientId(patient)):
        raise Forbidden("The patient has forbidden you to see the record; that holds in an emergency too.")
    now = ports.clock.now()
    row = EmergencyAccess(
        id=ports.ids.new(),
        practitioner=principal.practitioner,
        patient=patient,
        reason=reason,
        begun_at=now,
        ends_at=now + LASTS,
        user=principal.user,
    )
    line = _line(ports, principal, patient, reason, origin, "success")
    notice = _request(Interaction.CREATE, "Communication", None, origin, decimal_dumps(_notice(row)))
    mails = await _mails(ports, patient)
    told = await dispatch(ports, ENGINE, notice, rows=[Append(row), Append(line), *mails])
    ports.memory.forget(TOPIC)
    return Opened(patient, row.ends_at, str(told.location))


async def _mails(ports: Ports, patient: str) -> Sequence[Append]:
    """The patient is told outside the portal too."""
    accounts = await ports.state.read(lambda tx: tx.find(Account, ("patient_id", "=", patient)))
    return [each for account in accounts for each in notices(ports, account, "emergency")]


async def _refuse_absent(ports: Ports, patient: str, origin: Origin) -> None:
    try:
        await dispatch(ports, ENGINE, _request(Interaction.READ, "Patient", patient, origin))
    except FacadeError as error:
        raise absent(patient) from error


def _request(asked: Interaction, type_: str, id_: str | None, origin: Origin, body: bytes = b"") -> FhirRequest:
    return FhirRequest(
        asked,
        type_,
        id_,
        body=body,
        content_type=FHIR_JSON,
        request_id=origin.request_id,
        address=origin.address,
    )


def _line(ports: Ports, principal: Principal, patient: str, detail: str, origin: Origin, outcome: str) -> AuditLine:
    """The reason is the practitioner's statement about the access, and the patient's to read."""
    request = FhirRequest(
        Interaction.OPERATION,
        "Patient",
        patient,
        operation="emergency",
        request_id=origin.request_id,
        address=origin.address,
    )
    return audit_line(ports, principal, request, outcome=outcome, patient=patient, detail=detail)


def _notice(row: EmergencyAccess) -> dict[str, Any]:
    """What the patient is told."""
    doctor = {"reference": f"Practitioner/{row.practitioner}"}
    return {
        "resourceType": "Communication",
        "status": "completed",
        "category": [_CATEGORY],
        "priority": "urgent",
        "subject": {"reference": f"Patient/{row.patient}"},
        "recipient": [{"reference": f"Patient/{row.patient}"}],
        "sender": doctor,
        "sent": instant(row.begun_at),
        "payload": [
            {"contentString": f"Your record was opened in an emergency until {instant(row.ends_at)}: {row.reason}"}
        ],
    }
