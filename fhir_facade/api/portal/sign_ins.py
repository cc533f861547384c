"""Where a person is signed in and was, with which devices; signing out elsewhere, password, address for notices.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md (7.4.5, 7.5.2)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from fhir_facade.api.oauth.browser import Form
from fhir_facade.api.pages.texts import Text
from fhir_facade.api.portal.visit import Visit
from fhir_facade.errors import BadRequest, Forbidden, TooManyRequests
from fhir_facade.flows.accounts import SHORTEST_PASSWORD, change_account
from fhir_facade.flows.common_passwords import is_common
from fhir_facade.flows.passwords import replace_password, show_password
from fhir_facade.flows.sign_ins import (
    acknowledge_devices,
    devices_of,
    end_other_sign_ins,
    end_sign_in,
    forget_device,
    history_of,
    new_devices,
    sign_ins,
)
from fhir_facade.rows.accounts import Account, KnownDevice
from fhir_facade.rows.audit import AuditLine


@dataclass(frozen=True, slots=True)
class Place:
    """One session, ready to be read."""

    id: str
    device: str
    address: str
    since: str
    seen: str
    current: bool


@dataclass(frozen=True, slots=True)
class Known:
    """A device that signed in before, ready to be read."""

    key: str
    device: str
    first: str
    last: str
    current: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the history of an account. `tone` colours its badge."""

    what: str
    tone: str
    when: str
    machine: str
    address: str


async def look(visit: Visit) -> Response:
    """GET /sign-ins."""
    return await _page(visit)


async def _page(visit: Visit, *, status: int = 200, **problems: str) -> Response:
    """`problems` say what was wrong with a form, by its name."""
    account = visit.signed_in.account
    return visit.show(
        "portal/sign_ins.html",
        status=status,
        places=await places(visit, account),
        known=await _devices(visit, account),
        history=await history(visit, account),
        news=await news(visit),
        problems={"password": "", "address": "", **problems},
        email=account.email or "",
        mail=visit.ports.mailer is not None,
    )


async def places(visit: Visit, account: Account) -> Sequence[Place]:
    """Where an account is signed in now."""
    words = visit.words()
    return [
        Place(
            each.id,
            each.device or visit.t("sign_ins.unknown_device"),
            each.address or "",
            words.moment(each.since),
            words.moment(each.seen),
            each.current,
        )
        for each in await sign_ins(visit.ports, account, visit.signed_in.session.hash)
    ]


async def history(visit: Visit, account: Account) -> Sequence[Moment]:
    """The last times somebody signed in to an account, or tried to."""
    words = visit.words()
    return [
        Moment(*_happened(visit, line), words.moment(line.at), words.machine(line.at), line.address or "")
        for line in await history_of(visit.ports, account)
    ]


def _happened(visit: Visit, line: AuditLine) -> tuple[str, str]:
    """What it was in words, and its tone."""
    if line.action == "logout":
        return visit.t("history.out"), "calm"
    if line.outcome != "success":
        return visit.t("history.refused"), "bad"
    return (visit.t("history.new"), "warn") if line.detail == "new device" else (visit.t("history.in"), "good")


async def _devices(visit: Visit, account: Account) -> Sequence[Known]:
    words, current = visit.words(), visit.signed_in.session.device
    unknown = visit.t("sign_ins.unknown_device")
    return [
        Known(row.hash, row.name or unknown, words.moment(row.first_at), words.moment(row.last_at), row.hash == current)
        for row in await devices_of(visit.ports, account)
    ]


async def end(visit: Visit, form: Form) -> Response:
    """POST /sign-ins/{session}/end: one of one's own."""
    await end_sign_in(visit.ports, visit.signed_in.account, visit.part("session"), visit.caller)
    return visit.go("/sign-ins", "signed-out")


async def end_others(visit: Visit, form: Form) -> Response:
    """POST /sign-ins/others/end."""
    await end_other_sign_ins(visit.ports, visit.signed_in.account, visit.signed_in.session.hash, visit.caller)
    return visit.go("/sign-ins", "signed-out")


async def know(visit: Visit, form: Form) -> Response:
    """POST /sign-ins/known: the new devices are one's own."""
    await acknowledge_devices(visit.ports, visit.signed_in.account, visit.signed_in.session)
    return visit.go("/sign-ins", "device-known")


async def change_password(visit: Visit, form: Form) -> Response:
    """POST /sign-ins/password: the present one and a new one; every other session ends, and what apps were allowed
    unless `keep_apps` is ticked."""
    account, session, typed = visit.signed_in.account, visit.signed_in.session, form.fields
    keep_apps = "keep_apps" in typed
    try:
        await replace_password(
            visit.ports,
            account,
            current=typed.get("current", ""),
            new=typed.get("new", ""),
            keep=session.hash,
            caller=visit.caller,
            keep_apps=keep_apps,
        )
    except (Forbidden, TooManyRequests):
        return await _page(visit, status=403, password=visit.t("password.wrong"))
    except BadRequest:
        return await _page(visit, status=400, password=why_not(visit.t, typed.get("new", "")))
    return visit.go("/sign-ins", "password" if keep_apps else "password-apps")


def why_not(t: Text, password: str) -> str:
    """What a refused password is told."""
    return t("password.common") if is_common(password) else t("password.rules", shortest=SHORTEST_PASSWORD)


async def forget(visit: Visit, form: Form) -> Response:
    """POST /sign-ins/devices/{device}/forget: signed out there, and announced when it comes back."""
    await forget_device(visit.ports, visit.signed_in.account, visit.part("device"))
    return visit.go("/sign-ins", "device-forgotten")


async def change_address(visit: Visit, form: Form) -> Response:
    """POST /sign-ins/address: where notices go, in the language of this page; it takes the password."""
    account, typed = visit.signed_in.account, form.fields
    try:
        await show_password(visit.ports, account, typed.get("current", ""), visit.caller)
        email = typed.get("email", "").strip()
        await change_account(visit.ports, account.id, email=email, language=visit.language, actor="person")
    except (Forbidden, TooManyRequests):
        return await _page(visit, status=403, address=visit.t("password.wrong"))
    except BadRequest:
        return await _page(visit, status=400, address=visit.t("address.rules"))
    return visit.go("/sign-ins", "address" if email else "no-address")


async def news(visit: Visit) -> Sequence[str]:
    """Sentences on devices that signed in for the first time."""
    return [
        _told(visit, row) for row in await new_devices(visit.ports, visit.signed_in.account, visit.signed_in.session)
    ]


def _told(visit: Visit, row: KnownDevice) -> str:
    device = row.name or visit.t("sign_ins.unknown_device")
    return visit.t("sign_ins.new", device=device, when=visit.words().moment(row.first_at))
