"""The health score of a person: computed from the record by its engine, stored as one Observation per day.

https://doi.org/10.1161/CIR.0000000000001078, https://hl7.org/fhir/R4/observation.html
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import msgspec

from fhir_facade.errors import Conflict, FacadeError, Forbidden, NotFound, NotScorable
from fhir_facade.fhir.document import decimal_dumps, decimal_loads, equal_values
from fhir_facade.fhir.searchset import read_searchset
from fhir_facade.flows.admission import UNKNOWN, Origin, admit
from fhir_facade.flows.wearables.records import transaction
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.connections import Connection
from fhir_facade.rows.events import Event
from fhir_facade.rules.observations import FINAL
from fhir_facade.rules.score import compute
from fhir_facade.rules.score.composite import Refused, own_day
from fhir_facade.rules.score.inputs import NEEDED, Need
from fhir_facade.rules.score.resource import engine_device
from fhir_facade.rules.score.tables import sentences, written_in
from fhir_facade.rules.score.telling import told
from fhir_facade.values import FhirRequest, Interaction, Principal
from terminology.canonical import HEALTH_SCORE, OBSERVATION_CATEGORY

ENGINE: Final = Principal(kind="engine", name="score")
CODE: Final = (HEALTH_SCORE, "le8-composite")
COUNTED: Final = ",".join(sorted(FINAL))
"""What was withdrawn would push what stands out of a search that ends."""
ATTEMPTS: Final = 3
NO_SCORE: Final = "There is no score for this person; the reason is told to who may read the Patient."
_LOG = logging.getLogger(__name__)

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One of the eight: `points` is None when it is missing, and `absent` then says why, as a code of
    data-absent-reason. `notes` are codes of score-note, e.g. `estimated`."""

    code: str
    name: str
    points: float | None
    absent: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """A score as a person reads it. `value` is None when nothing is known, `category` unless the score is final.
    `language` is that of the names and sentences."""

    observation: str
    day: str
    status: str
    value: float | None
    category: str | None
    parts: tuple[Part, ...]
    missing: tuple[str, ...]
    explanation: str
    next_step: str | None
    disclaimer: str
    language: str


async def compute_score(ports: Ports, principal: Principal, patient_id: str, *, origin: Origin = UNKNOWN) -> bytes:
    """Compute and store the score of the person's own today; the Observation as the caller reads it.

    The same record, day and algorithm version give the same Observation under the same id: a repeat writes nothing.
    NotFound: absent or not the caller's. Forbidden. NotScorable, with the reason for whoever may read the Patient.
    """
    await admit(ports, principal, Interaction.READ, _probe(patient_id), patient=patient_id, origin=origin)
    async with ports.locks.hold(_lock_of(patient_id)):
        try:
            score = await _computed(ports, patient_id)
        except NotScorable as error:
            await _look_why(ports, principal, patient_id, origin)
            raise error from None
        await _store(ports, score)
    request = FhirRequest(
        Interaction.READ, "Observation", score["id"], request_id=origin.request_id, address=origin.address
    )
    return (await dispatch(ports, principal, request)).body


async def _look_why(ports: Ports, principal: Principal, patient_id: str, origin: Origin) -> None:
    """The reason is the date of birth, so being told it is a read of the Patient. NotScorable without one for who may
    not read that."""
    request = FhirRequest(Interaction.READ, "Patient", patient_id, request_id=origin.request_id, address=origin.address)
    try:
        await dispatch(ports, principal, request)
    except (Forbidden, NotFound):
        raise NotScorable(NO_SCORE, reason="not-scorable") from None


async def latest_score(
    ports: Ports, principal: Principal, patient_id: str, *, origin: Origin = UNKNOWN
) -> bytes | None:
    """The newest score the caller may see; None when there is none. Forbidden."""
    params = (
        ("patient", patient_id),
        ("code", "|".join(CODE)),
        ("status", "final,preliminary"),
        ("_sort", "-date"),
        ("_count", "1"),
    )
    request = FhirRequest(
        Interaction.SEARCH_TYPE, "Observation", params=params, request_id=origin.request_id, address=origin.address
    )
    found = read_searchset((await dispatch(ports, principal, request)).body).resources
    return found[0] if found else None


async def rescore(ports: Ports, patient_id: str) -> None:
    """Compute today's score after the record changed; a first one is written when at least one part is known. A person
    who cannot be scored is no failure; any other one is logged and left to the next time, so that what changed the
    record stands."""
    try:
        async with ports.locks.hold(_lock_of(patient_id)):
            score = await _computed(ports, patient_id)
            if "valueQuantity" in score or await _current(ports, score):
                await _store(ports, score)
    except NotScorable:
        return
    except FacadeError as error:
        _LOG.warning("score.failed", extra={"error": type(error).__name__})


def _lock_of(patient_id: str) -> str:
    """Of two who compute at once the second finds what the first stored, instead of telling of it again."""
    return f"score:{patient_id}"


def summary_of(observation: bytes, language: str | None = None) -> Summary:
    """The score Observation in plain members. `language` None: the patient's, as it was known when the score was made;
    the same for a score from before its sentences could be made anew."""
    resource = decimal_loads(observation)
    stored = [note["text"] for note in resource["note"]]
    said = None if language is None else told(resource["component"], language)
    explanation, *advice, disclaimer = stored if said is None else [note["text"] for note in said.notes]
    spoken = written_in(disclaimer)
    parts = tuple(_part(component, sentences(spoken).names) for component in resource["component"])
    return Summary(
        observation=f"Observation/{resource['id']}",
        day=resource["effectivePeriod"]["end"],
        status=resource["status"],
        value=_value(resource),
        category=next((_code(concept) for concept in resource.get("interpretation", ())), None),
        parts=parts,
        missing=tuple(part.name for part in parts if part.points is None),
        explanation=explanation,
        next_step=next(iter(advice), None),
        disclaimer=disclaimer,
        language=spoken,
    )


def _part(component: Mapping[str, Any], names: Mapping[str, str]) -> Part:
    absent, code = component.get("dataAbsentReason"), _code(component["code"])
    return Part(
        code=code,
        name=names.get(code, component["code"]["text"]),
        points=_value(component),
        absent=None if absent is None else _code(absent),
        notes=tuple(_code(note) for note in component.get("interpretation", ())),
    )


def _value(part: Mapping[str, Any]) -> float | None:
    quantity = part.get("valueQuantity")
    return None if quantity is None else float(quantity["value"])


def _code(concept: Mapping[str, Any]) -> str:
    return str(concept["coding"][0]["code"])


def _probe(patient_id: str) -> Resource:
    """What a score looks like to the access rules."""
    system, code = CODE
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": OBSERVATION_CATEGORY, "code": "survey"}]}],
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": f"Patient/{patient_id}"},
    }


# --- computing ------------------------------------------------------------------------------------------------


async def _computed(ports: Ports, patient_id: str) -> Resource:
    """The score as an Observation that is not stored yet. NotScorable."""
    patient = decimal_loads((await dispatch(ports, ENGINE, FhirRequest(Interaction.READ, "Patient", patient_id))).body)
    zone, account_language = await ports.state.read(lambda tx: (_zone(tx, patient_id), _chosen(tx, patient_id)))
    day = own_day(ports.clock.now(), zone)
    observations = [each for need in NEEDED for each in await _known(ports, patient_id, need, day)]
    result = compute(
        observations,
        patient_id=patient_id,
        birth_date=patient.get("birthDate"),
        zone=zone,
        day=day,
        language=_language(patient) or account_language or "en",
    )
    if isinstance(result, Refused):
        raise NotScorable(result.text, reason=result.reason, expression="Patient.birthDate")
    return result


def _zone(tx: StateTransaction, patient_id: str) -> str | None:
    """Where the person's day begins: as the wearable says, else as the account says."""
    wearables = tx.find(Connection, ("patient", "=", patient_id), ("zone", "!=", None), order=("-last_sync_at",))
    accounts = tx.find(Account, ("patient_id", "=", patient_id), limit=1)
    return next((wearable.zone for wearable in wearables), None) or next((each.zone for each in accounts), None)


def _chosen(tx: StateTransaction, patient_id: str) -> str | None:
    """The language of the person's account."""
    return next((each.language for each in tx.find(Account, ("patient_id", "=", patient_id), limit=1)), None)


def _language(patient: Mapping[str, Any]) -> str | None:
    """The language the person wants to be spoken to, as far as the record knows it."""
    spoken = sorted(patient.get("communication", ()), key=lambda each: not each.get("preferred", False))
    codes = (coding.get("code") for each in spoken for coding in each.get("language", {}).get("coding", ()))
    return next((code for code in codes if code), None)


async def _known(ports: Ports, patient_id: str, need: Need, day: date) -> list[Resource]:
    """The newest Observations of one need that count. A day more on both ends: the store compares dates by UTC."""
    params = (
        ("patient", patient_id),
        ("code", ",".join("|".join(code) for code in need.codes)),
        ("status", COUNTED),
        ("date", f"ge{(day - timedelta(days=need.lookback_days + 1)).isoformat()}"),
        ("date", f"le{(day + timedelta(days=1)).isoformat()}"),
        ("_sort", "-date"),
        ("_count", str(need.limit)),
    )
    response = await dispatch(ports, ENGINE, FhirRequest(Interaction.SEARCH_TYPE, "Observation", params=params))
    return [decimal_loads(body) for body in read_searchset(response.body).resources]


# --- storing --------------------------------------------------------------------------------------------------


async def _store(ports: Ports, score: Resource) -> None:
    """Write what is new, with its event; nothing when the same score is there already."""
    for attempt in range(1, ATTEMPTS + 1):
        wanted = [each for each in (engine_device(), score) if not await _is_stored(ports, each)]
        if score not in wanted:
            return
        try:
            await dispatch(ports, ENGINE, transaction(wanted), rows=[Append(_event(ports, score))])
        except Conflict:  # two first scores at once both write the engine's Device
            if attempt == ATTEMPTS:
                raise
        else:
            return


async def _is_stored(ports: Ports, resource: Resource) -> bool:
    return any(equal_values(body, decimal_dumps(resource)) for body in await _current(ports, resource))


async def _current(ports: Ports, resource: Resource) -> tuple[bytes, ...]:
    """What is stored under the id of the resource: its current version, or nothing."""
    params = (("_id", resource["id"]),)
    request = FhirRequest(Interaction.SEARCH_TYPE, resource["resourceType"], params=params)
    return read_searchset((await dispatch(ports, ENGINE, request)).body).resources


def _event(ports: Ports, score: Resource) -> Event:
    data = msgspec.json.encode({"observation": f"Observation/{score['id']}", "status": score["status"]}).decode()
    patient = score["subject"]["reference"].removeprefix("Patient/")
    return Event(at=ports.clock.now(), topic="score", kind="computed", patient=patient, data=data)
