"""Bundle entries as requests, and responses as bundle entries. https://hl7.org/fhir/R4/bundle.html"""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar

from fhir_facade.errors import BadRequest, FacadeError, TooLarge
from fhir_facade.fhir.bundle import Answered, BundleEntry, ResponseKind, response_parts
from fhir_facade.fhir.document import parse
from fhir_facade.fhir.media_types import FHIR_JSON, PRESENTATION, check_format
from fhir_facade.fhir.outcome import informational, outcome_of
from fhir_facade.fhir.query.carried import carried_params
from fhir_facade.fhir.query.dates import parse_instant
from fhir_facade.fhir.routes import route_url
from fhir_facade.interactions.call import Call
from fhir_facade.values import FhirRequest, FhirResponse, Interaction, StoredResource

ANY_VERSION: Final = "*"

A = TypeVar("A")
T = TypeVar("T")


def refuse_large(body: bytes, most: int) -> None:
    """TooLarge for a Bundle of more bytes than its kind may have."""
    if len(body) > most:
        raise TooLarge(f"the Bundle has {len(body)} bytes, at most {most} are accepted: send it in parts")


def entry_request(call: Call, entry: BundleEntry, position: int) -> FhirRequest:
    """The request that an entry stands for. BadRequest names the entry."""
    try:
        route, params = route_url(entry.method, entry.url, base_url=call.ports.deployment.fhir_url)
    except FacadeError as error:
        raise BadRequest(f"entry {position}: {error}", expression=f"Bundle.entry[{position}].request.url") from error
    if route.interaction in (Interaction.TRANSACTION, Interaction.BATCH):
        raise BadRequest(f"entry {position}: a Bundle inside a Bundle is not possible")
    said = dict(params)
    if said.get("_format"):
        _named(position, check_format, said["_format"])
    params = tuple([pair for pair in params if pair[0] not in PRESENTATION]) if said else params
    body, content_type = entry.resource, FHIR_JSON
    if route.interaction in _SEARCHES and body:
        params, body = (*params, *_of_search(entry, position)), b""
    if route.interaction is Interaction.PATCH and body:
        body, content_type = _patch_of(body, position)
    return FhirRequest(
        interaction=route.interaction,
        type=route.type,
        id=route.id,
        version=route.version,
        params=params,
        body=body,
        operation=route.operation,
        compartment=route.compartment,
        content_type=content_type,
        if_match=version_of(entry.if_match),
        if_none_match=versions_of(entry.if_none_match),
        if_modified_since=None if entry.if_modified_since is None else parse_instant(entry.if_modified_since),
        if_none_exist=entry.if_none_exist,
        prefer=call.request.prefer,
        request_id=call.request.request_id,
        address=call.request.address,
        must_exist=is_any_version(entry.if_match),
    )


def _of_search(entry: BundleEntry, position: int) -> tuple[tuple[str, str], ...]:
    if entry.method != "POST":
        raise BadRequest(f"entry {position}: a search by {entry.method} has its parameters in its url, and no resource")
    return _named(position, carried_params, entry.resource)


def _named(position: int, read: Callable[[A], T], what: A) -> T:
    """What is read; an error says which entry it is about."""
    try:
        return read(what)
    except FacadeError as error:
        name_entry(error, position)
        raise


def name_entry(error: FacadeError, position: int | None) -> None:
    """Say in the error which entry it is about, when that is known."""
    if position is None:
        return
    told = f"entry {position}: "
    error.issues = tuple(
        issue
        if issue.diagnostics.startswith(told)
        else dataclasses.replace(issue, diagnostics=told + issue.diagnostics)
        for issue in error.issues
    )


def _patch_of(raw: bytes, position: int) -> tuple[bytes, str]:
    """The patch and its content type: carried by a Binary, or a Parameters resource that is a FHIRPath patch.

    https://hl7.org/fhir/R4/http.html#trules
    """
    resource = parse(raw)
    if resource["resourceType"] != "Binary":
        return raw, FHIR_JSON
    try:
        return base64.b64decode(resource.get("data", ""), validate=True), str(resource.get("contentType", ""))
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadRequest(f"entry {position}: Binary.data is not base64") from error


def is_any_version(etag: str | None) -> bool:
    """Whether `If-Match` is met by whatever is there. https://www.rfc-editor.org/rfc/rfc9110#field.if-match"""
    return etag is not None and etag.strip() == ANY_VERSION


def version_of(etag: str | None) -> str | None:
    """The version id in an ETag: `W/"3"`, `"3"` or `3`. None for `*`, which names none."""
    return None if etag is None or is_any_version(etag) else _version(etag)


def _version(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"')


def versions_of(etags: str | None) -> str | None:
    """The version ids of a list of ETags, with commas between them; `*` stays."""
    return None if etags is None else ",".join(_version(etag) for etag in etags.split(","))


def answer(call: Call, response: FhirResponse) -> Answered:
    """The response entry. What was read is always in it; what was written as `Prefer` says."""
    stored, returns = response.resource, call.request.prefer.returns
    write = call.request.interaction in _WRITES
    shown = response.body if not write or returns == "representation" else b""
    deleted = call.request.interaction is Interaction.DELETE
    return Answered(
        status=status_line(response.status),
        location=f"{response.location}/_history/{stored.version}" if response.location and stored else None,
        etag=f'W/"{stored.version}"' if stored else None,
        last_modified=stored.last_updated if stored else None,
        resource=b"" if deleted else shown,
        outcome=_outcome(response, deleted) if write and returns == "OperationOutcome" else b"",
        full_url=f"{call.ports.deployment.fhir_url}/{stored.ref}" if stored else None,
    )


def _outcome(response: FhirResponse, deleted: bool) -> bytes:
    return response.body if deleted and response.body else stored_outcome(response.resource)


def stored_outcome(stored: StoredResource | None) -> bytes:
    """What `Prefer: return=OperationOutcome` is answered with."""
    text = "nothing had to be changed" if stored is None else f"{stored.ref} was {stored.change or 'found'}"
    return informational(text)


async def bundled(call: Call, kind: ResponseKind, answers: AsyncIterator[Answered]) -> FhirResponse:
    """200 with the response Bundle: in parts, as the answers come, for who takes it so."""
    parts = response_parts(kind, answers, id=call.ports.ids.new())
    if call.request.in_parts:
        return FhirResponse(200, parts=parts)
    return FhirResponse(200, b"".join([part async for part in parts]))


def refused(error: FacadeError) -> Answered:
    """The response entry of a failed entry of a batch."""
    return Answered(status=status_line(error.status), outcome=outcome_of(error))


@dataclass(slots=True)
class Room:
    """How much a response Bundle may still hold: a short request could otherwise ask for more than fits into memory."""

    left: int

    def take(self, answered: Answered) -> Answered:
        self.left -= len(answered.resource)
        return answered

    def refusal(self, interaction: Interaction) -> Answered | None:
        """What a read is answered with once the Bundle is full; writes are done all the same, they ask for little."""
        if self.left > 0 or interaction in _WRITES:
            return None
        return refused(TooLarge("the answer is full: ask for the rest in another Bundle"))


_SEARCHES = frozenset((Interaction.SEARCH_TYPE, Interaction.SEARCH_SYSTEM))
_WRITES = frozenset((Interaction.CREATE, Interaction.UPDATE, Interaction.PATCH, Interaction.DELETE))


def status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
