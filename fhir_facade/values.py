"""Frozen values that cross rooms: who asks, what is asked, what is stored, what is written.

Nothing here does anything; https://hl7.org/fhir/R4/http.html names the interactions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, NewType

import msgspec

Json = Any
JsonObject = Mapping[str, Any]

PatientId = NewType("PatientId", str)
ClientId = NewType("ClientId", str)


# --- what is stored -------------------------------------------------------------------------------------------


class Ref(msgspec.Struct, frozen=True):
    """`Type/id`, or `Type/id/_history/version` when `version` is set."""

    type: str
    id: str
    version: str | None = None

    def __str__(self) -> str:
        return f"{self.type}/{self.id}" if self.version is None else f"{self.type}/{self.id}/_history/{self.version}"


Change = Literal["created", "updated", "unchanged", "deleted"]


class StoredResource(msgspec.Struct, frozen=True):
    """One version of one resource. `body` is the JSON as it leaves, id and meta included; empty when deleted.

    `last_updated` is aware, UTC. `change` is set on answers of `FhirStore.write` only.
    """

    type: str
    id: str
    version: str
    last_updated: datetime
    body: bytes
    deleted: bool = False
    change: Change | None = None

    @property
    def ref(self) -> Ref:
        return Ref(self.type, self.id)


@dataclass(frozen=True, slots=True)
class ExpectVersion:
    """The current version must be this one (If-Match); else `PreconditionFailed`."""

    version: str


@dataclass(frozen=True, slots=True)
class Absent:
    """No live resource may have this id; else `Conflict`."""


Precondition = ExpectVersion | Absent


@dataclass(frozen=True, slots=True)
class Write:
    """One change of a transaction. The id is always known: the facade assigns it before the write.

    `body` is the JSON as received with references resolved; the store replaces `id` and `meta.versionId`,
    `meta.lastUpdated`. `resource` is the same document parsed (numbers may be floats: for indexing, never for storing).
    A delete has neither. Deleting what is absent is no error and answers `unchanged`.
    """

    kind: Literal["put", "delete"]
    ref: Ref
    body: bytes = b""
    resource: JsonObject = field(default_factory=dict, compare=False, repr=False)
    precondition: Precondition | None = None


# --- searching ------------------------------------------------------------------------------------------------

ParamKind = Literal["string", "token", "date", "number", "quantity", "reference", "uri", "composite", "special"]
Prefix = Literal["eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap"]


@dataclass(frozen=True, slots=True)
class StringValue:
    text: str


@dataclass(frozen=True, slots=True)
class TokenValue:
    """`system` None: any; "": none. `code` None: any code of the system. With `:of-type`, `type_code` is set."""

    system: str | None
    code: str | None
    type_code: str | None = None


@dataclass(frozen=True, slots=True)
class DateValue:
    """A date as the half-open interval [low, high) in UTC that its precision means."""

    prefix: Prefix
    low: datetime
    high: datetime
    text: str


@dataclass(frozen=True, slots=True)
class NumberValue:
    """A number with the half-open interval [low, high) that its digits imply (5.4 is [5.35, 5.45))."""

    prefix: Prefix
    number: Decimal
    low: Decimal
    high: Decimal
    text: str


@dataclass(frozen=True, slots=True)
class QuantityValue:
    """`system` and `code` None: any unit; `system` None with `code`: code or unit text."""

    prefix: Prefix
    number: Decimal
    low: Decimal
    high: Decimal
    system: str | None
    code: str | None
    text: str


@dataclass(frozen=True, slots=True)
class ReferenceValue:
    """`Type/id`, an `id` of any allowed type (`type` None), or an absolute/canonical `url`."""

    type: str | None
    id: str | None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class UriValue:
    uri: str


@dataclass(frozen=True, slots=True)
class NearValue:
    """A point in degrees (WGS84) and the distance around it in metres."""

    latitude: float
    longitude: float
    metres: float


@dataclass(frozen=True, slots=True)
class MissingValue:
    missing: bool


@dataclass(frozen=True, slots=True)
class CompositeValue:
    """One value per component, in the order of the SearchParameter definition."""

    parts: tuple[SearchValue, ...]


SearchValue = (
    StringValue
    | TokenValue
    | DateValue
    | NumberValue
    | QuantityValue
    | ReferenceValue
    | UriValue
    | NearValue
    | MissingValue
    | CompositeValue
)


@dataclass(frozen=True, slots=True)
class Match:
    """One parameter of the searched type: any of `values` (comma) must hold. `modifier` without the colon."""

    name: str
    kind: ParamKind
    values: tuple[SearchValue, ...]
    modifier: str | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """`name:target.inner`: a resource of one of `targets`, referenced by `name`, satisfies `inner`."""

    name: str
    targets: tuple[str, ...]
    inner: Criterion


@dataclass(frozen=True, slots=True)
class Has:
    """`_has:type:name:inner`: some resource of `type` refers to this one by `name` and satisfies `inner`."""

    type: str
    name: str
    inner: Criterion


@dataclass(frozen=True, slots=True)
class AnyOf:
    """All criteria of at least one group hold: `_filter`, or the ways into a compartment."""

    groups: tuple[tuple[Criterion, ...], ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The resource does not satisfy `inner`, also because it has no such value."""

    inner: Match


Criterion = Match | Chain | Has | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Sort:
    name: str
    kind: ParamKind
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Include:
    """`_include=source:name[:target]` or, with `reverse`, `_revinclude`; `iterate` follows included resources too."""

    source: str
    name: str
    target: str | None = None
    reverse: bool = False
    iterate: bool = False


Ways = Mapping[str, Sequence[str]]
"""Types, each with reference parameters of it."""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What a store is asked: all of `criteria`, and at least one group of `any_of` when there are any.

    `count` is the page size; `cursor` continues a page of the same query. Order: `sort`, then id.
    `total` asks for the number of all matches.
    """

    type: str
    criteria: tuple[Criterion, ...] = ()
    any_of: tuple[tuple[Criterion, ...], ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int = 20
    cursor: str | None = None
    total: bool = False


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Versions newest first: of one instance (`id`), one type, or all (`type` None); written at or after `since`.

    `at` is a half-open interval: the versions written in it and those that were current when it began.
    """

    type: str | None
    id: str | None = None
    since: datetime | None = None
    at: tuple[datetime, datetime] | None = None
    count: int = 20
    cursor: str | None = None
    total: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Matches of one page. `cursor` is opaque and None on the last page; `total` is None when not asked for."""

    entries: Sequence[StoredResource]
    cursor: str | None = None
    total: int | None = None


# --- who asks and what ----------------------------------------------------------------------------------------


class Interaction(StrEnum):
    """https://hl7.org/fhir/R4/valueset-type-restful-interaction.html, and `operation`."""

    READ = "read"
    VREAD = "vread"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"
    HISTORY_INSTANCE = "history-instance"
    HISTORY_TYPE = "history-type"
    HISTORY_SYSTEM = "history-system"
    CREATE = "create"
    SEARCH_TYPE = "search-type"
    SEARCH_SYSTEM = "search-system"
    CAPABILITIES = "capabilities"
    BATCH = "batch"
    TRANSACTION = "transaction"
    OPERATION = "operation"

    __hash__ = str.__hash__  # looked up with every request; that of enumerations is no built-in


@dataclass(frozen=True, slots=True)
class Scope:
    """One SMART scope: context `patient|user|system`, a type or `*`, letters out of `cruds`, granular parameters."""

    context: Literal["patient", "user", "system"]
    type: str
    letters: frozenset[str]
    params: tuple[tuple[str, str], ...] = ()


PrincipalKind = Literal["patient", "proxy", "practitioner", "staff", "admin", "backend", "engine", "anonymous"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `patient` is the patient in context (own, or picked at launch); `token` the row id of the token,
    `grant` that of what was allowed.

    `scopes` are FHIR scopes only. An `engine` principal (alert-engine, sync, score) has its own narrow grants.
    `related_person` is the RelatedPerson of a proxy, `organization` the institution of its staff.
    """

    kind: PrincipalKind
    user: str | None = None
    client: str | None = None
    patient: PatientId | None = None
    practitioner: str | None = None
    scopes: tuple[Scope, ...] = ()
    token: str | None = None
    name: str | None = None
    expires_at: datetime | None = None
    related_person: str | None = None
    organization: str | None = None
    grant: str | None = None


@dataclass(frozen=True, slots=True)
class Preference:
    """The `Prefer` header. `returns` None: the server's default (representation)."""

    returns: Literal["minimal", "representation", "OperationOutcome"] | None = None
    handling: Literal["strict", "lenient"] = "strict"


class FhirRequest(msgspec.Struct, frozen=True):
    """One FHIR interaction, free of HTTP: an HTTP call, a bundle entry, a sync and an engine all become one of these.

    `params` are the search or operation parameters in order, decoded. `body` is JSON as received.
    `if_match` is a version id (no quotes), `must_exist` that any version will do; `if_none_exist` is a search query
    string. `compartment` limits a search to what belongs to that resource. `in_parts`: whoever asks takes the answer to
    a Bundle in `FhirResponse.parts`, and reads them to their end.
    """

    interaction: Interaction
    type: str | None = None
    id: str | None = None
    version: str | None = None
    params: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    operation: str | None = None
    content_type: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_none_exist: str | None = None
    compartment: Ref | None = None
    prefer: Preference = Preference()
    request_id: str = ""
    address: str | None = None
    must_exist: bool = False
    in_parts: bool = False


class FhirResponse(msgspec.Struct, frozen=True):
    """The answer of an interaction: status and body as a bundle entry needs them too; headers are made by `api`.

    `parts` instead of `body` for who asked for them: each as soon as it is known, so that a long answer is never whole
    in memory. A batch is worked through while they are read.
    """

    status: int
    body: bytes = b""
    resource: StoredResource | None = None
    location: Ref | None = None
    parts: AsyncIterator[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a deployment is, as the rooms need to know it; made from the settings once. Sizes in bytes."""

    fhir_url: str
    software_version: str
    max_body_bytes: int = 5 * 1024 * 1024
    max_page_bytes: int = 16 * 1024 * 1024
    max_transaction_entries: int = 5000
    max_transaction_bytes: int = 32 * 1024 * 1024
    max_batch_entries: int = 20000
    max_batch_bytes: int = 64 * 1024 * 1024
    total_always: bool = False
    conditional_delete_many: bool = False
    references_enforced: bool = True
    deletes_checked: bool = True
    audit_required: bool = True
    audit_kept_days: int = 2192
    audit_copied: bool = False
    sync_lookback_days: int = 90
    self_registration: bool = False
    full_text: bool = True
