"""Launches from within an EHR: a token that names one app, one user and the context, and that works once.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from fhir_facade.access.scopes import parse_scopes
from fhir_facade.errors import BadRequest, Forbidden
from fhir_facade.fhir.references import parse_reference
from fhir_facade.flows.admission import UNKNOWN, Origin
from fhir_facade.flows.launch.issuer import LAUNCH_LIFETIME, PENDING_LIFETIME
from fhir_facade.flows.launch.opaque import LAUNCH, digest
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append, Remove
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import Client, Launch
from fhir_facade.values import FhirRequest, Interaction, JsonObject, Principal

LONGEST_INTENT: Final = 200
MOST_CONTEXT: Final = 20
MOST_WAITING: Final = 100
"""Launches for one user that no app took yet; the oldest gives way."""
LONGEST_CONTEXT: Final = 8000
_ENTRY: Final[Mapping[str, type]] = {"reference": str, "canonical": str, "identifier": dict, "type": str, "role": str}
FROM_A_REFERENCE: Final = frozenset({"Patient", "Encounter"})
"""Types that have a parameter of their own; in `fhirContext` they need a role."""


@dataclass(frozen=True, slots=True)
class NewLaunch:
    """A launch as asked for. `user` (account id or user name) None: whoever asks. `context` becomes `fhirContext`."""

    client_id: str
    user: str | None = None
    patient: str | None = None
    encounter: str | None = None
    intent: str | None = None
    context: tuple[JsonObject, ...] = ()
    banner: bool = True


@dataclass(frozen=True, slots=True)
class IssuedLaunch:
    """`token` is shown only now. `url` is where the browser goes, when the app is registered with a launch address."""

    token: str
    url: str | None
    expires_at: datetime


async def issue_launch(
    ports: Ports, principal: Principal, new: NewLaunch, *, iss: str, origin: Origin = UNKNOWN
) -> IssuedLaunch:
    """Make a launch token. Who asks must be able to read patient and encounter: NotFound otherwise.

    BadRequest for an app that cannot be launched or a context that cannot be meant; Forbidden for apps that were given
    one patient's record.
    """
    if principal.client is not None and not any(scope.context in ("user", "system") for scope in principal.scopes):
        raise Forbidden("Launches are made by people on our own pages, or with user/ or system/ scopes.")
    _check_words(new)
    await _check_records(ports, principal, new, origin)
    token, now = LAUNCH + ports.ids.secret(), ports.clock.now()
    expires_at = now + LAUNCH_LIFETIME

    def issue(tx: StateTransaction) -> str | None:
        client, account = _launchable(tx, new.client_id), _user(tx, principal, new.user)
        row = Launch(
            hash=digest(token),
            client_id=client.id,
            account_id=account.id,
            created_at=now,
            expires_at=expires_at,
            patient=new.patient,
            encounter=new.encounter,
            intent=new.intent,
            context=msgspec.json.encode(new.context).decode() if new.context else None,
            banner=new.banner,
            issued_by=principal.user or principal.client,
        )
        waiting = tx.find(Launch, ("account_id", "=", account.id), ("used_by", "=", None), order=("-created_at",))
        tx.apply(*(Remove(Launch, (each.hash,)) for each in waiting[MOST_WAITING - 1 :]))
        tx.apply(Append(row), Append(_audit(principal, row, origin)))
        return client.launch_uri

    address = await ports.state.write(issue)
    return IssuedLaunch(token, launch_address(address, iss, token) if address else None, expires_at)


async def launchable_apps(ports: Ports) -> Sequence[Client]:
    """The apps that a person can open from our own pages, by name."""
    clients = await ports.state.read(lambda tx: tx.find(Client, ("disabled", "=", False), ("launch_uri", "!=", None)))
    return sorted(filter(_takes_launches, clients), key=lambda client: client.name.casefold())


def launch_address(address: str, iss: str, token: str) -> str:
    """Where the browser goes: the app's launch address with `iss` and `launch`."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode({'iss': iss, 'launch': token})}"


def find_launch(tx: StateTransaction, token: str, client_id: str, now: datetime) -> Launch | None:
    """The launch behind a token, when it was made for this app, is not over and was not taken yet."""
    row = tx.get(Launch, digest(token))
    if row is None or row.client_id != client_id or row.used_by is not None or row.expires_at <= now:
        return None
    return row


def take_launch(tx: StateTransaction, token: str, account_id: str, by: str, now: datetime) -> Launch | None:
    """The launch of this person, which from now on belongs to the authorization `by` alone; None when it was made for
    somebody else, is over, or another was faster."""
    mine = [("hash", "=", digest(token)), ("account_id", "=", account_id), ("used_by", "=", None)]
    taken = tx.change(Launch, [*mine, ("expires_at", ">", now)], used_by=by, expires_at=now + 2 * PENDING_LIFETIME)
    return taken[0] if taken else None


def _takes_launches(client: Client) -> bool:
    return client.kind != "backend" and "launch" in parse_scopes(client.scope).launch


def _launchable(tx: StateTransaction, client_id: str) -> Client:
    """One answer for all others: what is registered here is not for everybody to know who may launch something."""
    client = tx.get(Client, client_id)
    if client is None or client.disabled or not _takes_launches(client):
        raise BadRequest(f"There is no app {client_id} to launch: it has to be registered for the scope launch.")
    return client


def _user(tx: StateTransaction, principal: Principal, named: str | None) -> Account:
    """A person launches for herself; a service says for whom."""
    if principal.user is not None:
        account = tx.get(Account, principal.user)
        if named is not None and (account is None or named not in (account.id, account.username)):
            raise BadRequest("A person launches apps for herself: leave the user out.")
    elif named is None:
        raise BadRequest("Say for which user the launch is: an account id or a user name.")
    else:
        account = tx.get(Account, named) or next(iter(tx.find(Account, ("username_key", "=", named.casefold()))), None)
    if account is None or account.disabled:
        raise BadRequest("There is no such active account.")
    return account


def _check_words(new: NewLaunch) -> None:
    if new.encounter is not None and new.patient is None:
        raise BadRequest("An encounter needs its patient in the launch.")
    if new.intent is not None and not (0 < len(new.intent) <= LONGEST_INTENT and new.intent.isprintable()):
        raise BadRequest(f"An intent has 1 to {LONGEST_INTENT} printable characters.")
    if len(new.context) > MOST_CONTEXT or len(msgspec.json.encode(new.context)) > LONGEST_CONTEXT:
        raise BadRequest(f"fhirContext has at most {MOST_CONTEXT} entries and {LONGEST_CONTEXT} bytes.")
    for entry in new.context:
        _check_entry(entry)


def _check_entry(entry: Mapping[str, Any]) -> None:
    """https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#fhircontext-exp"""
    if not {"reference", "canonical", "identifier"} & entry.keys():
        raise BadRequest("Every entry of fhirContext has a reference, a canonical or an identifier.")
    if not entry.keys() <= _ENTRY.keys() or not all(isinstance(value, _ENTRY[name]) for name, value in entry.items()):
        raise BadRequest(
            f"An entry of fhirContext has {', '.join(_ENTRY)}, nothing else; all but identifier are texts."
        )
    reference = entry.get("reference")
    if reference is None:
        return
    parsed = parse_reference(reference)
    if parsed.kind != "relative" or parsed.type is None:
        raise BadRequest("A reference of fhirContext is relative, such as ImagingStudy/123.")
    if parsed.type in FROM_A_REFERENCE and entry.get("role", "launch") == "launch":
        raise BadRequest(
            f"A {parsed.type} in fhirContext needs a role other than launch: it has a parameter of its own."
        )


async def _check_records(ports: Ports, principal: Principal, new: NewLaunch, origin: Origin) -> None:
    if new.patient is not None:
        await _read(ports, principal, "Patient", new.patient, origin)
    if new.encounter is None:
        return
    encounter = await _read(ports, principal, "Encounter", new.encounter, origin)
    if encounter.get("subject", {}).get("reference") != f"Patient/{new.patient}":
        raise BadRequest("The encounter is not one of this patient.")


async def _read(ports: Ports, principal: Principal, type: str, id: str, origin: Origin) -> JsonObject:
    request = FhirRequest(Interaction.READ, type, id, request_id=origin.request_id, address=origin.address)
    resource: JsonObject = msgspec.json.decode((await dispatch(ports, principal, request)).body)
    return resource


def _audit(principal: Principal, row: Launch, origin: Origin) -> AuditLine:
    return AuditLine(
        at=row.created_at,
        action="token",
        outcome="success",
        actor=principal.name or principal.kind,
        user=row.account_id,
        client=row.client_id,
        token=principal.token,
        patient=row.patient,
        detail="launch issued",
        address=origin.address,
        request_id=origin.request_id,
    )
