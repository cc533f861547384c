"""Who looked at a patient's data, as the patient is told it: the AuditEvents about her, read through the door.

45 CFR 164.528 (accounting of disclosures), https://profiles.ihe.net/ITI/BALP/
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from fhir_facade.access.rights import engines
from fhir_facade.errors import Forbidden
from fhir_facade.flows.admission import UNKNOWN, Origin
from fhir_facade.flows.people import staff_names
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows.oauth import Client
from fhir_facade.values import FhirRequest, Interaction, JsonObject, Principal

DEFAULT_LIMIT: Final = 50
MOST: Final = 200
Outcome = Literal["success", "refused", "failed"]
Role = Literal["you", "staff", "proxy", "service", "engine", "nobody"]

_OUTCOMES: Final[Mapping[str, Outcome]] = {"0": "success", "4": "refused", "8": "failed"}
_DATA, _QUERY = "4", "24"
NOBODY: Final = "anonymous"
"""What the audit calls somebody who is not known."""
_OVERRIDE: Final = "110127"
_ROLES: Final[Mapping[str, Role]] = {"Practitioner": "staff", "RelatedPerson": "proxy"}


@dataclass(frozen=True, slots=True)
class Looked:
    """One line. `action` is `C R U D E` as in AuditEvent, `kind` the type of record, `name` who it was as far as can be
    told, `app` what it was done with. `reason` is said for emergency access only."""

    id: str
    at: datetime
    action: str
    kind: str
    role: Role
    name: str
    app: str
    outcome: Outcome
    emergency: bool
    reason: str


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Newest first; `next` is the `page` of what is older, None on the last page."""

    entries: Sequence[Looked]
    next: str | None


async def access_log(
    ports: Ports,
    principal: Principal,
    *,
    limit: int = DEFAULT_LIMIT,
    page: str | None = None,
    origin: Origin = UNKNOWN,
) -> AccessLog:
    """One page of it. Forbidden for who is not a patient, or whose token does not reach AuditEvents; Gone for an old
    page. That somebody reads the own log is in the audit, but not shown here."""
    if principal.patient is None:
        raise Forbidden("Only a patient has an access log: sign in as one.")
    params = (("patient", principal.patient), ("_count", str(limit))) if page is None else (("_page", page),)
    request = FhirRequest(
        Interaction.SEARCH_TYPE, "AuditEvent", params=params, request_id=origin.request_id, address=origin.address
    )
    bundle = msgspec.json.decode((await dispatch(ports, principal, request)).body)
    events = [entry["resource"] for entry in bundle.get("entry", ())]
    told = await _names(ports, principal, events, origin)
    looked = [_looked(event, told, principal) for event in events]
    own = [each for each in looked if not (each.kind == "AuditEvent" and each.role == "you")]
    return AccessLog(own, _next(bundle))


def _next(bundle: JsonObject) -> str | None:
    urls = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
    return parse_qs(urlsplit(urls[0]).query)["_page"][0] if urls else None


async def _names(ports: Ports, principal: Principal, events: Sequence[JsonObject], origin: Origin) -> Mapping[str, str]:
    """Names of staff by reference and of apps by client id."""
    references = {text for event in events for text in [_person(event).get("reference", "")] if text}
    clients = {name for event in events for name in [_client(event)] if name}
    apps = await ports.state.read(lambda tx: _apps(tx, clients))
    return {**await staff_names(ports, principal, references, origin), **apps}


def _apps(tx: StateTransaction, ids: Iterable[str]) -> dict[str, str]:
    return {client.id: client.name or client.id for client in tx.find(Client, ("id", "in", sorted(ids)))}


def _looked(event: JsonObject, names: Mapping[str, str], principal: Principal) -> Looked:
    role, name = _who(event, names, principal)
    emergency = event["subtype"][0]["code"] == _OVERRIDE
    return Looked(
        id=event["id"],
        at=datetime.fromisoformat(event["recorded"]),
        action=event["action"],
        kind=_kind(event),
        role=role,
        name=name,
        app=names.get(_client(event), ""),
        outcome=_OUTCOMES[event["outcome"]],
        emergency=emergency,
        reason=event.get("outcomeDesc", "") if emergency else "",
    )


def _who(event: JsonObject, names: Mapping[str, str], principal: Principal) -> tuple[Role, str]:
    who = _person(event)
    if who:
        if who["identifier"]["value"] == principal.user:
            return "you", ""
        reference = who.get("reference", "")
        return _ROLES.get(reference.partition("/")[0], "staff"), names.get(reference, "")
    actor = event["agent"][0].get("name", "")
    if actor in engines():
        return "engine", actor
    client = _client(event)
    return ("nobody", "") if actor == NOBODY else ("service", names.get(client, client))


def _person(event: JsonObject) -> JsonObject:
    """`who` of the person who asked, empty when it was none."""
    return next((agent["who"] for agent in event["agent"] if "altId" in agent), {})


def _client(event: JsonObject) -> str:
    return str(event["agent"][0]["who"].get("identifier", {}).get("value", ""))


def _kind(event: JsonObject) -> str:
    """The type of what was touched, or of what was searched for; empty when it was no record."""
    entities = {entity.get("role", {}).get("code"): entity for entity in event.get("entity", ())}
    if _DATA in entities:
        return str(entities[_DATA]["what"]["reference"]).partition("/")[0]
    if _QUERY in entities:
        path = urlsplit(base64.b64decode(entities[_QUERY]["query"]).decode().removeprefix("GET ")).path
        return path.rpartition("/")[2]
    return ""
