"""Opening a record in an emergency, and telling the patient on the own page that it happened.

https://hl7.org/fhir/R4/v3/PurposeOfUse/vs.html (BTG)
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from fhir_facade.api.oauth.browser import Form
from fhir_facade.api.portal.visit import Visit
from fhir_facade.errors import BadRequest, Forbidden, NotFound
from fhir_facade.flows.emergency import LONGEST_REASON, SHORTEST_REASON, open_in_emergency, recent_emergencies
from fhir_facade.flows.people import staff_names
from fhir_facade.values import PatientId

PATH = "/emergency"
PROBLEMS = {BadRequest: "reason", NotFound: "nobody", Forbidden: "denied"}
"""Why it was not opened: each is a sentence `emergency.*` of the catalogue."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An emergency as its patient is told it."""

    who: str
    when: str
    reason: str


async def look(visit: Visit) -> Response:
    """GET /emergency: for practitioners."""
    _refuse_others(visit)
    return _page(visit)


async def open_record(visit: Visit, form: Form) -> Response:
    """POST /emergency, then the record."""
    _refuse_others(visit)
    patient, reason = form.fields.get("patient", "").strip(), form.fields.get("reason", "")
    try:
        opened = await open_in_emergency(visit.ports, visit.principal, patient, reason, origin=visit.origin)
    except (BadRequest, NotFound, Forbidden) as error:
        problem = next(name for kind, name in PROBLEMS.items() if isinstance(error, kind))
        return _page(visit, problem=problem, status=error.status, patient=patient, reason=reason)
    return visit.go(f"/patients/{opened.patient}")


def _refuse_others(visit: Visit) -> None:
    if visit.principal.kind != "practitioner":
        raise Forbidden("Emergency access is for practitioners who are signed in.")


def _page(visit: Visit, *, problem: str = "", status: int = 200, patient: str = "", reason: str = "") -> Response:
    return visit.show(
        "portal/emergency.html",
        status=status,
        problem=visit.t(f"emergency.{problem}", least=SHORTEST_REASON) if problem else "",
        patient=patient,
        reason=reason,
        least=SHORTEST_REASON,
        most=LONGEST_REASON,
    )


async def notices(visit: Visit, patient: PatientId) -> list[Notice]:
    """What the patient has to know: emergencies of the last month, the newest first."""
    rows = await recent_emergencies(visit.ports, patient)
    references = [f"Practitioner/{row.practitioner}" for row in rows]
    names = await staff_names(visit.ports, visit.principal, references, visit.origin)
    words = visit.words()
    unknown = visit.t("log.staff")
    return [
        Notice(names.get(reference, unknown), words.moment(row.begun_at), row.reason)
        for reference, row in zip(references, rows, strict=True)
    ]
