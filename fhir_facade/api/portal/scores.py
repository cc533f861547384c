"""Computing the score again when somebody asks for it."""

from __future__ import annotations

from starlette.responses import Response

from fhir_facade.api.oauth.browser import Form
from fhir_facade.api.portal.visit import Visit
from fhir_facade.errors import NotScorable
from fhir_facade.flows.score import compute_score


async def compute(visit: Visit, form: Form) -> Response:
    """POST /patients/{id}/score, and back to the page it stands on."""
    patient = visit.part("patient")
    own = patient == visit.principal.patient
    back = "/" if own else f"/patients/{patient}"
    try:
        await compute_score(visit.ports, visit.principal, patient, origin=visit.origin)
    except NotScorable as error:
        return visit.go(back, error.reason)
    return visit.go(back, "score")
