"""What a person allowed apps to do: seen and withdrawn; and apps that are opened from a record.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html (management_endpoint)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from fhir_facade.api.oauth.browser import Form
from fhir_facade.api.pages.permissions import permissions
from fhir_facade.api.pages.render import see_other
from fhir_facade.api.portal.visit import Visit
from fhir_facade.errors import NotFound
from fhir_facade.flows.launch.apps import GrantView, grants_of, withdraw
from fhir_facade.flows.launch.choices import CHOOSERS
from fhir_facade.flows.launch.launches import NewLaunch, issue_launch, launchable_apps
from fhir_facade.flows.launch.redirects import parse_redirect_uri
from fhir_facade.flows.people import patients_of


@dataclass(frozen=True, slots=True)
class AllowedApp:
    """One consent, ready to be read."""

    id: str
    name: str
    verified: bool
    patient: str
    permissions: Sequence[str]
    since: str
    used: str
    until: str


async def look(visit: Visit) -> Response:
    """GET /apps: what was allowed, the newest first."""
    account = visit.signed_in.account
    found = await grants_of(visit.ports, account)
    named = dict(await patients_of(visit.ports, account)) if account.role in CHOOSERS and found else {}
    return visit.show("portal/apps.html", grants=[_shown(visit, each, named) for each in found])


async def end(visit: Visit, form: Form) -> Response:
    """POST /apps/{grant}/withdraw."""
    await withdraw(visit.ports, visit.signed_in.account, visit.part("grant"), visit.caller)
    return visit.go("/apps", "withdrawn")


async def start(visit: Visit, form: Form) -> Response:
    """POST /launches: open an app with a patient's record; the browser goes to the app."""
    new = NewLaunch(form.fields.get("app", ""), patient=form.fields.get("patient") or None)
    iss = visit.portal.oauth.issuer.fhir
    issued = await issue_launch(visit.ports, visit.principal, new, iss=iss, origin=visit.origin)
    if issued.url is None:
        raise NotFound("This app has no address to open it at.")
    return see_other(issued.url)


async def openable(visit: Visit) -> tuple[Sequence[tuple[str, str]], Sequence[str]]:
    """The apps that can be opened from a record as (id, name), and the origins their forms lead to."""
    apps = await launchable_apps(visit.ports)
    origins = {parse_redirect_uri(app.launch_uri).origin for app in apps if app.launch_uri}
    return [(app.id, app.name) for app in apps], sorted(origins)


def _shown(visit: Visit, grant: GrantView, named: Mapping[str, str]) -> AllowedApp:
    t, words = visit.t, visit.words()
    own = grant.patient is not None and grant.patient == visit.principal.patient
    moments: dict[str, Any] = {
        "since": words.moment(grant.since),
        "used": words.moment(grant.used) if grant.used else "",
        "until": words.moment(grant.until),
    }
    return AllowedApp(
        id=grant.id,
        name=grant.client_name or t("apps.command_line"),
        verified=grant.verified,
        patient="" if own or grant.patient is None else named.get(grant.patient, grant.patient),
        permissions=[line.text for line in permissions(grant.scopes, t, own=own)],
        **moments,
    )
