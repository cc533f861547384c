"""The way of a person through an authorization: checked request, sign-in, patient, consent, code.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from authlib.oauth2 import OAuth2Error

from fhir_facade.access.scopes import ScopeSet, parse_scopes, serialise
from fhir_facade.flows.launch.endpoints import build_server
from fhir_facade.flows.launch.issuer import PENDING_LIFETIME
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.redirects import parse_redirect_uri
from fhir_facade.flows.launch.request import LaunchRequest, MalformedRequest, Pairs, single_parameters
from fhir_facade.flows.launch.server import Answer, Consent, LaunchServer, Moment
from fhir_facade.flows.launch.sign_in import Caller, SignIn
from fhir_facade.flows.sessions import SignedIn
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import Client, PendingAuthorization

ASKS_SIGN_IN: Final = frozenset({"login", "select_account"})


class NotAuthorizable(ValueError):
    """The request is answered by a page, never by a redirect: the client or its redirect URI cannot be trusted."""


class Lost(ValueError):
    """The authorization is unknown, over, or belongs to another browser: start again from the app."""


@dataclass(frozen=True, slots=True)
class NeedsSignIn:
    """Nobody is signed in, or not recently enough."""


@dataclass(frozen=True, slots=True)
class NeedsPatient:
    """A clinician chooses one of their patients; `patients` are (id, display) and may be empty."""

    client_name: str
    patients: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class NeedsConsent:
    """What the consent page shows. `scopes` is what would be granted; `patient` (id, display) the chosen one, if any.

    `redirect_origin` is where the decision will lead, for the page's form-action.
    """

    client_name: str
    scopes: ScopeSet
    patient: tuple[str, str] | None
    redirect_origin: str


Step = NeedsSignIn | NeedsPatient | NeedsConsent


async def begin(sign_in: SignIn, pairs: Pairs, caller: Caller) -> str | Answer:
    """Check an authorization request. A handle to go on with, or a redirect that tells the app what is wrong.

    NotAuthorizable when the app must not be redirected to.
    """
    try:
        parameters = single_parameters(pairs)
    except MalformedRequest as error:
        raise NotAuthorizable(str(error)) from None
    ports, handle = sign_in.ports, sign_in.ports.ids.secret()
    moment = Moment(sign_in.issuer, ports.ids, ports.clock.now())

    def work(tx: StateTransaction) -> str | Answer | NotAuthorizable:
        server, request = build_server(tx, moment), LaunchRequest("GET", parameters)
        try:
            server.get_consent_grant(request)
        except OAuth2Error as error:
            tx.apply(Append(_audit(moment.now, "refused", request, None, caller, error.error)))
            answer: Answer = server.handle_error_response(request, error)
            return answer if answer.location else NotAuthorizable(error.get_error_description())
        tx.apply(Append(_pending(request, handle, moment.now)))
        return handle

    answer = await ports.state.write(work)
    if isinstance(answer, NotAuthorizable):
        raise answer
    return answer


async def next_step(sign_in: SignIn, handle: str, browser: str, signed_in: SignedIn | None) -> Step:
    """What the person has to do now. The first browser that asks owns the authorization. Lost."""
    pending, client = await _open(sign_in, handle, browser)
    if signed_in is None or _stale(signed_in, pending):
        return NeedsSignIn()
    account, asked = signed_in.account, parse_scopes(pending.scope)
    patients = await _choices(sign_in, account)
    patient = _patient(pending, account, patients)
    if patient is None and account.role != "patient" and wants_patient(asked):
        return NeedsPatient(client.name, patients)
    return NeedsConsent(client.name, asked, patient, parse_redirect_uri(pending.redirect_uri).origin)


async def choose_patient(sign_in: SignIn, handle: str, browser: str, signed_in: SignedIn, patient: str) -> None:
    """Remember the clinician's choice; only one of their own patients can be chosen. Lost."""
    await _open(sign_in, handle, browser)
    if patient not in {known for known, _ in await _choices(sign_in, signed_in.account)}:
        raise Lost("This patient is not one of yours.")
    key, account_id = digest(handle), signed_in.account.id
    await sign_in.ports.state.write(
        lambda tx: tx.change(PendingAuthorization, [("hash", "=", key)], patient=patient, picked_by=account_id)
    )


async def decide(
    sign_in: SignIn, handle: str, browser: str, signed_in: SignedIn, ticked: Collection[str] | None, caller: Caller
) -> Answer:
    """Finish: a redirect with a code, or with `access_denied` when `ticked` is None or nothing is left. Lost.

    `ticked` are scopes the person left on; launch and identity scopes other than `offline_access` go along.
    """
    step = await next_step(sign_in, handle, browser, signed_in)
    if not isinstance(step, NeedsConsent):
        raise Lost("There is nothing to consent to yet.")
    granted = _kept(step.scopes, ticked) if ticked is not None else ScopeSet()
    ports, key = sign_in.ports, digest(handle)
    moment = Moment(sign_in.issuer, ports.ids, ports.clock.now())

    def work(tx: StateTransaction) -> Answer:
        live = [("hash", "=", key), ("browser", "=", digest(browser)), ("expires_at", ">", moment.now)]
        taken = tx.change(PendingAuthorization, live, expires_at=moment.now)
        if not taken:
            raise Lost("This authorization is over. Start again from the app.")
        return _conclude(build_server(tx, moment), taken[0], step, signed_in, granted, caller)

    return await ports.state.write(work)


def wants_patient(scopes: ScopeSet) -> bool:
    """Whether a patient must be in context: asked for by name, or implied by patient/ scopes."""
    return "launch/patient" in scopes.launch or any(scope.context == "patient" for scope in scopes.fhir)


def _conclude(
    server: LaunchServer,
    pending: PendingAuthorization,
    step: NeedsConsent,
    signed_in: SignedIn,
    granted: ScopeSet,
    caller: Caller,
) -> Answer:
    """Everything is checked anew by the core, as it stands now: the client may have been disabled meanwhile."""
    account, scope = signed_in.account, serialise(granted)
    request = _request(pending, scope, server)
    patient = step.patient[0] if step.patient and wants_patient(granted) else None
    request.facts = Consent(account, patient, pending.nonce, signed_in.session.created_at)
    allowed = bool(granted.fhir or granted.launch)
    grant = server.get_authorization_grant(request)
    answer: Answer = server.create_authorization_response(request, grant_user=account if allowed else None, grant=grant)
    outcome = "success" if allowed and answer.location and "code=" in answer.location else "refused"
    server.tx.apply(Append(_audit(server.moment.now, outcome, request, account, caller, scope or "denied")))
    return answer


def _request(pending: PendingAuthorization, scope: str, server: LaunchServer) -> LaunchRequest:
    parameters = {
        "response_type": "code",
        "client_id": pending.client_id,
        "redirect_uri": pending.redirect_uri,
        "scope": scope or pending.scope,
        "code_challenge": pending.challenge,
        "code_challenge_method": "S256",
        "aud": server.moment.issuer.fhir,
    }
    optional = {"state": pending.state, "nonce": pending.nonce}
    return LaunchRequest("POST", parameters | {name: value for name, value in optional.items() if value is not None})


def _pending(request: LaunchRequest, handle: str, now: datetime) -> PendingAuthorization:
    parameters = request.form
    return PendingAuthorization(
        hash=digest(handle),
        client_id=request.client.row.id,
        redirect_uri=parameters["redirect_uri"],
        scope=request.scope,
        challenge=parameters["code_challenge"],
        expires_at=now + PENDING_LIFETIME,
        state=parameters.get("state"),
        nonce=parameters.get("nonce"),
        fresh_after=_fresh_after(parameters.get("prompt", ""), parameters.get("max_age", ""), now),
    )


def _fresh_after(prompt: str, max_age: str, now: datetime) -> datetime | None:
    if ASKS_SIGN_IN & set(prompt.split()):
        return now
    if max_age.isdecimal() and len(max_age) < 10:
        return now - timedelta(seconds=int(max_age))
    return None


def _stale(signed_in: SignedIn, pending: PendingAuthorization) -> bool:
    return pending.fresh_after is not None and signed_in.session.created_at < pending.fresh_after


async def _open(sign_in: SignIn, handle: str, browser: str) -> tuple[PendingAuthorization, Client]:
    now, key, owner = sign_in.ports.clock.now(), digest(handle), digest(browser)

    def work(tx: StateTransaction) -> tuple[PendingAuthorization, Client] | None:
        tx.change(PendingAuthorization, [("hash", "=", key), ("browser", "=", None)], browser=owner)
        pending = tx.get(PendingAuthorization, key)
        if pending is None or pending.expires_at <= now or pending.browser != owner:
            return None
        client = tx.get(Client, pending.client_id)
        return None if client is None or client.disabled else (pending, client)

    found = await sign_in.ports.state.write(work)
    if found is None:
        raise Lost("This authorization is over, or was begun in another browser. Start again from the app.")
    return found


async def _choices(sign_in: SignIn, account: Account) -> Sequence[tuple[str, str]]:
    if account.patient_id is not None:
        return [(account.patient_id, account.username)]
    if account.practitioner_id is None:
        return []
    return await sign_in.patients_of(account.practitioner_id)


def _patient(
    pending: PendingAuthorization, account: Account, choices: Sequence[tuple[str, str]]
) -> tuple[str, str] | None:
    """A patient's own record, or what this very clinician picked, as long as it is still one of the choices."""
    if account.role == "patient":
        return choices[0]
    if pending.picked_by != account.id:
        return None
    return next((choice for choice in choices if choice[0] == pending.patient), None)


def _kept(asked: ScopeSet, ticked: Collection[str]) -> ScopeSet:
    """What stays of `asked` after the person unticked some of it."""
    chosen = parse_scopes(" ".join(ticked))
    fhir = tuple(scope for scope in asked.fhir if scope in chosen.fhir)
    always = asked.launch - {"offline_access"}
    return ScopeSet(fhir, always | (asked.launch & chosen.launch), asked.v1 & frozenset(fhir))


def _audit(
    at: datetime, outcome: str, request: LaunchRequest, account: Account | None, caller: Caller, detail: str
) -> AuditLine:
    facts = request.facts
    return AuditLine(
        at=at,
        action="consent",
        outcome=outcome,
        actor="person",
        user=account.id if account else None,
        client=request.client.row.id if request.client else None,
        patient=facts.patient if facts else None,
        detail=detail,
        address=caller.address,
        request_id=caller.request_id,
    )
