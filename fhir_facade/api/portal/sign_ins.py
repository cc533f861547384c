"""Where a person is signed in, and signing out elsewhere.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md (7.4.5, 7.5.2)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from fhir_facade.api.oauth.browser import Form
from fhir_facade.api.portal.visit import Visit
from fhir_facade.errors import BadRequest, Forbidden, TooManyRequests
from fhir_facade.flows.accounts import SHORTEST_PASSWORD
from fhir_facade.flows.passwords import replace_password
from fhir_facade.flows.sign_ins import (
    acknowledge_devices,
    end_other_sign_ins,
    end_sign_in,
    new_devices,
    sign_ins,
)
from fhir_facade.rows.accounts import KnownDevice


@dataclass(frozen=True, slots=True)
class Place:
    """One session, ready to be read."""

    id: str
    device: str
    address: str
    since: str
    seen: str
    current: bool


async def look(visit: Visit) -> Response:
    """GET /sign-ins."""
    return await _page(visit)


async def _page(visit: Visit, *, status: int = 200, problem: str = "") -> Response:
    words, account = visit.words(), visit.signed_in.account
    found = await sign_ins(visit.ports, account, visit.signed_in.session.hash)
    places = [
        Place(
            each.id,
            each.device or visit.t("sign_ins.unknown_device"),
            each.address or "",
            words.moment(each.since),
            words.moment(each.seen),
            each.current,
        )
        for each in found
    ]
    return visit.show("portal/sign_ins.html", status=status, places=places, news=await news(visit), problem=problem)


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
    """POST /sign-ins/password: the present one and a new one; every other session ends."""
    account, session = visit.signed_in.account, visit.signed_in.session
    try:
        new = form.fields.get("new", "")
        current = form.fields.get("current", "")
        await replace_password(visit.ports, account, current=current, new=new, keep=session.hash, caller=visit.caller)
    except (Forbidden, TooManyRequests):
        return await _page(visit, status=403, problem=visit.t("password.wrong"))
    except BadRequest:
        return await _page(visit, status=400, problem=visit.t("password.rules", shortest=SHORTEST_PASSWORD))
    return visit.go("/sign-ins", "password")


async def news(visit: Visit) -> Sequence[str]:
    """Sentences on devices that signed in for the first time."""
    return [
        _told(visit, row) for row in await new_devices(visit.ports, visit.signed_in.account, visit.signed_in.session)
    ]


def _told(visit: Visit, row: KnownDevice) -> str:
    device = row.name or visit.t("sign_ins.unknown_device")
    return visit.t("sign_ins.new", device=device, when=visit.words().moment(row.first_at))
