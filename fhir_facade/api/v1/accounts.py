"""Accounts over REST: who can sign in. Administrators keep them, everybody sees and changes their own.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from fhir_facade.api.dependencies import Caller, CallerDep, PortsDep, deps_of, origin_of
from fhir_facade.api.v1.account_shapes import (
    Changes,
    Link,
    NewPerson,
    OwnChanges,
    People,
    Person,
    Role,
    SignedOut,
    SignOut,
    SignUp,
)
from fhir_facade.api.v1.ids import PathId
from fhir_facade.errors import BadRequest, Forbidden, NotFound, Unauthenticated
from fhir_facade.flows.accounts import NewAccount, change_account
from fhir_facade.flows.admission import record_look
from fhir_facade.flows.enrol import enrol
from fhir_facade.flows.launch.identity import fhir_user
from fhir_facade.flows.launch.sign_in import Caller as SignInCaller
from fhir_facade.flows.launch.userinfo import granted_words
from fhir_facade.flows.password_links import LIVES, link_to_choose, make_password_link
from fhir_facade.flows.passwords import replace_password, show_password
from fhir_facade.flows.registry import accounts_page, find_account
from fhir_facade.flows.sign_ins import end_sign_ins_of
from fhir_facade.flows.signing_up import sign_up
from fhir_facade.rows.accounts import Account

PREFIX: Final = "/api/v1"
MOST: Final = 200
NO_STORE: Final = {"Cache-Control": "no-store"}
WHO_IS_SIGNED_IN: Final = frozenset(("openid", "fhirUser", "profile"))
"""The scopes that together open an account to an app: the statement, the record it belongs to, the name."""

router = APIRouter(prefix=PREFIX, tags=["accounts"])


@router.post("/accounts/register", status_code=201, response_model=Person)
async def register(asked: SignUp, request: Request, ports: PortsDep) -> Any:
    """A patient makes an account, together with the Patient. 403 where this deployment does not offer it."""
    new = NewAccount(asked.username, "patient", asked.password.get_secret_value(), zone=asked.zone)
    flood = deps_of(request).oauth.sign_in.flood
    return _made(await sign_up(ports, new, asked.patient, flood=flood, origin=origin_of(request)))


@router.get("/me", response_model=Person)
async def me(request: Request, ports: PortsDep, caller: CallerDep) -> Any:
    """The account of whoever asks. An app needs the scopes openid, fhirUser and profile, and no scope opens the address
    for notices."""
    account = await _own(ports, caller)
    if caller.principal.client is None:
        return _shown(account)
    if WHO_IS_SIGNED_IN - await granted_words(ports, request.headers["Authorization"]):
        raise Forbidden("Ask for the scopes openid, fhirUser and profile; /oauth/userinfo tells what each opens.")
    return {**_shown(account), "email": None}


@router.patch("/me", response_model=Person)
async def change_me(asked: OwnChanges, ports: PortsDep, caller: CallerDep) -> Any:
    """Change the own time zone, password, or where notices go."""
    account = await _own(ports, caller)
    if caller.principal.client is not None:
        raise Forbidden("Apps do not change accounts: sign in on our own pages.")
    current = asked.current_password.get_secret_value() if asked.current_password else ""
    who = SignInCaller(caller.address, caller.request_id)
    if asked.password is not None:
        new = asked.password.get_secret_value()
        await replace_password(
            ports, account, current=current, new=new, keep=caller.session, caller=who, keep_apps=asked.keep_apps
        )
    elif asked.email is not None:
        await show_password(ports, account, current, who)
    kept = await change_account(
        ports, account.id, zone=asked.zone, email=asked.email, language=asked.language, actor="person"
    )
    return _shown(kept)


@router.get("/accounts", response_model=People)
async def list_(
    ports: PortsDep,
    caller: CallerDep,
    role: Role | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
    after: Annotated[str | None, Query(max_length=400)] = None,
) -> Any:
    """All accounts, disabled ones included."""
    _administrate(caller)
    await record_look(ports, caller.principal, "accounts listed", caller.origin)
    rows, following = await accounts_page(ports, role=role, after=after, limit=limit)
    return {"accounts": [_shown(row) for row in rows], "next": following}


@router.post("/accounts", status_code=201, response_model=Person)
async def make(asked: NewPerson, ports: PortsDep, caller: CallerDep) -> Any:
    """Make an account; with `person` also the resource in the records: both or none."""
    _administrate(caller)
    new = NewAccount(
        asked.username,
        asked.role,
        asked.password.get_secret_value(),
        patient_id=asked.patient,
        practitioner_id=asked.practitioner,
        zone=asked.zone,
        related_person_id=asked.related_person,
        organization_id=asked.organization,
        email=asked.email,
        language=asked.language,
    )
    return _made(await enrol(ports, new, asked.person, actor=_actor(caller), origin=caller.origin))


@router.get("/accounts/{account_id}", response_model=Person)
async def look(account_id: PathId, ports: PortsDep, caller: CallerDep) -> Any:
    """One account."""
    _administrate(caller)
    account = await find_account(ports, account_id)
    await record_look(ports, caller.principal, "account shown", caller.origin, account=account.id)
    return _shown(account)


@router.patch("/accounts/{account_id}", response_model=Person)
async def change(account_id: PathId, asked: Changes, ports: PortsDep, caller: CallerDep) -> Any:
    """Change time zone, password or address, disable or enable again."""
    _administrate(caller)
    _spare_oneself(caller, account_id, disabled=bool(asked.disabled))
    password = asked.password.get_secret_value() if asked.password else None
    actor = _actor(caller)
    changed = await change_account(
        ports,
        account_id,
        zone=asked.zone,
        password=password,
        disabled=asked.disabled,
        email=asked.email,
        language=asked.language,
        actor=actor,
    )
    return _shown(changed)


@router.post("/accounts/{account_id}/password-link", status_code=201, response_model=Link)
async def link(account_id: PathId, request: Request, ports: PortsDep, caller: CallerDep) -> Any:
    """Make a link with which the person chooses a new password, once; older links end. It is told here only."""
    _administrate(caller)
    secret, made = await make_password_link(ports, account_id, actor=_actor(caller)), ports.clock.now()
    content = {"url": link_to_choose(deps_of(request).oauth.issuer.base, secret), "expires_at": made + LIVES}
    return JSONResponse(Link.model_validate(content).model_dump(mode="json"), 201, NO_STORE)


@router.post("/accounts/{account_id}/sign-out", response_model=SignedOut)
async def sign_out(account_id: PathId, ports: PortsDep, caller: CallerDep, asked: SignOut | None = None) -> Any:
    """Sign the person out everywhere, and end what apps were allowed; `{"keep_apps": true}` lets the apps go on."""
    _administrate(caller)
    keep = asked is not None and asked.keep_apps
    ended = await end_sign_ins_of(ports, await find_account(ports, account_id), actor=_actor(caller), keep_apps=keep)
    return SignedOut(sessions=ended.sessions, permissions=ended.permissions)


@router.delete("/accounts/{account_id}", response_model=Person)
async def deactivate(account_id: PathId, ports: PortsDep, caller: CallerDep) -> Any:
    """No sign-in from now on: sessions, permissions and tokens end. The record of the person stays."""
    _administrate(caller)
    _spare_oneself(caller, account_id, disabled=True)
    return _shown(await change_account(ports, account_id, disabled=True, actor=_actor(caller)))


def _administrate(caller: Caller) -> None:
    """Administrators, on their own behalf: no app keeps accounts for them."""
    if caller.principal.kind != "admin" or caller.principal.client is not None:
        raise Forbidden("Accounts are kept by administrators, signed in here themselves.")


def _spare_oneself(caller: Caller, account_id: str, *, disabled: bool) -> None:
    """Somebody has to be left who can let people in again."""
    if disabled and account_id == caller.principal.user:
        raise BadRequest("You cannot disable your own account: another administrator can.")


def _actor(caller: Caller) -> str:
    return caller.principal.name or "admin"


async def _own(ports: PortsDep, caller: Caller) -> Account:
    if caller.principal.user is None:
        raise Unauthenticated("This token belongs to no person.")
    try:
        return await find_account(ports, caller.principal.user)
    except NotFound:
        raise Unauthenticated("The account is gone.") from None


def _made(account: Account) -> JSONResponse:
    content = Person(**_shown(account)).model_dump(mode="json")
    return JSONResponse(content, 201, {"Location": f"{PREFIX}/accounts/{account.id}", **NO_STORE})


def _shown(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "username": account.username,
        "role": account.role,
        "fhirUser": fhir_user(account),
        "organization": account.organization_id,
        "zone": account.zone,
        "email": account.email,
        "language": account.language,
        "disabled": account.disabled,
        "created_at": account.created_at,
    }
