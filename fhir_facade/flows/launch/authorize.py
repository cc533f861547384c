"""The way of a person through an authorization: checked request, sign-in, patient, consent, code.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from authlib.oauth2 import OAuth2Error

from fhir_facade.access.scopes import ScopeSet, parse_scopes, serialise
from fhir_facade.flows.launch.choices import Choice, choices, chosen, kept, wants_patient
from fhir_facade.flows.launch.endpoints import build_server
from fhir_facade.flows.launch.handles import LONGEST, Asked, asked_of, seal
from fhir_facade.flows.launch.identity import fhir_user
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.opened import Lost, Opened, look, open_authorization
from fhir_facade.flows.launch.redirects import parse_redirect_uri
from fhir_facade.flows.launch.request import LaunchRequest, MalformedRequest, Pairs, single_parameters
from fhir_facade.flows.launch.server import Answer, Consent, LaunchServer, Moment
from fhir_facade.flows.launch.sign_in import Caller, SignIn
from fhir_facade.flows.launch.tokens import still_online
from fhir_facade.flows.mail import notices
from fhir_facade.flows.sessions import SignedIn
from fhir_facade.interactions.audit_refusals import record_refusal
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import Grant, Launch, OpenAuthorization

DECIDED = ""
"""The browser of an authorization that was decided: nobody's."""


class NotAuthorizable(ValueError):
    """The request is answered by a page, never by a redirect: the client or its redirect URI cannot be trusted."""


@dataclass(frozen=True, slots=True)
class NeedsSignIn:
    """Nobody is signed in, or not recently enough."""


@dataclass(frozen=True, slots=True)
class NeedsPatient:
    """Somebody chooses one of the patients whose records they may open; `patients` are (id, display), maybe none."""

    client_name: str
    patients: Sequence[Choice]


@dataclass(frozen=True, slots=True)
class NeedsConsent:
    """What the consent page shows. `scopes` is what would be granted; `patient` (id, display) the chosen one, if any.

    `redirect_origin` is where the decision will lead, for the page's form-action. `verified` False: the app registered
    itself and nobody looked at it.
    """

    client_name: str
    scopes: ScopeSet
    patient: Choice | None
    redirect_origin: str
    verified: bool = True


Step = NeedsSignIn | NeedsPatient | NeedsConsent


async def begin(sign_in: SignIn, pairs: Pairs, caller: Caller) -> str | Answer:
    """Check an authorization request. A handle to go on with, or a redirect that tells the app what is wrong.

    NotAuthorizable when the app must not be redirected to; TooManyRequests after many mistakes of one address. Nothing
    is stored but the audit line of a mistake.
    """
    try:
        parameters = single_parameters(pairs)
    except MalformedRequest as error:
        raise NotAuthorizable(str(error)) from None
    ports = sign_in.ports
    moment, request = Moment(sign_in.issuer, ports.ids, ports.clock.now()), LaunchRequest("GET", parameters)
    refused = await ports.state.read(lambda tx: _refusal(tx, moment, request))
    if refused is None:
        handle = seal(ports.vault, asked_of(request, ports.ids, moment.now))
        if len(handle) > LONGEST:
            raise NotAuthorizable("The request is too long: shorten state and scope.")
        return handle
    answer, wrong = refused
    sign_in.flood.refuse(caller.address, moment.now)
    await record_refusal(ports, _audit(moment.now, "refused", request, None, caller, wrong.error))
    if answer.location is None:
        raise NotAuthorizable(wrong.get_error_description())
    return answer


async def next_step(sign_in: SignIn, handle: str, browser: str, signed_in: SignedIn | None) -> Step:
    """What the person has to do now. The first browser in which somebody is signed in owns the authorization. Lost."""
    asked, client = await look(sign_in, handle)
    if signed_in is None or _stale(signed_in, asked):
        return NeedsSignIn()
    opened = await open_authorization(sign_in, asked, client, browser, signed_in.account)
    return await _step(sign_in, opened, signed_in.account)


async def choose_patient(sign_in: SignIn, handle: str, browser: str, signed_in: SignedIn, patient: str) -> None:
    """Remember the choice; only a patient whose record the person may open can be chosen. Lost."""
    asked, client = await look(sign_in, handle)
    await open_authorization(sign_in, asked, client, browser, signed_in.account)
    if patient not in {known for known, _ in await choices(sign_in, signed_in.account)}:
        raise Lost("This patient is not one of yours.")
    account_id = signed_in.account.id
    await sign_in.ports.state.write(
        lambda tx: tx.change(OpenAuthorization, [("hash", "=", asked.key)], patient=patient, picked_by=account_id)
    )


async def decide(
    sign_in: SignIn, handle: str, browser: str, signed_in: SignedIn, ticked: Collection[str] | None, caller: Caller
) -> Answer:
    """Finish: a redirect with a code, or with `access_denied` when `ticked` is None or nothing is left. Lost.

    `ticked` are scopes the person left on, or narrower ones; launch and identity scopes other than those of staying
    connected go along.
    """
    asked, client = await look(sign_in, handle)
    if _stale(signed_in, asked):
        raise Lost("There is nothing to consent to yet.")
    opened = await open_authorization(sign_in, asked, client, browser, signed_in.account)
    step = await _step(sign_in, opened, signed_in.account)
    if not isinstance(step, NeedsConsent):
        raise Lost("There is nothing to consent to yet.")
    granted = kept(step.scopes, parse_scopes(" ".join(ticked))) if ticked is not None else ScopeSet()
    ports = sign_in.ports
    moment = Moment(sign_in.issuer, ports.ids, ports.clock.now())

    def work(tx: StateTransaction) -> Answer:
        if not still_online(tx, signed_in.session.hash, moment.now):  # and it stays so until this is written
            raise Lost("You were signed out meanwhile. Start again from the app.")
        live = [("hash", "=", asked.key), ("browser", "=", digest(browser)), ("expires_at", ">", moment.now)]
        if not tx.change(OpenAuthorization, live, browser=DECIDED):
            raise Lost("This authorization is over. Start again from the app.")
        account, mine = signed_in.account, [("account_id", "=", signed_in.account.id), ("client_id", "=", client.id)]
        new = not tx.count(Grant, *mine)
        answer = _conclude(build_server(tx, moment), opened, step, signed_in, granted, caller)
        if new and tx.count(Grant, *mine):
            tx.apply(*notices(ports, account, "new-app"))
        return answer

    return await ports.state.write(work)


def _refusal(tx: StateTransaction, moment: Moment, request: LaunchRequest) -> tuple[Answer, OAuth2Error] | None:
    server = build_server(tx, moment)
    try:
        server.get_consent_grant(request)
    except OAuth2Error as error:
        return server.handle_error_response(request, error), error
    return None


async def _step(sign_in: SignIn, opened: Opened, account: Account) -> NeedsPatient | NeedsConsent:
    asked, scopes = opened.asked, _kept_promises(parse_scopes(opened.asked.scope), account)
    known = await choices(sign_in, account)
    patient = chosen(account, known, opened.row.patient, opened.row.picked_by)
    if opened.launch is not None and opened.launch.patient is not None:
        patient = _launched(opened.launch, known)
    if patient is None and account.role != "patient" and wants_patient(scopes):
        return NeedsPatient(opened.client.name, known)
    origin = parse_redirect_uri(asked.redirect_uri).origin
    return NeedsConsent(opened.client.name, scopes, patient, origin, opened.client.verified)


def _kept_promises(scopes: ScopeSet, account: Account) -> ScopeSet:
    """Without `fhirUser` for somebody who is nobody in the records: what is granted has to be in the id_token."""
    return scopes if fhir_user(account) else ScopeSet(scopes.fhir, scopes.launch - {"fhirUser"}, scopes.v1)


def _launched(launch: Launch, known: Sequence[Choice]) -> Choice:
    """The patient of the launch. Lost when this person may not open the record (any more)."""
    for choice in known:
        if choice[0] == launch.patient:
            return choice
    raise Lost("The patient of this launch is not one of yours. Start again from the record.")


def _conclude(
    server: LaunchServer, opened: Opened, step: NeedsConsent, signed_in: SignedIn, granted: ScopeSet, caller: Caller
) -> Answer:
    """Everything is checked anew by the core, as it stands now: the client may have been disabled meanwhile."""
    account, scope = signed_in.account, serialise(granted)
    request = _request(opened.asked, scope, server)
    launched = opened.launch if "launch" in granted.launch else None
    in_context = wants_patient(granted) or launched is not None
    patient = step.patient[0] if step.patient and in_context else None
    request.facts = Consent(account, patient, opened.asked.nonce, signed_in.session, launched)
    allowed = bool(granted.fhir or granted.launch)
    grant = server.get_authorization_grant(request)
    answer: Answer = server.create_authorization_response(request, grant_user=account if allowed else None, grant=grant)
    outcome = "success" if allowed and answer.location and "code=" in answer.location else "refused"
    server.tx.apply(Append(_audit(server.moment.now, outcome, request, account, caller, scope or "denied")))
    return answer


def _request(asked: Asked, scope: str, server: LaunchServer) -> LaunchRequest:
    parameters = {
        "response_type": "code",
        "client_id": asked.client_id,
        "redirect_uri": asked.redirect_uri,
        "scope": scope or asked.scope,
        "code_challenge": asked.challenge,
        "code_challenge_method": "S256",
        "aud": server.moment.issuer.fhir,
    }
    optional = {"state": asked.state, "nonce": asked.nonce}
    return LaunchRequest("POST", parameters | {name: value for name, value in optional.items() if value is not None})


def _stale(signed_in: SignedIn, asked: Asked) -> bool:
    return asked.fresh_after is not None and signed_in.session.created_at < asked.fresh_after


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
