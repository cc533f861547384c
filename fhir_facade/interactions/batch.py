"""Batch: independent entries, each with its own outcome. https://hl7.org/fhir/R4/http.html#brules

Entries go on side by side where none of them can tell, commit together, and answer in their order; what is sent and
what is answered is never in memory more than once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress

import msgspec

from fhir_facade.errors import BadRequest, Defect, FacadeError
from fhir_facade.fhir.bundle import Answered, BundleEntry, parse_batch
from fhir_facade.interactions.answers import Room, answer, bundled, entry_request, refuse_large, refused
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.places import Place, place_of, waits_for
from fhir_facade.interactions.record import with_request
from fhir_facade.interactions.together import Together
from fhir_facade.values import FhirRequest, FhirResponse

SIDE_BY_SIDE, READS = 64, 8
"""Entries under way, and those among them that read: each may bring a page of megabytes."""

_LOG = logging.getLogger(__name__)

UnderWay = deque[tuple[Place, asyncio.Task[Answered]]]


async def batch(call: Call) -> FhirResponse:
    """200 with a batch-response in the order of the entries, whatever became of them."""
    deployment = call.ports.deployment
    refuse_large(call.request.body, deployment.max_batch_bytes)
    entries = parse_batch(call.request.body, max_entries=deployment.max_batch_entries)
    return await bundled(call, "batch-response", _answers(call, entries))


async def _answers(call: Call, entries: Iterable[BundleEntry | BadRequest]) -> AsyncIterator[Answered]:
    """In order. Between the beginnings of two entries everybody else has a turn."""
    together = Together(call.ports.unit, SIDE_BY_SIDE)
    call = msgspec.structs.replace(call, ports=dataclasses.replace(call.ports, unit=together))
    under_way: UnderWay = deque()
    room = Room(call.ports.deployment.max_batch_bytes)
    try:
        for position, entry in enumerate(entries):
            request = _request(call, position, entry)
            place = place_of(request)
            while _has_to_wait(place, [each for each, _ in under_way]):
                yield await _first(under_way)
            under_way.append((place, asyncio.ensure_future(_one(call, request, room))))
            await asyncio.sleep(0)
        while under_way:
            yield await _first(under_way)
    finally:
        await _end(under_way)


def _has_to_wait(place: Place, under_way: Sequence[Place]) -> bool:
    reads = not place.writes and sum(not each.writes for each in under_way) >= READS
    return reads or len(under_way) >= SIDE_BY_SIDE or waits_for(place, under_way)


async def _first(under_way: UnderWay) -> Answered:
    """The answer of the entry that began first."""
    _, task = under_way[0]
    answered = await task
    under_way.popleft()
    return answered


async def _end(under_way: UnderWay) -> None:
    """Nobody wants the answers any more: what is not committed yet is not done."""
    for _, task in under_way:
        task.cancel()
    for _, task in under_way:
        with suppress(asyncio.CancelledError, Exception):
            await task


def _request(call: Call, position: int, entry: BundleEntry | BadRequest) -> FhirRequest | FacadeError:
    if isinstance(entry, BadRequest):
        return entry
    try:
        return entry_request(call, entry, position)
    except FacadeError as error:
        return error


async def _one(call: Call, request: FhirRequest | FacadeError, room: Room) -> Answered:
    from fhir_facade.interactions.dispatch import dispatch

    if isinstance(request, FacadeError):
        return refused(request)
    full = room.refusal(request.interaction)
    if full is not None:
        return full
    try:
        response = await dispatch(call.ports, await call.asker(), request)
    except FacadeError as error:
        return refused(error.with_traceback(None))  # whose frames would keep the Bundle until they are collected
    except Exception:  # noqa: BLE001 - others are done, and what they answer may have left: a defect has its own place
        _LOG.exception("entry.defect", extra={"request_id": request.request_id})
        return refused(Defect(request.request_id))
    return room.take(answer(with_request(call, request), response))


def bundle_kind(type: str) -> str:
    """`batch` or `transaction`. BadRequest for other Bundles."""
    if type not in ("batch", "transaction"):
        raise BadRequest(f"a Bundle of type '{type}' cannot be posted here: batch and transaction can")
    return type
