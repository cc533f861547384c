"""The apps of this deployment, for administrators: seen, checked, ended; and others are let register some.

https://www.rfc-editor.org/rfc/rfc7591#section-3, https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from fhir_facade.api.oauth.browser import Form
from fhir_facade.api.portal.admin import actor, administrated
from fhir_facade.api.portal.visit import Visit
from fhir_facade.errors import BadRequest
from fhir_facade.flows.admission import record_look
from fhir_facade.flows.launch.clients import disable_client, list_clients, verify_client
from fhir_facade.flows.launch.invitations import DEFAULT_SCOPE, invitations, invite, withdraw_invitation

USES = 1
DAYS = 7


@dataclass(frozen=True, slots=True)
class Invitation:
    """An initial access token, ready to be read; the token itself was shown when it was made."""

    id: str
    name: str
    uses: int
    until: str
    scope: str


async def look(visit: Visit) -> Response:
    """GET /admin/apps."""
    await record_look(administrated(visit), visit.principal, "clients listed", visit.origin)
    return await _page(visit)


async def verify(visit: Visit, form: Form) -> Response:
    """POST /admin/apps/{client}/verify."""
    await verify_client(administrated(visit), visit.part("client"), actor=actor(visit))
    return visit.go(_home(visit), "app-verified")


async def disable(visit: Visit, form: Form) -> Response:
    """POST /admin/apps/{client}/disable: its grants and tokens end."""
    await disable_client(administrated(visit), visit.part("client"), actor=actor(visit))
    return visit.go(_home(visit), "app-disabled")


async def let_register(visit: Visit, form: Form) -> Response:
    """POST /admin/invitations: the token is on the page that answers, and nowhere else."""
    ports = administrated(visit)
    name, scope = form.fields.get("name", "").strip(), form.fields.get("scope", "")
    try:
        if not 0 < len(name) <= 100 or not name.isprintable():
            raise BadRequest("Say for whom the token is, in at most 100 characters.")
        token = await invite(ports, name=name, scope=scope, uses=USES, days=DAYS, actor=actor(visit))
    except BadRequest as error:
        return await _page(visit, status=400, problem=str(error))
    return await _page(visit, token=token)


async def withdraw(visit: Visit, form: Form) -> Response:
    """POST /admin/invitations/{invitation}/withdraw."""
    await withdraw_invitation(administrated(visit), visit.part("invitation"), actor=actor(visit))
    return visit.go("/admin/apps", "invitation-withdrawn")


async def _page(visit: Visit, *, status: int = 200, token: str = "", problem: str = "") -> Response:
    ports = administrated(visit)
    clients = await list_clients(ports)
    return visit.show(
        "portal/admin_apps.html",
        status=status,
        clients=sorted(clients, key=lambda client: (client.disabled, client.verified, client.name.casefold())),
        invitations=await _open_invitations(visit),
        token=token,
        problem=problem,
        register=visit.portal.oauth.issuer.register,
        scope=DEFAULT_SCOPE,
        days=DAYS,
    )


async def _open_invitations(visit: Visit) -> Sequence[Invitation]:
    words = visit.words()
    rows = await invitations(visit.ports)
    return [Invitation(row.id, row.name, row.uses_left, words.moment(row.expires_at), row.scope) for row in rows]


def _home(visit: Visit) -> str:
    """The page of the app that something was done to."""
    return f"/admin/apps/{visit.part('client')}"
