"""The ports: what the rooms need of the world outside, and the bundle that carries them.

A port is earned by network, disk, time, money or chance. Ports raise only errors of `errors`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

from fhir_facade.errors import FacadeError
from fhir_facade.rows import Row, RowChange
from fhir_facade.values import Deployment, HistoryQuery, Page, Ref, SearchQuery, StoredResource, Ways, Write

T = TypeVar("T")
Item = TypeVar("Item")
RowT = TypeVar("RowT", bound=Row)


class FhirStore(Protocol):
    """Where FHIR resources live. The same meaning on SQLite and on HAPI; tests/contract says what that is."""

    async def read(self, ref: Ref) -> StoredResource:
        """The current version, or the one `ref.version` names. NotFound: never there; Gone: deleted now or in that
        version."""

    async def search(self, query: SearchQuery) -> Page:
        """Live resources that satisfy the query, ordered by its sort keys and then id."""

    async def referring(self, targets: Sequence[Ref], ways: Ways) -> Ways:
        """By which of these ways a live resource refers to one of the targets, all of one type. Perhaps by a way more
        than that is true of, never by one less."""

    async def history(self, query: HistoryQuery) -> Page:
        """Versions, newest first, deletions included. NotFound when an instance never existed."""

    async def write(self, writes: Sequence[Write]) -> Sequence[StoredResource]:
        """All or nothing, answers in order. PreconditionFailed, Conflict. A put equal as a JSON value is `unchanged`.
        A resource may appear once."""

    async def erase(self, refs: Sequence[Ref]) -> int:
        """Every version of these resources, deleted ones too, as if they had never been; how many there were.
        Conflict: something that stays refers to one of them; then all stay. Repeating it is harmless."""

    async def ping(self) -> None:
        """Returns when the store answers; Unavailable otherwise."""


class StateTransaction(Protocol):
    """Small verbs on rows, inside one transaction. Conditions are (field, operator, value); operators
    `= != < <= > >= in`; a None value with `=` or `!=` means IS NULL, IS NOT NULL."""

    def get(self, row: type[RowT], *key: Any) -> RowT | None: ...

    def find(
        self,
        row: type[RowT],
        *where: tuple[str, str, Any],
        order: tuple[str, ...] = (),
        limit: int | None = None,
    ) -> list[RowT]:
        """Rows that satisfy all conditions; `order` fields, descending with a leading minus."""

    def count(self, row: type[Row], *where: tuple[str, str, Any]) -> int: ...

    def apply(self, *changes: RowChange) -> None:
        """Append, Put, Remove. Conflict when an Append meets an existing key or unique index."""

    def take(self, row: type[Row], keys: Collection[str]) -> frozenset[str]:
        """Remove the rows with these keys, of a class whose key is one text; those that were there."""

    def change(self, row: type[RowT], where: Sequence[tuple[str, str, Any]], **values: Any) -> list[RowT]:
        """Update all rows that satisfy the conditions at the moment of writing and return them as they are now:
        the atomic compare-and-set that single-use codes and leases need."""


class StateStore(Protocol):
    """The facade's own rows (`rows/`), in SQLite or PostgreSQL."""

    async def read(self, work: Callable[[StateTransaction], T], *, here: bool = False) -> T:
        """Run `work` on a consistent view. It must not write and may run more than once. `here`: it takes a millisecond
        or two at most and may be done in the caller's thread, where that is quicker than to go to another; rows that
        were appended since somebody asked for their table last may be missing."""

    async def present(self, row: type[Row], keys: Collection[str]) -> frozenset[str]:
        """Those of the keys, of a class whose key is one text, that have a row as is committed now. The hot path."""

    async def write(self, work: Callable[[StateTransaction], T]) -> T:
        """Run `work` in one durable transaction. It may run more than once, so it must be free of other effects.
        An exception rolls back and is raised to the caller."""

    async def write_shared(
        self, work: Callable[[StateTransaction, Sequence[Item]], Sequence[T]], item: Item, *, in_turn: bool = False
    ) -> T:
        """As `write`, for what many callers do alike: `work`, always the same object, is called with the items of all
        who wait and answers in their order. When it raises, it is called again for each alone. `in_turn`: their items
        meet on the same rows, so one transaction of this process follows the other."""

    def append(self, rows: Sequence[Row]) -> Awaitable[None]:
        """Insert rows durably: they are when this was awaited. Many callers share one commit. The hot path of the
        audit, so it may be a future instead of a coroutine, and rows that the database numbers may get their number
        later than what `write` adds meanwhile: in order among each other, and before anybody asks for their table."""

    async def ping(self) -> None:
        """Returns when the database answers; Unavailable otherwise."""


Commit = tuple[Sequence[Write], Sequence[RowChange]]
Committed = Sequence[StoredResource] | FacadeError


class UnitOfWork(Protocol):
    """FHIR writes and rows that belong together. On one SQLite file this is one transaction; over HAPI an intent row
    is committed first and settles the rows exactly once, whatever crashes."""

    async def commit(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Sequence[StoredResource]:
        """`FhirStore.write` and the row changes, both or neither. Row changes see no result of the writes."""

    async def commit_each(self, commits: Sequence[Commit]) -> Sequence[Committed]:
        """As `commit` for each, with its result or its error in its place, for less than one after the other. They have
        nothing to do with each other."""


class Locks(Protocol):
    """Named locks that hold between all processes of one deployment."""

    def hold(self, *names: str) -> AbstractAsyncContextManager[None]:
        """Hold all names (taken in sorted order) while the block runs. Busy after 30 s of waiting."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, UTC."""


class Ids(Protocol):
    def new(self) -> str:
        """A fresh UUID as FHIR id."""

    def secret(self) -> str:
        """256 random bits, URL-safe."""


class Vault(Protocol):
    """Seals secrets with the numbered keys of the key file (AES-256-GCM); a sealed value names its key."""

    def seal(self, plain: bytes, *, context: str, steady: bool = False) -> bytes:
        """`steady`: the same under the same key whenever it is sealed, so that it serves as a name."""

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """BadRequest when it was not sealed here for this context."""

    def reseal(self, sealed: bytes, *, context: str) -> bytes | None:
        """The same secret under the newest key, or None when it already is."""


class Streams(Protocol):
    """Tells waiting listeners that new events may be there; the events themselves are rows."""

    def announce(self, topic: str) -> None: ...

    def position(self, topic: str) -> int:
        """Take it before reading the rows and give it to `wait`: then no announcement in between is missed."""

    async def wait(self, topic: str, *, timeout_s: float, after: int | None = None) -> None:
        """Returns after the next announcement of the topic (at once when one came since the position `after`), or
        after the timeout. May return early for nothing."""


@dataclass(frozen=True, slots=True)
class VendorTokens:
    """What a vendor's token endpoint answered. `refresh_token` None: keep the one we have; no `scopes`: as before."""

    access_token: str
    refresh_token: str | None
    expires_at: datetime
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VendorDevice:
    """A device the person paired with the vendor account; `id` is the vendor's."""

    id: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class VendorSettings:
    """What the vendor knows beside the data: the person's current IANA zone (None: unknown) and the paired devices."""

    zone: str | None
    devices: tuple[VendorDevice, ...]


@dataclass(frozen=True, slots=True)
class VendorRecords:
    """All records of one data type in a window, as parsed JSON with `Decimal` for fractions.

    `complete` False: the vendor had more than we were willing to read; what is missing here may exist there.
    """

    records: Sequence[Mapping[str, Any]]
    complete: bool


class DeviceVendor(Protocol):
    """A wearable vendor: consent, tokens, identity, records. Raises `VendorError` and below.

    `title` is the name people know; `scopes` is what is asked for; `data_types` maps each data type to the scope that
    opens it.
    """

    name: str
    title: str
    scopes: tuple[str, ...]
    data_types: Mapping[str, str]

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        """Where the person's browser goes. A caller may append `login_hint`."""

    async def exchange(self, *, code: str, verifier: str, redirect_uri: str) -> VendorTokens:
        """ReconsentNeeded when the code is not accepted."""

    async def refresh(self, refresh_token: str) -> VendorTokens:
        """ReconsentNeeded when the token is dead."""

    async def revoke(self, token: str) -> None:
        """Returns also when the vendor does not know the token any more."""

    async def identity(self, access_token: str) -> str:
        """The vendor's stable user id."""

    async def settings(self, access_token: str) -> VendorSettings:
        """MissingScope when the person did not grant it."""

    async def fetch(self, access_token: str, *, data_type: str, start: date, end: date) -> VendorRecords:
        """Everything in the window, all pages. Daily values: civil days from `start` to before `end`. Records with
        a time: from midnight UTC of `start` on, sleeps by their end, and no upper bound. Order is not promised.
        AccessTokenRefused: refresh and ask again. Any failed page fails the whole read."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One e-mail in plain text. `id` (a UUID) is the same however often it is sent, so that receivers know it again."""

    id: str
    to: str
    subject: str
    text: str
    language: str
    at: datetime


class Mailer(Protocol):
    """Hands e-mail to a server."""

    async def send(self, mail: Mail) -> None:
        """Returns when a server has taken it over. MailRefused: none ever will; Unavailable: perhaps later."""


class Memory(Protocol):
    """What this process remembers for a short while, so that a question is not asked anew on every request."""

    async def recall(self, key: tuple[Any, ...], *, for_s: float, make: Callable[[], Awaitable[T]]) -> T:
        """The remembered answer, or a new one from `make`; callers that ask at the same time share one `make`."""

    def forget(self, topic: str) -> None:
        """Drop every answer whose key begins with `topic`."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the rooms may ask of the world; built once in `app.py`. `mailer` None: no mail is sent."""

    store: FhirStore
    state: StateStore
    unit: UnitOfWork
    locks: Locks
    clock: Clock
    ids: Ids
    vault: Vault
    streams: Streams
    vendors: Mapping[str, DeviceVendor]
    memory: Memory
    deployment: Deployment
    mailer: Mailer | None = None
