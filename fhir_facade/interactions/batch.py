"""Batch: independent entries, each with its own outcome. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import asyncio

from fhir_facade.errors import BadRequest, FacadeError
from fhir_facade.fhir.bundle import Answered, BundleEntry, parse_batch, response_bundle
from fhir_facade.interactions.answers import Room, answer, entry_request, refuse_large, refused
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.record import with_request
from fhir_facade.values import FhirResponse

IN_PARALLEL = 8


async def batch(call: Call) -> FhirResponse:
    """200 with a batch-response in the order of the entries, whatever became of them."""
    refuse_large(call.request.body, call.ports.deployment.max_batch_bytes)
    entries = parse_batch(call.request.body, max_entries=call.ports.deployment.max_batch_entries)
    answers: list[Answered] = []
    room = Room(call.ports.deployment.max_batch_bytes)
    for start in range(0, len(entries), IN_PARALLEL):
        chunk = enumerate(entries[start : start + IN_PARALLEL], start)
        answers += await asyncio.gather(*(_one(call, position, entry, room) for position, entry in chunk))
    return FhirResponse(200, response_bundle("batch-response", answers, id=call.ports.ids.new()))


async def _one(call: Call, position: int, entry: BundleEntry | BadRequest, room: Room) -> Answered:
    from fhir_facade.interactions.dispatch import dispatch

    if isinstance(entry, BadRequest):
        return refused(entry)
    try:
        request = entry_request(call, entry, position)
        full = room.refusal(request.interaction)
        if full is not None:
            return full
        response = await dispatch(call.ports, call.principal, request)
    except FacadeError as error:
        return refused(error)
    return room.take(answer(with_request(call, request), response))


def bundle_kind(type: str) -> str:
    """`batch` or `transaction`. BadRequest for other Bundles."""
    if type not in ("batch", "transaction"):
        raise BadRequest(f"a Bundle of type '{type}' cannot be posted here: batch and transaction can")
    return type
