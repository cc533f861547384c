"""Connecting a wearable, watching the first synchronisation, disconnecting: each step is a plain form.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.responses import Response

from fhir_facade.api.oauth.browser import Form
from fhir_facade.api.pages.render import see_other
from fhir_facade.api.portal.visit import Visit
from fhir_facade.api.portal.wording import Wording
from fhir_facade.api.v1.connections import CALLBACK
from fhir_facade.flows import connect, connections
from fhir_facade.flows.connections import ConnectionView
from fhir_facade.flows.progress import Progress, progress
from fhir_facade.flows.wearables.acting import reachable
from fhir_facade.ports import Ports
from fhir_facade.values import Interaction

PATIENCE_S: Final = 2.0
"""How long an answer waits for a synchronisation before it shows the progress instead."""

_TONES: Final = {"active": "good", "pending": "calm"}
_READABLE: Final = frozenset(("active", "missing-scopes", "error"))


@dataclass(frozen=True, slots=True)
class Wearable:
    """A connection as pages show it. `readable`: it can be synchronised; `renewable`: connecting again would help."""

    view: ConnectionView
    title: str
    last_sync: str

    @property
    def tone(self) -> str:
        return _TONES.get(self.view.state, "warn")

    @property
    def readable(self) -> bool:
        return self.view.state in _READABLE

    @property
    def renewable(self) -> bool:
        return self.view.state not in ("active", "retired")


def wearable(ports: Ports, view: ConnectionView, words: Wording) -> Wearable:
    last = "" if view.last_sync_at is None else words.moment(view.last_sync_at)
    return Wearable(view, vendor_title(ports, view.vendor), last)


def vendor_title(ports: Ports, vendor: str) -> str:
    known = ports.vendors.get(vendor)
    return vendor if known is None else known.title


def vendor_origins(ports: Ports) -> list[str]:
    """Where the form that connects may lead: browsers check the redirect of a form, too."""
    addresses = (vendor.authorize_url(state="", challenge="", redirect_uri="") for vendor in ports.vendors.values())
    return [f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, addresses)]


def connectable(ports: Ports, connections: Sequence[ConnectionView]) -> list[tuple[str, str]]:
    """(name, title) of the vendors a person has no connection with."""
    known = {connection.vendor for connection in connections}
    return [(name, vendor.title) for name, vendor in ports.vendors.items() if name not in known]


async def begin(visit: Visit, form: Form) -> Response:
    """POST /connections: off to the vendor's consent page."""
    begun = await connect.begin(
        visit.ports,
        visit.principal,
        vendor=form.fields.get("vendor", ""),
        redirect_uri=f"{visit.portal.oauth.issuer.base}{CALLBACK}",
        session=visit.signed_in.session.hash,
    )
    return see_other(begun.authorize_url)


async def look(visit: Visit) -> Response:
    """GET /connections/{id}: its state, and how far the synchronisation is. The vendor's redirect ends here."""
    return visit.show("portal/connection.html", form_targets=vendor_origins(visit.ports), **await _shown(visit))


async def follow(visit: Visit) -> Response:
    """GET /connections/{id}/progress: the part of the page that changes, for the script that watches it."""
    return visit.show("portal/_progress.html", **await _shown(visit))


async def _shown(visit: Visit) -> dict[str, Any]:
    view = await connections.look(visit.ports, visit.principal, visit.part("connection"))
    words, far = visit.words(view.zone), await progress(visit.ports, visit.principal, view.id)
    wanted = wearable(visit.ports, view, words)
    first = wanted.readable and view.last_sync_at is None and view.last_error is None
    return {
        "wearable": wanted,
        "progress": far,
        "watch": far.begun or first,
        "data": list(_through(far, words)),
        "unreadable": ", ".join(f"{words.t(f'data.{name}')} ({count})" for name, count in far.unreadable),
        "lookback": visit.ports.deployment.sync_lookback_days,
    }


def _through(far: Progress, words: Wording) -> Iterator[tuple[str, str]]:
    for name, day in far.through:
        yield words.t(f"data.{name}"), words.day(date.fromisoformat(day))


async def read_now(visit: Visit, form: Form) -> Response:
    """POST /connections/{id}/sync: read the data. What takes long goes on while the page shows how far it is."""
    connection = await reachable(visit.ports, visit.principal, visit.part("connection"), Interaction.CREATE)
    report = await visit.portal.syncs.wait_for(connection.id, wait_s=PATIENCE_S)
    if report is None or report.error is not None:
        return visit.go(f"/connections/{connection.id}")
    return visit.go("/", "read")


async def confirm(visit: Visit) -> Response:
    """GET /connections/{id}/disconnect: what disconnecting means, before it is done."""
    view = await connections.look(visit.ports, visit.principal, visit.part("connection"))
    return visit.show("portal/disconnect.html", view=view, title=vendor_title(visit.ports, view.vendor))


async def disconnect(visit: Visit, form: Form) -> Response:
    """POST /connections/{id}/disconnect."""
    ended = await connections.disconnect(visit.ports, visit.principal, visit.part("connection"))
    return visit.go("/", "disconnected" if ended.revoked else "not-revoked")
