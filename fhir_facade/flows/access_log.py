"""Who looked at a patient's data, as the patient or who stands for her is told it: the AuditEvents about her, read
through the door.

45 CFR 164.528 (accounting of disclosures), https://profiles.ihe.net/ITI/BALP/
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from fhir_facade.access.rights import engines
from fhir_facade.errors import BadRequest, Forbidden
from fhir_facade.flows.admission import UNKNOWN, Origin, absent
from fhir_facade.flows.people import names_of
from fhir_facade.interactions.circle import circle
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import EmergencyAccess
from fhir_facade.rows.oauth import Client
from fhir_facade.values import FhirRequest, Interaction, JsonObject, PatientId, Principal

DEFAULT_LIMIT: Final = 50
MOST: Final = 200
Outcome = Literal["success", "refused", "failed"]
Role = Literal["you", "patient", "staff", "proxy", "admin", "service", "engine", "nobody"]

_OUTCOMES: Final[Mapping[str, Outcome]] = {"0": "success", "4": "refused", "8": "failed"}
_CODES: Final[Mapping[Outcome, str]] = {name: code for code, name in _OUTCOMES.items()}
_DATA, _QUERY = "4", "24"
NOBODY: Final = "anonymous"
"""What the audit calls somebody who is not known."""
_OVERRIDE: Final = "110127"
NOTICE: Final = "notice"
_NOTIFIED: Final = "notify"
"""The kind and the subtype of what was mailed: no record was looked at, and who it names is who was told."""
_ROLES: Final[Mapping[str, Role]] = {"patient": "patient", "proxy": "proxy", "admin": "admin"}
"""Of the others, whose account is gone perhaps, staff is the least that can be said."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines to show. `since` and `until` are dates or moments as FHIR writes them, both included; `actions`
    letters out of `CRUDE`; `emergency` the openings of the record in an emergency alone."""

    since: str | None = None
    until: str | None = None
    actions: Sequence[str] = ()
    outcome: Outcome | None = None
    emergency: bool = False

    def params(self) -> tuple[tuple[str, str], ...]:
        asked = (
            ("date", self.since and f"ge{self.since}"),
            ("date", self.until and f"le{self.until}"),
            ("action", ",".join(self.actions)),
            ("outcome", self.outcome and _CODES[self.outcome]),
            ("subtype", _OVERRIDE if self.emergency else None),
        )
        return tuple((name, value) for name, value in asked if value)


EVERYTHING: Final = Wanted()


@dataclass(frozen=True, slots=True)
class Looked:
    """One line. `action` is `C R U D E` as in AuditEvent, `kind` the type of record or `NOTICE`, which the server
    mailed; `name` who it was as far as can be told, `app` what it was done with. `emergency`: the record was opened in
    an emergency, and with a `reason` this is the opening."""

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


@dataclass(frozen=True, slots=True)
class _Known:
    """What the rows and the records say of those who are named: `names` by reference and by client id."""

    accounts: Mapping[str, Account]
    names: Mapping[str, str]
    emergencies: Sequence[EmergencyAccess]


async def access_log(
    ports: Ports,
    principal: Principal,
    *,
    patient: str | None = None,
    wanted: Wanted = EVERYTHING,
    limit: int = DEFAULT_LIMIT,
    page: str | None = None,
    origin: Origin = UNKNOWN,
) -> AccessLog:
    """One page of it. `patient` is for a proxy of several; a `page` knows what was wanted.

    Forbidden for who is neither a patient nor a proxy, or whose token does not reach AuditEvents; NotFound for a
    patient who is somebody else's; BadRequest for a date that is none; Gone for an old page. That somebody reads the
    log is in the audit, but not shown to the same person here.
    """
    whose = await whose_log(ports, principal, patient)
    params = (("patient", whose), ("_count", str(limit)), *wanted.params()) if page is None else (("_page", page),)
    request = FhirRequest(
        Interaction.SEARCH_TYPE, "AuditEvent", params=params, request_id=origin.request_id, address=origin.address
    )
    bundle = msgspec.json.decode((await dispatch(ports, principal, request)).body)
    events = [entry["resource"] for entry in bundle.get("entry", ())]
    known = await _known(ports, principal, whose, events, origin)
    looked = [_looked(event, known, principal) for event in events]
    own = [each for each in looked if not (each.kind == "AuditEvent" and each.role == "you")]
    return AccessLog(own, _next(bundle))


async def whose_log(ports: Ports, principal: Principal, patient: str | None) -> PatientId:
    """The patient whose log this is: the own, or the one a proxy stands for. Forbidden, NotFound, BadRequest."""
    if principal.patient is not None:
        whose = frozenset({principal.patient})
    elif principal.kind == "proxy":
        whose = await circle(ports, principal)
    else:
        raise Forbidden("Only a patient, or who stands for one, has an access log: sign in as one.")
    if patient is None and len(whose) > 1:
        raise BadRequest("You stand for several people: say whose log with `patient`.")
    if (not whose and patient is None) or (patient is not None and patient not in whose):
        raise absent(patient or "")
    return PatientId(patient) if patient is not None else next(iter(whose))


def _next(bundle: JsonObject) -> str | None:
    urls = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
    return parse_qs(urlsplit(urls[0]).query)["_page"][0] if urls else None


# --- who they are -----------------------------------------------------------------------------------------------


async def _known(
    ports: Ports, principal: Principal, patient: PatientId, events: Sequence[JsonObject], origin: Origin
) -> _Known:
    users = {text for event in events for text in [_user(event)] if text}
    clients = {name for event in events for name in [_client(event)] if name}

    def look(tx: StateTransaction) -> tuple[dict[str, Account], dict[str, str], list[EmergencyAccess]]:
        accounts = {row.id: row for row in tx.find(Account, ("id", "in", sorted(users)))}
        apps = {row.id: row.name or row.id for row in tx.find(Client, ("id", "in", sorted(clients)))}
        return accounts, apps, tx.find(EmergencyAccess, ("patient", "=", patient))

    accounts, apps, emergencies = await ports.state.read(look)
    references = [reference for each in accounts.values() for reference in [_reference(each)] if reference]
    names = await names_of(ports, principal, references, origin)
    return _Known(accounts, {**names, **apps}, emergencies)


def _reference(account: Account) -> str | None:
    """Whose name stands for an account. A patient's own is not told: it is known, or nobody's to know."""
    parts = (
        ("Practitioner", account.practitioner_id),
        ("RelatedPerson", account.related_person_id),
        ("Organization", account.organization_id),
    )
    return next((f"{kind}/{id_}" for kind, id_ in parts if id_), None)


def _looked(event: JsonObject, known: _Known, principal: Principal) -> Looked:
    role, name = _who(event, known, principal)
    opening, at = event["subtype"][0]["code"] == _OVERRIDE, datetime.fromisoformat(event["recorded"])
    return Looked(
        id=event["id"],
        at=at,
        action=event["action"],
        kind=_kind(event),
        role=role,
        name=name,
        app=known.names.get(_client(event), ""),
        outcome=_OUTCOMES[event["outcome"]],
        emergency=opening or _in_emergency(event, at, known),
        reason=event.get("outcomeDesc", "") if opening else "",
    )


def _in_emergency(event: JsonObject, at: datetime, known: _Known) -> bool:
    account = known.accounts.get(_user(event))
    practitioner = account.practitioner_id if account else None
    opened = (each for each in known.emergencies if each.practitioner == practitioner)
    return practitioner is not None and any(each.begun_at <= at < each.ends_at for each in opened)


def _who(event: JsonObject, known: _Known, principal: Principal) -> tuple[Role, str]:
    user = _user(event)
    if _is_notice(event):
        return "engine", ""
    if user:
        account = known.accounts.get(user)
        reference = _reference(account) if account else None
        role: Role = "you" if user == principal.user else _ROLES.get(account.role if account else "", "staff")
        return role, "" if role == "you" else known.names.get(reference or "", "")
    actor = event["agent"][0].get("name", "")
    if actor in engines():
        return "engine", actor
    client = _client(event)
    return ("nobody", "") if actor == NOBODY else ("service", known.names.get(client, client))


def _is_notice(event: JsonObject) -> bool:
    return bool(event["subtype"][0]["code"] == _NOTIFIED)


def _user(event: JsonObject) -> str:
    """The account of the person who asked, empty when it was none."""
    return next((str(agent["altId"]) for agent in event["agent"] if "altId" in agent), "")


def _client(event: JsonObject) -> str:
    return str(event["agent"][0]["who"].get("identifier", {}).get("value", ""))


def _kind(event: JsonObject) -> str:
    """The type of what was touched, or of what was searched for; empty when it was no record."""
    entities = {entity.get("role", {}).get("code"): entity for entity in event.get("entity", ())}
    if _DATA in entities:
        return str(entities[_DATA]["what"]["reference"]).partition("/")[0]
    if _is_notice(event):
        return NOTICE
    if _QUERY in entities:
        path = urlsplit(base64.b64decode(entities[_QUERY]["query"]).decode().removeprefix("GET ")).path
        return path.rpartition("/")[2]
    return ""
