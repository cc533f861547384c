"""The page "Who looked at my data". https://www.w3.org/WAI/tutorials/tables/"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
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
    """What one person or service did in a row, in words. `tone` colours its badge; `badge` is empty for what is nothing
    special. `when` is the newest of so many `times`."""

    when: str
    machine: str
    who: str
    whats: tuple[str, ...]
    app: str
    badge: str
    tone: str
    reason: str
    times: int = 1


async def look(visit: Visit) -> Response:
    """GET /access-log?page=: one page, the newest first."""
    page = visit.request.query_params.get("page")
    found = await access_log(visit.ports, visit.principal, page=page, origin=visit.origin)
    words = visit.words()
    return visit.show(
        "portal/access_log.html",
        rows=in_a_row(row_of(each, words) for each in found.entries),
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
        whats=(t(f"log.action.{looked.action}", what=_what(looked.kind, t)),),
        app=looked.app,
        badge="" if badge == "success" else t(f"log.{badge}"),
        tone=tone,
        reason=looked.reason,
    )


def in_a_row(rows: Iterable[Row]) -> list[Row]:
    """Neighbours who are the same, became one: what each did is named once."""
    found: list[Row] = []
    for row in rows:
        last = found[-1] if found else None
        if last is not None and _alike(last) == _alike(row):
            whats = tuple(dict.fromkeys((*last.whats, *row.whats)))
            found[-1] = replace(last, whats=whats, times=last.times + row.times)
        else:
            found.append(row)
    return found


def _alike(row: Row) -> tuple[str, ...]:
    return row.who, row.app, row.badge, row.reason


def _who(looked: Looked, t: Text) -> str:
    if looked.role == "engine":
        return t("log.engine")
    return looked.name or t(f"log.{looked.role}")


def _what(kind: str, t: Text) -> str:
    """The type in words; the rarer ones by their name in FHIR."""
    if not kind:
        return t("log.access")
    return t(f"type.{kind}") if f"type.{kind}" in messages("en") else t("log.kind", kind=kind)
