"""The health score of a patient over REST: the Observation, and the same in words.

https://doi.org/10.1161/CIR.0000000000001078
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from fastapi.responses import Response
from pydantic import BaseModel

from fhir_facade.api.dependencies import CallerDep, PortsDep
from fhir_facade.api.pages.texts import asked_language
from fhir_facade.api.v1.ids import PathId
from fhir_facade.fhir.document import decimal_dumps, decimal_loads
from fhir_facade.flows.score import compute_score, latest_score, summary_of

PATH: Final = "/api/v1/patients/{patient_id}/score"
REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    422: {"description": "No score is defined for this person; `reason` says why"}
}

router = APIRouter(tags=["score"])
AcceptLanguage = Annotated[str | None, Header(max_length=1024)]


class PartAnswer(BaseModel):
    """One of the eight; `points` is null when it is missing, and `absent` says why (a code of data-absent-reason)."""

    code: str
    name: str
    points: float | None
    absent: str | None
    notes: list[str]


class SummaryAnswer(BaseModel):
    """`value` is null when nothing is known; `category` (`high moderate low`) only when `status` is `final`. The words
    are in `language`: the one that Accept-Language asks for, else the patient's."""

    observation: str
    day: str
    status: str
    value: float | None
    category: str | None
    parts: list[PartAnswer]
    missing: list[str]
    explanation: str
    next_step: str | None
    disclaimer: str
    language: str


class ScoreAnswer(BaseModel):
    """The FHIR Observation, and what it says."""

    observation: dict[str, Any]
    summary: SummaryAnswer


@router.get(PATH, response_model=ScoreAnswer, responses=REFUSED)
async def latest(
    patient_id: PathId, ports: PortsDep, caller: CallerDep, accept_language: AcceptLanguage = None
) -> Response:
    """The newest score; when there is none yet it is computed."""
    stored = await latest_score(ports, caller.principal, patient_id, origin=caller.origin)
    if stored is None:
        stored = await compute_score(ports, caller.principal, patient_id, origin=caller.origin)
    return _answer(stored, accept_language)


@router.post(PATH, response_model=ScoreAnswer, responses=REFUSED)
async def compute(
    patient_id: PathId, ports: PortsDep, caller: CallerDep, accept_language: AcceptLanguage = None
) -> Response:
    """Compute today's score from the record as it is now. The same record gives the same score, written once."""
    return _answer(await compute_score(ports, caller.principal, patient_id, origin=caller.origin), accept_language)


def _answer(observation: bytes, accept_language: str | None) -> Response:
    """Digits leave as they are stored, so the framework's encoder stays out of it."""
    summary = summary_of(observation, asked_language(accept_language))
    content = {"observation": decimal_loads(observation), "summary": asdict(summary)}
    headers = {"Cache-Control": "no-store", "Content-Language": summary.language, "Vary": "Accept-Language"}
    return Response(decimal_dumps(content), media_type="application/json", headers=headers)
