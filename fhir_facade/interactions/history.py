"""History of an instance, of a type and of the whole system. https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from datetime import datetime
from typing import Final

import msgspec

from fhir_facade.access.check import Deny
from fhir_facade.access.compartment import type_rules
from fhir_facade.access.policy import is_whole
from fhir_facade.errors import BadRequest, Forbidden, Gone, MethodNotAllowed, NotFound
from fhir_facade.fhir.bundle import history_bundle
from fhir_facade.fhir.definitions import is_resource_type
from fhir_facade.fhir.history import HISTORY_PARAMETERS, UNDERSTOOD_ELSEWHERE
from fhir_facade.fhir.query import DEFAULT_COUNT, MAX_COUNT, ParsedSearch, whole_number
from fhir_facade.fhir.query.dates import parse_date, parse_instant
from fhir_facade.fhir.query.parse import SYSTEM
from fhir_facade.fhir.references import ID
from fhir_facade.interactions.audit import audit_lines, patients_of_stored, record_lines
from fhir_facade.interactions.audit_events import NEVER_CHANGED
from fhir_facade.interactions.audit_resource import AUDIT_EVENT
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.history_pages import page_of, version_may_leave
from fhir_facade.interactions.history_parts import EARLIEST, LATEST, history_of_parts, members, open_to
from fhir_facade.interactions.pages import Asked, open_page, page_links
from fhir_facade.interactions.read import visible
from fhir_facade.interactions.shape import shape_of, shaped
from fhir_facade.values import DateValue, FhirResponse, HistoryQuery, Page, StoredResource

Period = tuple[datetime, datetime]
PATIENT: Final = "Patient"

_NAMES = tuple(parameter.name for parameter in HISTORY_PARAMETERS)
_KNOWN = frozenset(_NAMES) | UNDERSTOOD_ELSEWHERE


async def history(call: Call) -> FhirResponse:
    """Versions newest first. Who may not see the current version of a resource sees none; each version is judged by
    itself. A total is given where everything fits on one page, and for one resource that is seen whole."""
    asked = open_page(call)
    query = history_query(call, asked)
    if call.request.id is not None and not call.sees_all:
        await _refuse_foreign(call)
    page, versions = await (page_of(call, query) if _is_plain(call, asked) else _page_of_parts(call, query, asked))
    about = patients_of_stored(version for version in versions if not version.deleted) or await _about(call)
    await record_lines(call.ports, audit_lines(call.ports, call.principal, call.request, about))
    return FhirResponse(200, _bundle(call, asked.counted(query.count), page, _shaped(call, asked, versions)))


def _shaped(call: Call, asked: Asked, versions: Sequence[StoredResource]) -> Sequence[StoredResource]:
    """As much of each as is asked for."""
    shape = _shape(call, asked)
    if shape is None:
        return versions
    return [one if one.deleted else msgspec.structs.replace(one, body=shaped(one.body, shape)) for one in versions]


def _shape(call: Call, asked: Asked) -> ParsedSearch | None:
    wanted = msgspec.structs.replace(call, request=msgspec.structs.replace(call.request, params=tuple(asked.params)))
    return shape_of(wanted, call.request.type or SYSTEM)


def _is_plain(call: Call, asked: Asked) -> bool:
    """Whether the store itself knows this history."""
    names = {name for name, _ in asked.params}
    return names.isdisjoint(("_type", "_list")) and (call.request.id is not None or is_whole(call.allow))


async def _page_of_parts(call: Call, query: HistoryQuery, asked: Asked) -> tuple[Page, Sequence[StoredResource]]:
    """Of some types, of what lists hold, or of what the caller may see."""
    types, lists = _types(call, asked), [_list_id(value) for name, value in asked.params if name == "_list"]
    listed = None if not lists else frozenset.intersection(*[await members(call, each) for each in lists])
    if listed is not None and call.request.id is not None:
        return await page_of(call, query) if call.ref in listed else (Page((), total=0), ())
    page = await history_of_parts(call, query, types, listed, lambda version: version_may_leave(call, version))
    whole = query.cursor is None and page.cursor is None and query.count > 0
    return dataclasses.replace(page, total=len(page.entries) if whole else None), page.entries


async def _refuse_foreign(call: Call) -> None:
    with suppress(Gone):  # it was the caller's to the end
        await visible(call, call.ref)


async def _about(call: Call) -> Set[str]:
    """Whose record it is when no version of it is shown: how many there are tells of it too."""
    if call.request.id is None or call.type == PATIENT:
        return {call.request.id} if call.request.id is not None else set()
    try:
        page = await call.ports.store.history(HistoryQuery(call.type, call.request.id, count=2))
    except NotFound:
        return set()
    return patients_of_stored(version for version in page.entries if not version.deleted)


def _bundle(call: Call, asked: Asked, page: Page, versions: Sequence[StoredResource]) -> bytes:
    return history_bundle(
        versions,
        base_url=call.ports.deployment.fhir_url,
        links=page_links(call, asked, page),
        total=page.total,
        id=call.ports.ids.new(),
        now=call.ports.clock.now(),
    )


# --- what is asked --------------------------------------------------------------------------------------------


def history_query(call: Call, asked: Asked) -> HistoryQuery:
    """`_count`, `_since` and `_at`. BadRequest for parameters that no history has."""
    values = dict(asked.params)
    unknown = set(values) - _KNOWN
    if unknown:
        known = ", ".join(_NAMES)
        raise BadRequest(f"history does not take {', '.join(sorted(unknown))}: {known} are known")
    shape = _shape(call, asked)
    count = min(whole_number("_count", values.get("_count", str(DEFAULT_COUNT))), MAX_COUNT)
    return HistoryQuery(
        call.request.type,
        call.request.id,
        since=parse_instant(values["_since"]) if "_since" in values else None,
        at=_period([value for name, value in asked.params if name == "_at"], call.ports.clock.now()),
        count=0 if shape is not None and shape.summary == "count" else count,
        cursor=asked.cursor,
        total=call.request.id is not None,
    )


def _types(call: Call, asked: Asked) -> list[str]:
    """Those that `_type` names, or all that are open to the caller. BadRequest, Forbidden, MethodNotAllowed."""
    if call.request.type == AUDIT_EVENT and call.request.id is None:
        raise MethodNotAllowed(NEVER_CHANGED)
    named = [kind for name, value in asked.params if name == "_type" for kind in value.split(",")]
    if not named:
        return open_to(call)
    if call.request.type is not None:
        raise BadRequest("_type is for the history of the whole server: the address names the type here")
    unknown = [kind for kind in named if not is_resource_type(kind) or type_rules()[kind].type_class == "transient"]
    if unknown:
        raise BadRequest(f"_type={unknown[0]}: this is no resource type that has a history here")
    if AUDIT_EVENT in named:
        raise BadRequest(NEVER_CHANGED)
    rights = [call.search_rights(kind) for kind in dict.fromkeys(named)]
    refused = next((each for each in rights if isinstance(each, Deny)), None)
    if refused is not None:
        raise Forbidden(refused.reason)
    return sorted(set(named))


def _list_id(value: str) -> str:
    id_ = value.removeprefix("List/")
    if not ID.fullmatch(id_):
        raise BadRequest(f"_list={value}: it must be the id of a List")
    return id_


_PERIODS: Mapping[str, Callable[[DateValue], Period]] = {
    "eq": lambda date: (date.low, date.high),
    "gt": lambda date: (date.high, LATEST),
    "sa": lambda date: (date.high, LATEST),
    "ge": lambda date: (date.low, LATEST),
    "lt": lambda date: (EARLIEST, date.low),
    "eb": lambda date: (EARLIEST, date.low),
    "le": lambda date: (EARLIEST, date.high),
}


def _period(texts: Sequence[str], now: datetime) -> Period | None:
    """The time that all `_at` name together. BadRequest when there is none."""
    if not texts:
        return None
    dates = [parse_date("_at", text, now) for text in texts]
    if not all(date.prefix in _PERIODS for date in dates):
        raise BadRequest(f"_at takes a date alone or with one of: {', '.join(_PERIODS)}")
    periods = [_PERIODS[date.prefix](date) for date in dates]
    low, high = max(low for low, _ in periods), min(high for _, high in periods)
    if low >= high:
        raise BadRequest("the dates of _at name no time together")
    return low, high
