"""`$everything`: the record of a patient or of an encounter, page by page.

https://hl7.org/fhir/R4/patient-operation-everything.html, https://hl7.org/fhir/R4/encounter-operation-everything.html
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import structs

from fhir_facade.errors import BadRequest, Gone, Issue
from fhir_facade.fhir.bundle import Found, searchset
from fhir_facade.fhir.definitions import is_resource_type
from fhir_facade.fhir.operations import Inputs
from fhir_facade.interactions.audit import audit_lines, patients_of_stored, record_lines
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.matches import matches_of_page
from fhir_facade.interactions.operations.record_parts import (
    Part,
    Wanted,
    check_bounds,
    is_plain,
    itself,
    look,
    open_parts,
    present,
    stretches,
)
from fhir_facade.interactions.operations.supporting import supporting
from fhir_facade.interactions.page_bytes import bytes_of
from fhir_facade.interactions.pages import Asked, open_page, page_links
from fhir_facade.interactions.read import visible
from fhir_facade.values import FhirResponse, Page, SearchQuery, StoredResource, Ways

DEFAULT_COUNT: Final = 100
MAX_COUNT: Final = 1000
AT_ONCE: Final = 10
"""Records that are walked through together when all patients are asked for."""
AHEAD: Final = 8
"""Parts that are looked at in parallel at most."""


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ends: the stretch of parts, the records under way, the part of them and the place in it; how to find
    the next records; and by which parameters in the stretch something is theirs (None: nobody knows)."""

    stretch: int
    ids: tuple[str, ...]
    part: int = 0
    cursor: str | None = None
    more: str | None = None
    ways: Ways | None = None


async def everything(call: Call, inputs: Inputs) -> FhirResponse:
    """A searchset: what is in the compartment as matches, what that refers to outside of it as includes, on the page
    that refers to it. What the token does not reach is left out. The total is told where one page holds all."""
    wanted = _wanted(call, inputs)
    count = min(inputs.whole("_count") or DEFAULT_COUNT, MAX_COUNT)
    asked = dataclasses.replace(open_page(call), params=inputs.said).counted(count)
    place, found = await _begin(call, wanted) if asked.cursor is None else (_continue(asked.cursor), [])
    end = await _page(call, wanted, place, found, count)
    extra = await supporting(call, wanted, found)
    shown = [stored for stored in found if wanted.has(stored.type)]
    about = patients_of_stored([*shown, *extra]) | (
        {call.ref.id} if call.request.id and wanted.type == "Patient" else set()
    )
    await record_lines(call.ports, audit_lines(call.ports, call.principal, call.request, about))
    cursor = None if end is None else msgspec.json.encode(end).decode()
    return FhirResponse(200, _bundle(call, asked, cursor, shown, extra))


def _wanted(call: Call, inputs: Inputs) -> Wanted:
    unknown = [name for name in inputs.texts("_type") if not is_resource_type(name)]
    if unknown:
        issues = [Issue("value", f"_type={name} is no resource type of FHIR R4", "_type") for name in unknown]
        raise BadRequest(issues[0].diagnostics, issues=issues)
    types = frozenset(inputs.texts("_type"))
    wanted = Wanted(call.type, types, inputs.text("start"), inputs.text("end"), inputs.text("_since"))
    check_bounds(wanted)
    return wanted


# --- records, one after another ---------------------------------------------------------------------------------------


async def _begin(call: Call, wanted: Wanted) -> tuple[_Place | None, list[StoredResource]]:
    """The first place, and what is on the page by then: one record has been read, so that it is not searched."""
    if call.request.id is None:
        return await _next(call, wanted, None), []
    stored = await visible(call, call.ref)
    place = await _enter(call, wanted, _Place(0, (stored.id,)))
    own = open_parts(call, wanted, place.stretch, place.ways)
    if not own or own[0].type != wanted.type:
        return place, []
    return structs.replace(place, part=1), itself(call, wanted, stored)


def _continue(cursor: str) -> _Place:
    try:
        return msgspec.json.decode(cursor, type=_Place)
    except msgspec.DecodeError as error:
        raise Gone("this page link is of another version of the server: repeat the operation") from error


async def _next(call: Call, wanted: Wanted, cursor: str | None) -> _Place | None:
    """The next records that the caller may see; None when there are no more."""
    while True:
        page, found = await matches_of_page(call, SearchQuery(call.type, count=AT_ONCE, cursor=cursor))
        if found:
            ids = tuple(stored.id for stored in found)
            return await _enter(call, wanted, _Place(0, ids, more=page.cursor))
        cursor = page.cursor
        if cursor is None:
            return None


async def _enter(call: Call, wanted: Wanted, place: _Place) -> _Place:
    return structs.replace(place, ways=await present(call, wanted, place.ids, place.stretch))


async def _following(call: Call, wanted: Wanted, place: _Place) -> _Place | None:
    """The next stretch of these records, or the first of the next ones; None when there are no more."""
    if place.stretch + 1 < len(stretches(wanted)):
        return await _enter(call, wanted, _Place(place.stretch + 1, place.ids, more=place.more))
    return None if place.more is None else await _next(call, wanted, place.more)


async def _page(
    call: Call, wanted: Wanted, place: _Place | None, found: list[StoredResource], count: int
) -> _Place | None:
    """Add the entries of one page; where the next one begins, None when everything was seen. Where nobody knows which
    parts have any, those that follow empty ones are asked for several at once: most records have few types."""
    while place is not None:
        own = open_parts(call, wanted, place.stretch, place.ways)
        place, full = await _fill(call, wanted, place, own, found, count)
        if full:
            break
        place = await _following(call, wanted, place)
    return place


async def _fill(
    call: Call, wanted: Wanted, place: _Place, own: Sequence[Part], found: list[StoredResource], count: int
) -> tuple[_Place, bool]:
    """Add what these parts have from the place on; the place behind it, and whether the page ends there.

    A full page ends where something follows, so that no link leads to an empty page: with the next part that has
    anything, or where a search goes on that leaves nothing out.
    """
    most, ahead = call.ports.deployment.max_page_bytes, 1
    while place.part < len(own):
        room = count - len(found)
        if room == 0 and place.cursor is not None and is_plain(call, wanted, own[place.part]):
            return place, True
        some = own[place.part : place.part + (ahead if place.cursor is None else 1)]
        asked = room or (1 if place.cursor is None else count)
        answers = await asyncio.gather(*(look(call, wanted, one, place.ids, place.cursor, asked) for one in some))
        has_more = any(entries for _, entries in answers)
        after = _take(answers, place, found, count, most)
        if after == place or (room == 0 and has_more):
            return place, True
        place, ahead = after, 1 if has_more or place.ways is not None else min(ahead * 2, AHEAD)
    return place, False


def _take(
    answers: Sequence[tuple[str | None, list[StoredResource]]],
    place: _Place,
    found: list[StoredResource],
    count: int,
    most: int,
) -> _Place:
    """Add what fits on the page, in order; a part that does not fit any more is asked for again."""
    for cursor, entries in answers:
        if found and (len(found) + len(entries) > count or bytes_of(found) + bytes_of(entries) > most):
            break
        found += entries
        place = structs.replace(place, part=place.part + (cursor is None), cursor=cursor)
        if cursor is not None:
            break
    return place


def _bundle(
    call: Call,
    asked: Asked,
    cursor: str | None,
    found: Sequence[StoredResource],
    extra: Sequence[StoredResource],
) -> bytes:
    base = call.ports.deployment.fhir_url
    shown = [Found(stored.body, "match", f"{base}/{stored.ref}") for stored in found]
    shown += [Found(stored.body, "include", f"{base}/{stored.ref}") for stored in extra]
    return searchset(
        shown,
        links=page_links(call, asked, Page((), cursor)),
        total=len(found) if asked.cursor is None and cursor is None else None,
        id=call.ports.ids.new(),
        now=call.ports.clock.now(),
    )
