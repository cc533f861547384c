"""The accounts of this deployment, for administrators: found, looked at, disabled, helped back in.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md (6.4)
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from fhir_facade.api.oauth.browser import Form
from fhir_facade.api.portal.admin import actor, administrated
from fhir_facade.api.portal.password_links import address_of
from fhir_facade.api.portal.sign_ins import history, places
from fhir_facade.api.portal.visit import Visit
from fhir_facade.errors import BadRequest
from fhir_facade.flows.accounts import ROLES, change_account
from fhir_facade.flows.admission import record_look
from fhir_facade.flows.launch.identity import fhir_user
from fhir_facade.flows.password_links import LIVES, make_password_link
from fhir_facade.flows.registry import accounts_page, find_account
from fhir_facade.flows.sign_ins import end_sign_ins_of
from fhir_facade.rows.accounts import Account

PATH = "/admin/accounts"
PAGE = 25
LONGEST_SEARCH = 100


async def look(visit: Visit) -> Response:
    """GET /admin/accounts?text=&role=&after=: by name, so many on a page."""
    ports, asked = administrated(visit), visit.request.query_params
    text, role, after = asked.get("text", "").strip()[:LONGEST_SEARCH], asked.get("role", ""), asked.get("after")
    wanted = role if role in ROLES else None
    await record_look(ports, visit.principal, "accounts listed", visit.origin)
    rows, following = await accounts_page(ports, role=wanted, after=after, limit=PAGE, text=text)
    return visit.show(
        "portal/admin_accounts.html",
        accounts=[(row, person_of(row)) for row in rows],
        text=text,
        role=wanted or "",
        roles=ROLES,
        more=f"{PATH}?{urlencode({'text': text, 'role': wanted or '', 'after': following})}" if following else "",
        first=PATH if after or text or wanted else "",
    )


async def open_account(visit: Visit) -> Response:
    """GET /admin/accounts/{account}."""
    account = await _account(visit)
    await record_look(visit.ports, visit.principal, "account shown", visit.origin, account=account.id)
    return await account_page(visit, account)


async def disable(visit: Visit, form: Form) -> Response:
    """POST /admin/accounts/{account}/disable: sessions, permissions and tokens end."""
    account = await _account(visit)
    if account.id == visit.signed_in.account.id:
        raise BadRequest("You cannot disable your own account: another administrator can.")
    await change_account(visit.ports, account.id, disabled=True, actor=actor(visit))
    return visit.go(f"{PATH}/{account.id}", "account-disabled")


async def enable(visit: Visit, form: Form) -> Response:
    """POST /admin/accounts/{account}/enable."""
    account = await _account(visit)
    await change_account(visit.ports, account.id, disabled=False, actor=actor(visit))
    return visit.go(f"{PATH}/{account.id}", "account-enabled")


async def sign_out(visit: Visit, form: Form) -> Response:
    """POST /admin/accounts/{account}/sign-out: everywhere. Apps have to ask again, unless `keep_apps` is ticked."""
    account, keep_apps = await _account(visit), "keep_apps" in form.fields
    await end_sign_ins_of(visit.ports, account, actor=actor(visit), keep_apps=keep_apps)
    return visit.go(f"{PATH}/{account.id}", "account-signed-out" if keep_apps else "account-signed-out-apps")


async def change(visit: Visit, form: Form) -> Response:
    """POST /admin/accounts/{account}: e-mail address and time zone."""
    account, fields = await _account(visit), form.fields
    email, zone = fields.get("email", "").strip(), fields.get("zone", "").strip()
    try:
        await change_account(visit.ports, account.id, email=email, zone=zone, actor=actor(visit))
    except BadRequest as error:
        return await account_page(visit, account, status=400, problem=str(error), email=email, zone=zone)
    return visit.go(f"{PATH}/{account.id}", "account-changed")


async def reset(visit: Visit, form: Form) -> Response:
    """POST /admin/accounts/{account}/password-link: the link is on the page that answers, and nowhere else."""
    account = await _account(visit)
    secret = await make_password_link(visit.ports, account.id, actor=actor(visit))
    return await account_page(visit, account, link=address_of(visit, secret))


async def account_page(visit: Visit, account: Account, *, status: int = 200, **values: Any) -> Response:
    """One account; `values` replace what a form or a button brought up."""
    common: dict[str, Any] = {"problem": "", "link": "", "email": account.email or "", "zone": account.zone}
    return visit.show(
        "portal/admin_account.html",
        status=status,
        looked=account,
        person=person_of(account),
        own=account.id == visit.signed_in.account.id,
        since=visit.words().moment(account.created_at),
        places=await places(visit, account),
        history=await history(visit, account),
        hours=int(LIVES.total_seconds() // 3600),
        mail=visit.ports.mailer is not None,
        **{**common, **values},
    )


def person_of(account: Account) -> str:
    """The resource that the account is or belongs to, by its id: administrators do not read it."""
    return fhir_user(account) or (f"Organization/{account.organization_id}" if account.organization_id else "")


async def _account(visit: Visit) -> Account:
    return await find_account(administrated(visit), visit.part("account"))
