"""The page "Who looked at my data". https://www.w3.org/WAI/tutorials/tables/"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import Response

from fhir_facade.api.pages.texts import Text, messages
from fhir_facade.api.portal.visit import Visit
from fhir_facade.api.portal.wording import Wording
from fhir_facade.flows.access_log import Looked, access_log

PATH = "/access-log"
DAYS_OF_A_YEAR = 365


@dataclass(frozen=True, slots=True)
class Row:
    """One line in words. `tone` colours its badge; `badge` is empty for what is nothing special."""

    when: str
    machine: str
    who: str
    what: str
    app: str
    badge: str
    tone: str
    reason: str


async def look(visit: Visit) -> Response:
    """GET /access-log?page=: one page, the newest first."""
    page = visit.request.query_params.get("page")
    found = await access_log(visit.ports, visit.principal, page=page, origin=visit.origin)
    words = visit.words()
    return visit.show(
        "portal/access_log.html",
        rows=[row_of(each, words) for each in found.entries],
        years=visit.ports.deployment.audit_kept_days // DAYS_OF_A_YEAR,
        older=f"{PATH}?{urlencode({'page': found.next})}" if found.next else "",
        newest="" if page is None else PATH,
    )


def row_of(looked: Looked, words: Wording) -> Row:
    """A line as its reader is told it."""
    t = words.t
    badge, tone = ("emergency", "bad") if looked.emergency else (looked.outcome, "warn")
    return Row(
        when=words.moment(looked.at),
        machine=words.machine(looked.at),
        who=_who(looked, t),
        what=t(f"log.action.{looked.action}", what=_what(looked.kind, t)),
        app=looked.app,
        badge="" if badge == "success" else t(f"log.{badge}"),
        tone=tone,
        reason=looked.reason,
    )


def _who(looked: Looked, t: Text) -> str:
    if looked.role == "engine":
        return t("log.engine")
    return looked.name or t(f"log.{looked.role}")


def _what(kind: str, t: Text) -> str:
    """The type in words; the rarer ones by their name in FHIR."""
    if not kind:
        return t("log.access")
    return t(f"type.{kind}") if f"type.{kind}" in messages("en") else t("log.kind", kind=kind)
