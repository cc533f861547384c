"""What somebody finds at `/`: the own record, the worklist, or what an administrator needs; and one patient's page."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.api.oauth.browser import browser_of
from fhir_facade.api.pages.render import page, see_other
from fhir_facade.api.portal.access_log import PATH as LOG
from fhir_facade.api.portal.alerts import lines
from fhir_facade.api.portal.apps import openable
from fhir_facade.api.portal.charts import chart_of
from fhir_facade.api.portal.connections import connectable, vendor_origins, wearable
from fhir_facade.api.portal.emergency import notices
from fhir_facade.api.portal.score_view import score_view
from fhir_facade.api.portal.sign_ins import news
from fhir_facade.api.portal.visit import Portal, Visit, enter
from fhir_facade.api.portal.wording import Wording
from fhir_facade.api.v1.alerts import PREFIX as ALERTS
from fhir_facade.flows.alert_stream import newest_event, place_text
from fhir_facade.flows.alerts import MOST, list_alerts
from fhir_facade.flows.overview import Overview, overview
from fhir_facade.flows.people import display_name, patients_of, staff_names
from fhir_facade.values import JsonObject, PatientId

PERIODS: Final = (30, 90)


async def start(portal: Portal, request: Request) -> Response:
    """GET /."""
    browser = await browser_of(portal.oauth, request)
    if browser.signed_in is None:
        return page(request, "portal/landing.html")
    visit = enter(portal, request, browser, browser.signed_in)
    match browser.signed_in.account.role:
        case "patient":
            return await _own_record(visit)
        case "practitioner" | "proxy" | "staff":
            return await _worklist(visit)
        case _:
            return visit.show("portal/admin.html", devices=await news(visit))


async def patient(visit: Visit) -> Response:
    """GET /patients/{id}: one patient of a practitioner. One's own record is at `/`."""
    wanted = visit.part("patient")
    if wanted == visit.principal.patient:
        return see_other("/")
    return await _record(visit, wanted, own=False)


async def _own_record(visit: Visit) -> Response:
    wanted = visit.principal.patient
    return visit.show("portal/no_record.html") if wanted is None else await _record(visit, wanted, own=True)


async def _record(visit: Visit, wanted: str, *, own: bool) -> Response:
    days, seen = _days(visit), await newest_event(visit.ports)
    zone = visit.signed_in.account.zone
    found = await overview(visit.ports, visit.principal, wanted, zone=zone, days=days, origin=visit.origin)
    apps, origins = await openable(visit)
    return visit.show(
        "portal/patient.html",
        form_targets=[*(vendor_origins(visit.ports) if own else ()), *origins],
        apps=apps,
        devices=await news(visit),
        own=own,
        log=_log(visit, wanted, own=own),
        emergencies=await notices(visit, PatientId(wanted)) if own else (),
        stream=_stream(visit, seen, patient=wanted),
        days=days,
        periods=PERIODS,
        **record_view(visit, found, own=own),
    )


def _log(visit: Visit, patient: str, *, own: bool) -> str:
    """Where it says who looked at the record; nowhere for who only works with it."""
    of_hers = LOG if own else f"{LOG}?{urlencode({'patient': patient})}"
    return of_hers if own or visit.principal.kind == "proxy" else ""


def _stream(visit: Visit, seen: int, **only: str) -> str:
    """Where a page hears of alerts that came after `seen`, which was asked for before the page looked."""
    return f"{ALERTS}/stream?{urlencode({**only, 'after': place_text(visit.ports, seen)})}"


def _days(visit: Visit) -> int:
    asked = visit.request.query_params.get("days", "")
    return int(asked) if asked in {str(period) for period in PERIODS} else PERIODS[0]


def record_view(visit: Visit, found: Overview, *, own: bool) -> dict[str, Any]:
    """What the page of a patient shows: readings by the patient's clock, what has to be acted upon by the reader's."""
    words, reader = visit.words(found.zone), visit.words()
    events = words if own else reader
    return {
        "patient": found.patient["id"],
        "name": display_name(found.patient),
        "facts": _facts(found.patient, words),
        "zone": found.zone if words.now_there.utcoffset() != reader.now_there.utcoffset() else "",
        "alerts": lines(found.alerts, events, visit.language, found.staff),
        "connections": [wearable(visit.ports, each, events) for each in found.connections],
        "connectable": connectable(visit.ports, found.connections),
        "score": None if found.score is None else score_view(found.score, words, visit.language),
        "charts": [chart_of(series, words, found.first, found.last) for series in found.readings],
    }


def _facts(patient: JsonObject, words: Wording) -> str:
    born = str(patient.get("birthDate", ""))
    if len(born) != len("1980-05-17"):
        return born and words.t("home.born", day=born)
    return words.t("home.born", day=words.date(date.fromisoformat(born)))


async def _worklist(visit: Visit) -> Response:
    """A practitioner's open alerts, and the patients with how many each has. It listens from before the look on."""
    seen = await newest_event(visit.ports)
    patients = await patients_of(visit.ports, visit.signed_in.account)
    found = await list_alerts(visit.ports, visit.principal, limit=MOST, origin=visit.origin)
    staff = await staff_names(visit.ports, visit.principal, [alert.owner for alert in found.alerts], visit.origin)
    return visit.show(
        "portal/practitioner.html",
        stream=_stream(visit, seen),
        alerts=lines(found.alerts, visit.words(), visit.language, staff, dict(patients)),
        patients=patients,
        open=Counter(alert.patient for alert in found.alerts),
        devices=await news(visit),
    )
