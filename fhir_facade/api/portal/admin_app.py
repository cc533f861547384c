"""One app, for administrators: registered, its addresses, scopes and keys changed, its secret replaced.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#register-app-with-ehr
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from fhir_facade.access.scopes import parse_scopes
from fhir_facade.api.oauth.browser import Form
from fhir_facade.api.pages.permissions import permissions
from fhir_facade.api.portal.admin import actor, administrated
from fhir_facade.api.portal.visit import Visit
from fhir_facade.errors import BadRequest, Conflict
from fhir_facade.flows.launch.client_changes import change_client, enable_client, find_client, rotate_secret
from fhir_facade.flows.launch.clients import KINDS, NewClient, add_client
from fhir_facade.flows.launch.invitations import DEFAULT_SCOPE
from fhir_facade.rows.oauth import Client

PATH: Final = "/admin/apps"
FIELDS: Final = ("name", "redirects", "scope", "launch", "logouts", "jwks", "jwks_uri")


async def open_app(visit: Visit) -> Response:
    """GET /admin/apps/{client}."""
    return _page(visit, await _client(visit))


async def change(visit: Visit, form: Form) -> Response:
    """POST /admin/apps/{client}: what people allowed beyond a narrower scope ends."""
    client, typed = await _client(visit), _typed(form)
    try:
        await change_client(visit.ports, _new(client.id, client.kind, typed), actor=actor(visit))
    except BadRequest as error:
        return _page(visit, client, typed=typed, status=400, problem=str(error))
    return visit.go(f"{PATH}/{client.id}", "app-changed")


async def rotate(visit: Visit, form: Form) -> Response:
    """POST /admin/apps/{client}/secret: the new one is on the page that answers, and nowhere else."""
    client = await _client(visit)
    secret = await rotate_secret(visit.ports, client.id, actor=actor(visit))
    return _page(visit, client, secret=secret)


async def enable(visit: Visit, form: Form) -> Response:
    """POST /admin/apps/{client}/enable."""
    client = await _client(visit)
    await enable_client(visit.ports, client.id, actor=actor(visit))
    return visit.go(f"{PATH}/{client.id}", "app-enabled")


async def look_new(visit: Visit) -> Response:
    """GET /admin/apps/new?kind=: the fields of that kind."""
    administrated(visit)
    kind = visit.request.query_params.get("kind", "")
    return _new_page(visit, kind if kind in KINDS else KINDS[0], {"scope": "" if kind == "backend" else DEFAULT_SCOPE})


async def make(visit: Visit, form: Form) -> Response:
    """POST /admin/apps: the page of the app, with its secret when one was made."""
    ports, typed = administrated(visit), _typed(form)
    id_, kind = form.fields.get("id", "").strip(), form.fields.get("kind", "")
    try:
        secret = await add_client(ports, _new(id_, kind, typed), actor=actor(visit))
    except (BadRequest, Conflict) as error:
        kind = kind if kind in KINDS else KINDS[0]
        return _new_page(visit, kind, typed | {"id": id_}, status=error.status, problem=str(error))
    return _page(visit, await find_client(ports, id_), status=201, secret=secret or "")


def _new(id_: str, kind: str, typed: Mapping[str, str]) -> NewClient:
    return NewClient(
        id=id_,
        kind=kind,
        scope=typed["scope"],
        name=typed["name"],
        redirect_uris=tuple(typed["redirects"].split()),
        jwks=typed["jwks"] or None,
        jwks_uri=typed["jwks_uri"] or None,
        launch_uri=typed["launch"] or None,
        logout_uris=tuple(typed["logouts"].split()),
    )


def _typed(form: Form) -> dict[str, str]:
    return {name: form.fields.get(name, "").strip() for name in FIELDS}


def _stored(client: Client) -> dict[str, str]:
    return {
        "name": client.name,
        "redirects": "\n".join(client.redirect_uris),
        "scope": client.scope,
        "launch": client.launch_uri or "",
        "logouts": "\n".join(client.logout_uris),
        "jwks": client.jwks or "",
        "jwks_uri": client.jwks_uri or "",
    }


def _page(visit: Visit, client: Client, *, typed: Mapping[str, str] | None = None, **values: Any) -> Response:
    common: dict[str, Any] = {"status": 200, "problem": "", "secret": ""}
    return visit.show(
        "portal/admin_app.html",
        client=client,
        typed=typed or _stored(client),
        since=visit.words().moment(client.created_at),
        keyed=client.jwks is not None or client.jwks_uri is not None,
        permissions=[line.text for line in permissions(parse_scopes(client.scope), visit.t)],
        **{**common, **values},
    )


def _new_page(visit: Visit, kind: str, typed: Mapping[str, str], *, status: int = 200, problem: str = "") -> Response:
    return visit.show(
        "portal/admin_new_app.html",
        status=status,
        kind=kind,
        kinds=KINDS,
        typed={name: typed.get(name, "") for name in ("id", *FIELDS)},
        problem=problem,
    )


async def _client(visit: Visit) -> Client:
    return await find_client(administrated(visit), visit.part("client"))
