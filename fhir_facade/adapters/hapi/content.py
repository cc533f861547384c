"""Resources in HAPI's answers: cut out of the bytes, stamped by their meta, freed of what only HAPI added.

Nothing here passes through a float or a model; https://hl7.org/fhir/R4/json.html#decimal.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from fhir_facade.errors import UpstreamError
from fhir_facade.values import Change, StoredResource

T = TypeVar("T")


class _Meta(msgspec.Struct):
    versionId: str  # noqa: N815 - the FHIR element
    lastUpdated: datetime  # noqa: N815 - the FHIR element
    source: str = ""


class _Head(msgspec.Struct):
    resourceType: str  # noqa: N815 - the FHIR element
    id: str
    meta: _Meta


class Link(msgspec.Struct):
    relation: str
    url: str


class EntryRequest(msgspec.Struct):
    method: str
    url: str


class Coding(msgspec.Struct):
    code: str = ""


class Concept(msgspec.Struct):
    coding: list[Coding] = []


class OutcomeIssue(msgspec.Struct):
    details: Concept = msgspec.field(default_factory=Concept)


class EntryOutcome(msgspec.Struct):
    issue: list[OutcomeIssue] = []


class EntryResponse(msgspec.Struct):
    status: str = ""
    location: str = ""
    etag: str = ""
    lastModified: datetime | None = None  # noqa: N815 - the FHIR element
    outcome: EntryOutcome = msgspec.field(default_factory=EntryOutcome)


class Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"")
    request: EntryRequest | None = None
    response: EntryResponse | None = None

    @property
    def version(self) -> str:
        """The version that the entry is about, or nothing."""
        return self.response.etag.removeprefix("W/").strip('"') if self.response else ""


class Bundle(msgspec.Struct):
    """A Bundle whose resources stay the bytes they came in."""

    total: int | None = None
    link: list[Link] = []
    entry: list[Entry] = []

    def linked(self, relation: str) -> str | None:
        return next((link.url for link in self.link if link.relation == relation), None)


_HEAD = msgspec.json.Decoder(_Head)
_BUNDLE = msgspec.json.Decoder(Bundle)
_OUTCOME = msgspec.json.Decoder(EntryOutcome)
_SOURCE = re.compile(rb'"source":"((?:[^"\\]|\\.)*?)#[^"#]*"(,?)')
_DELETED_AT = re.compile(rb"deleted at ([0-9T:.+-]+Z?)")


def bundle(body: bytes) -> Bundle:
    return _decoded(_BUNDLE, body)


def storage_code(body: bytes) -> str:
    """The code by which HAPI says what a write came to, from the OperationOutcome of a delete."""
    return outcome_code(_decoded(_OUTCOME, body))


def outcome_code(outcome: EntryOutcome) -> str:
    return next((coding.code for issue in outcome.issue for coding in issue.details.coding), "")


def stored(body: bytes, *, change: Change | None = None) -> StoredResource:
    """The resource without the request id that HAPI adds to `meta.source`; all other bytes as they came."""
    head = _decoded(_HEAD, body)
    meta = head.meta
    if "#" in meta.source:
        body = without_request_id(body)
    return StoredResource(head.resourceType, head.id, meta.versionId, _utc(meta.lastUpdated), body, change=change)


def written_by(body: bytes, request: str) -> bool:
    """Whether the version in a write's answer was made by the request with this id: an unchanged one was not."""
    return _decoded(_HEAD, body).meta.source.endswith(f"#{request}")


def without_request_id(body: bytes) -> bytes:
    """`meta.source` as the client wrote it; `#<request id>` alone goes with its member.

    HAPI writes meta before anything that could hold another `source`, so the first one is it.
    """
    found = _SOURCE.search(body)
    if found is None:
        return body
    before, after = body[: found.start()], body[found.end() :]
    if found[1]:
        return b"".join((before, b'"source":"', found[1], b'"', found[2], after))
    return (before[:-1] if not found[2] and before.endswith(b",") else before) + after


def deleted_at(body: bytes) -> datetime | None:
    """When a resource was deleted: HAPI says it nowhere but in the text of its 410 answer."""
    found = _DELETED_AT.search(body)
    return _utc(datetime.fromisoformat(found[1].decode())) if found else None


def tombstone(type: str, id: str, version: str, at: datetime, *, change: Change | None = None) -> StoredResource:
    return StoredResource(type, id, version, at, b"", deleted=True, change=change)


def version_in(location: str) -> str:
    """The version of `…/Type/id/_history/version`, or nothing."""
    return location.partition("/_history/")[2]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise UpstreamError("HAPI answered something that is no FHIR resource") from error
