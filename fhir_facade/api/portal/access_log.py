"""The page "Who looked at my data". https://www.w3.org/WAI/tutorials/tables/"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from fhir_facade.api.pages.texts import Text, messages
from fhir_facade.api.portal.visit import Visit
from fhir_facade.api.portal.wording import Wording
from fhir_facade.flows.access_log import EVERYTHING, NOTICE, Looked, Wanted, access_log

PATH = "/access-log"
PATH_OF_RECORD = "/patients/{id}"
SHOWS: Final[Mapping[str, Wanted]] = MappingProxyType(
    {
        "changed": Wanted(actions=("C", "U", "D")),
        "refused": Wanted(outcome="refused"),
        "emergency": Wanted(emergency=True),
    }
)
"""What the form offers beside everything: each is a text `log.show.*`."""
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
    """GET /access-log?show=&from=&to=&page=: one page, the newest first. `patient` is for a proxy of several."""
    words, asked = visit.words(), visit.request.query_params
    page, patient = asked.get("page"), asked.get("patient") or None
    chosen = {name: asked[name] for name in ("show", "from", "to", "patient") if asked.get(name)}
    found = await access_log(
        visit.ports,
        visit.principal,
        patient=patient,
        wanted=_wanted(chosen, words),
        page=page,
        origin=visit.origin,
    )
    return visit.show(
        "portal/access_log.html",
        rows=in_a_row(row_of(each, words) for each in found.entries),
        years=visit.ports.deployment.audit_kept_days // DAYS_OF_A_YEAR,
        older=f"{PATH}?{urlencode(chosen | {'page': found.next})}" if found.next else "",
        newest="" if page is None else f"{PATH}?{urlencode(chosen)}".rstrip("?"),
        shows=tuple(SHOWS),
        chosen=chosen,
        back=PATH_OF_RECORD.format(id=patient) if patient else "/",
    )


def _wanted(chosen: Mapping[str, str], words: Wording) -> Wanted:
    """What the form asks for. Its days are those of the reader's clock; what is no day is left out, and so are those
    at the ends of time, which no other clock has."""
    since, until = _day(chosen.get("from")), _day(chosen.get("to"))
    return replace(
        SHOWS.get(chosen.get("show", ""), EVERYTHING),
        since=_midnight(since, words) if since else None,
        until=_midnight(until + timedelta(days=1), words, before=timedelta(milliseconds=1)) if until else None,
    )


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        return None
    return day if day is not None and date.min.year < day.year < date.max.year else None


def _midnight(day: date, words: Wording, *, before: timedelta = timedelta(0)) -> str:
    return (datetime.combine(day, time(), words.zone) - before).astimezone(UTC).isoformat(timespec="milliseconds")


def row_of(looked: Looked, words: Wording) -> Row:
    """A line as its reader is told it."""
    t = words.t
    badge, tone = ("emergency", "bad") if looked.emergency else (looked.outcome, "warn")
    return Row(
        when=words.moment(looked.at),
        machine=words.machine(looked.at),
        who=_who(looked, t),
        whats=(
            t("log.notice") if looked.kind == NOTICE else t(f"log.action.{looked.action}", what=_what(looked.kind, t)),
        ),
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
