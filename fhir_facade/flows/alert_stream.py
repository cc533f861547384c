"""Alerts as they happen, for those who may see the patient: from the event rows, so that any process can replay them.

Whoever listens is judged again on every event and every few seconds between them.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import Ask, decide
from fhir_facade.errors import BadRequest, Forbidden, Unauthenticated
from fhir_facade.flows.admission import UNKNOWN, Origin, absent
from fhir_facade.interactions.alerts.following import TOPIC
from fhir_facade.interactions.audit import audit_line, record_lines
from fhir_facade.interactions.call import Who
from fhir_facade.interactions.circle import circle
from fhir_facade.ports import Ports
from fhir_facade.rows.events import Event
from fhir_facade.values import FhirRequest, Interaction, JsonObject, Principal
from terminology.canonical import ALERT_TASK
from terminology.codes import coding

LOOK_AGAIN_S: Final = 2.0
"""How often a listener is judged, and the rows are looked at, when nothing happens."""

BATCH: Final = 100

BEGINNING: Final = "0"
"""The place before the first event, in words that anybody may say."""

CONTEXT: Final = "alert-stream"


@dataclass(frozen=True, slots=True)
class Told:
    """One event. `kind`: `raised updated cleared`, or the state a person moved the alert to. `data` are references and
    codes: `patient task issue rule severity`, and `state` when it changed."""

    id: int
    at: datetime
    kind: str
    data: Mapping[str, Any]


async def admit_listener(ports: Ports, principal: Principal, patient: str | None) -> None:
    """Whether somebody may listen at all, and to this patient. Unauthenticated, Forbidden, NotFound."""
    decision = decide(principal, Ask(Interaction.READ, "Task", circle=await circle(ports, principal)))
    if isinstance(decision, Deny):
        raise (Unauthenticated if decision.kind == "unauthenticated" else Forbidden)(decision.reason)
    if patient is not None and not await _sees(ports, principal, patient):
        raise absent(patient)


async def newest_event(ports: Ports) -> int:
    """The id of the newest event, 0 before the first. Who asks for it and then looks at alerts misses none when
    listening after it: what comes between is told again rather than never."""
    rows = await ports.state.read(lambda tx: tx.find(Event, order=("-id",), limit=1))
    return rows[0].id if rows else 0


def id_text(ports: Ports, event: int) -> str:
    """The place of an event as those who hear of it are told it: the same for all of them and whenever it is told, so
    that nobody takes one for two. Sealed: the number would tell how much happens to everybody."""
    return _sealed(ports, event, steady=True)


def place_text(ports: Ports, event: int) -> str:
    """A place for somebody who hears of no event there: another text each time, or it would tell that something
    happened to others meanwhile."""
    return _sealed(ports, event, steady=False)


def _sealed(ports: Ports, event: int, *, steady: bool) -> str:
    sealed = ports.vault.seal(event.to_bytes(8), context=CONTEXT, steady=steady)
    return urlsafe_b64encode(sealed).rstrip(b"=").decode()


def place_of(ports: Ports, text: str) -> int:
    """The event behind a place. BadRequest for a text that is neither `BEGINNING` nor one of ours: whoever could name
    places would find the number of an event of their own."""
    if text == BEGINNING:
        return 0
    try:
        sealed = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        return int.from_bytes(ports.vault.open(sealed, context=CONTEXT))
    except (BadRequest, ValueError):
        raise BadRequest(f"Listen on after the id of an event as it was told, or after {BEGINNING}.") from None


async def alert_stream(
    ports: Ports, who: Who, *, after: int, patient: str | None = None, origin: Origin = UNKNOWN
) -> AsyncIterator[Told]:
    """Events after the one with the id `after`, then those to come; an id from the future counts as the newest. Ends
    when `who` answers None: the token or session is no longer good. Every event is in the audit before it is given
    out."""
    last = min(after, await newest_event(ports))
    while await who() is not None:
        position = ports.streams.position("event")
        rows = await _rows(ports, last)
        for row in rows:
            last = row.id
            if patient not in (None, row.patient):
                continue
            principal = await who()
            if principal is None:
                return
            if await _sees(ports, principal, row.patient):
                yield await _told(ports, principal, row, origin)
        if len(rows) < BATCH:
            await ports.streams.wait("event", timeout_s=LOOK_AGAIN_S, after=position)


async def _rows(ports: Ports, last: int) -> list[Event]:
    where = (("topic", "=", TOPIC), ("id", ">", last))
    return await ports.state.read(lambda tx: tx.find(Event, *where, order=("id",), limit=BATCH))


async def _sees(ports: Ports, principal: Principal, patient: str) -> bool:
    decision = decide(principal, Ask(Interaction.READ, "Task", circle=await circle(ports, principal)))
    return not isinstance(decision, Deny) and decision.check.may_leave(_probe(patient))


def _probe(patient: str) -> JsonObject:
    """What the work of an alert looks like to the access rules."""
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [coding(ALERT_TASK, "alert-review")]},
        "for": {"reference": f"Patient/{patient}"},
    }


async def _told(ports: Ports, principal: Principal, row: Event, origin: Origin) -> Told:
    data = msgspec.json.decode(row.data)
    type_name, _, id_ = data["task"].partition("/")
    request = FhirRequest(Interaction.READ, type_name, id_, request_id=origin.request_id, address=origin.address)
    line = audit_line(ports, principal, request, patient=row.patient, detail=f"alert event, {row.kind}")
    await record_lines(ports, [line])
    return Told(row.id, row.at, row.kind, data)
