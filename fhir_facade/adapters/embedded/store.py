"""The embedded store and its unit of work: FHIR resources and the facade's rows in one file, one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

from fhir_facade.adapters.embedded import fulltext
from fhir_facade.adapters.embedded import history as versions
from fhir_facade.adapters.embedded.at_once import page_at_once
from fhir_facade.adapters.embedded.bounds import PAGE_BYTES
from fhir_facade.adapters.embedded.catalogue import Catalogue, insert_systems
from fhir_facade.adapters.embedded.depth import hop_by_hop, is_wide
from fhir_facade.adapters.embedded.erase import erase
from fhir_facade.adapters.embedded.index import Indexed, bind, index_values
from fhir_facade.adapters.embedded.interrupt import Interrupted, until
from fhir_facade.adapters.embedded.referring import referring
from fhir_facade.adapters.embedded.reindex import Progress, is_outdated, log_progress, reindex
from fhir_facade.adapters.embedded.schema import SERVER_IS_OLDER, migrate
from fhir_facade.adapters.embedded.search import search
from fhir_facade.adapters.embedded.write import (
    CHECKED,
    WRITES_AT_ONCE,
    Integrity,
    Prepared,
    apply_writes,
    refusals,
    stored_resource,
    without_own,
)
from fhir_facade.adapters.patience import SEARCH_S, took_too_long
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.errors import (
    BadRequest,
    Conflict,
    FacadeError,
    Gone,
    NotFound,
    PreconditionFailed,
    TooLarge,
    Unavailable,
)
from fhir_facade.ports import Clock, Commit, Committed
from fhir_facade.rows import RowChange
from fhir_facade.values import HistoryQuery, Page, Ref, SearchQuery, StoredResource, Ways, Write

TOO_DEEP = "parser stack overflow"
BEYOND_SQLITE = ("Expression tree is too large", "too many SQL variables", TOO_DEEP)
PREPARE_IN_THREAD = 20  # writes; a larger transaction is indexed off the event loop

_CURRENT: Final = "SELECT version, updated, body, deleted FROM fhir_resource WHERE type = ? AND id = ?"
_PAST: Final = (
    "SELECT version, updated, body, deleted FROM fhir_version WHERE version = ? AND pk = "
    "(SELECT pk FROM fhir_resource WHERE type = ? AND id = ?)"
)

REFUSED_LATE = (BadRequest, Conflict, PreconditionFailed)  # of one, so that nothing of all of them was written

ApplyRows = Callable[[sqlite3.Connection, Sequence[RowChange]], None]


@dataclass(frozen=True, slots=True)
class _Commit:
    """What one caller wants to be true afterwards, all or nothing."""

    writes: Sequence[Prepared]
    rows: Sequence[RowChange] = ()
    apply_rows: ApplyRows | None = None


class EmbeddedStore:
    """`FhirStore` on an open `SqliteFile`; make it with `EmbeddedStore.open`."""

    def __init__(
        self,
        file: SqliteFile,
        clock: Clock,
        *,
        integrity: Integrity = CHECKED,
        page_bytes: int = PAGE_BYTES,
        search_s: float = SEARCH_S,
    ) -> None:
        self._file = file
        self._clock = clock
        self._integrity = integrity
        self._page_bytes = page_bytes
        self._search_s = search_s
        self._catalogue = Catalogue()

    def start(self, *, guest: bool = False, progress: Progress | None = None) -> None:
        """Migrate, re-index when the extractors changed, load the catalogue. Before the first request.

        Conflict: the file belongs to a newer release; or a guest beside a running server is newer than the server.
        """
        writer = self._file.writer
        migrate(writer, guest=guest)
        self._catalogue.load(writer)
        if not is_outdated(writer):
            return
        if guest:
            raise Conflict(SERVER_IS_OLDER)
        reindex(writer, self._catalogue, progress or log_progress())

    async def read(self, ref: Ref) -> StoredResource:
        row = self._file.read_here(lambda connection: connection.execute(_CURRENT, (ref.type, ref.id)).fetchone())
        if row is not None and ref.version is not None and str(row[0]) != ref.version:
            row = self._past(ref)
        if row is None:
            raise NotFound(f"{ref} is not there")
        if row[3]:
            raise Gone(f"{ref} was deleted")
        return stored_resource(ref.type, ref.id, row[0], row[1], row[2])

    def _past(self, ref: Ref) -> tuple[int, int, bytes, int] | None:
        if ref.version is None or not ref.version.isdecimal() or len(ref.version) > 18:
            return None
        asked = (int(ref.version), ref.type, ref.id)
        row: tuple[int, int, bytes, int] | None = self._file.read_here(
            lambda connection: connection.execute(_PAST, asked).fetchone()
        )
        return row

    async def search(self, query: SearchQuery) -> Page:
        """TooLarge: so many values, behind so many references, that SQLite has no room for the question. TimedOut."""
        moment = time.monotonic() + self._search_s
        try:
            return await self._search(query, moment)
        except Interrupted as error:
            raise took_too_long(query.type, self._search_s) from error
        except sqlite3.OperationalError as error:
            if not str(error).startswith(BEYOND_SQLITE):
                raise
            raise TooLarge("this search has too many values: ask for some of them at a time") from error

    async def _search(self, query: SearchQuery, moment: float) -> Page:
        page = self._file.read_here(
            lambda connection: page_at_once(connection, self._catalogue, query, self._page_bytes)
        )
        if page is not None:
            return page
        for type_ in fulltext.types_read(query):
            while not await self._file.write(partial(fulltext.catch_up, type=type_)):
                if time.monotonic() >= moment:
                    raise Interrupted  # what is indexed by now stays: asked again, it goes on from there
        if is_wide(query):
            return await self._read_until(moment, partial(self._deep, query=query))
        try:
            return await self._read_until(
                moment, lambda connection: search(connection, self._catalogue, query, self._page_bytes)
            )
        except sqlite3.OperationalError as error:
            if not str(error).startswith(TOO_DEEP):
                raise
        return await self._read_until(moment, partial(self._deep, query=query))

    async def _read_until(self, moment: float, work: Callable[[sqlite3.Connection], Page]) -> Page:
        return await self._file.read(lambda connection: until(connection, moment, work))

    def _deep(self, connection: sqlite3.Connection, query: SearchQuery) -> Page:
        self._catalogue.refresh(connection)
        shallow = hop_by_hop(connection, self._catalogue, query)
        return search(connection, self._catalogue, shallow, self._page_bytes)

    async def referring(self, targets: Sequence[Ref], ways: Ways) -> Ways:
        return self._file.read_here(lambda connection: referring(connection, self._catalogue, targets, ways))

    async def history(self, query: HistoryQuery) -> Page:
        return await self._file.read(lambda connection: versions.history(connection, query, self._page_bytes))

    async def write(self, writes: Sequence[Write]) -> Sequence[StoredResource]:
        return await self._file.write_shared(self._apply, _Commit(await self._prepare(writes)), size=len(writes))

    async def erase(self, refs: Sequence[Ref]) -> int:
        return await self._file.write(lambda connection: erase(connection, refs))

    async def commit(
        self, writes: Sequence[Write], rows: Sequence[RowChange], apply_rows: ApplyRows
    ) -> Sequence[StoredResource]:
        """The writes and the row changes in one transaction."""
        return await self._submit(_Commit(await self._prepare(writes), rows, apply_rows))

    async def commit_each(self, commits: Sequence[Commit], apply_rows: ApplyRows) -> list[Committed]:
        """All in the same turn of the writer, and with the statements of one when they are sound."""
        prepared = iter(await self._prepare([write for writes, _ in commits for write in writes]))
        asked = [_Commit(list(islice(prepared, len(writes))), rows, apply_rows) for writes, rows in commits]
        size = sum(len(commit.writes) + len(commit.rows) for commit in asked)
        try:
            return await self._file.write_shared(self._apply_sound, asked, size=size)
        except REFUSED_LATE:
            found = await asyncio.gather(*map(self._submit, asked), return_exceptions=True)
        return [_committed(each) for each in found]

    def _apply_sound(
        self, connection: sqlite3.Connection, groups: Sequence[Sequence[_Commit]]
    ) -> list[list[Committed]]:
        """Those of each group that are not refused for what is there. It raises for the others, if there are some."""
        return [self._applied(connection, group) for group in groups]

    def _applied(self, connection: sqlite3.Connection, group: Sequence[_Commit]) -> list[Committed]:
        refused = refusals(connection, [commit.writes for commit in group], self._integrity)
        sound = [commit for commit, refusal in zip(group, refused, strict=True) if refusal is None]
        stored = iter(self._apply(connection, sound) if sound else ())
        return [refusal or next(stored) for refusal in refused]

    async def _submit(self, commit: _Commit) -> list[StoredResource]:
        return await self._file.write_shared(self._apply, commit, size=len(commit.writes) + len(commit.rows))

    def _apply(self, connection: sqlite3.Connection, commits: Sequence[_Commit]) -> list[list[StoredResource]]:
        """What all callers want who wait at this moment, with the statements of one."""
        now_ms = int(self._clock.now().timestamp() * 1000)
        writes = [prepared for commit in commits for prepared in commit.writes]
        stored = iter(apply_writes(connection, writes, now_ms=now_ms, integrity=self._integrity))
        rows: dict[ApplyRows, list[RowChange]] = {}
        for commit in commits:
            if commit.apply_rows is not None:
                rows.setdefault(commit.apply_rows, []).extend(commit.rows)
        for apply_rows, changes in rows.items():
            apply_rows(connection, changes)
        return [list(islice(stored, len(commit.writes))) for commit in commits]

    async def _prepare(self, writes: Sequence[Write]) -> list[Prepared]:
        """In parts, so that the values of all need no room at once, and others have their turns."""
        prepared: list[Prepared] = []
        for at in range(0, len(writes), WRITES_AT_ONCE):
            prepared += await self._prepare_some(writes[at : at + WRITES_AT_ONCE])
        return prepared

    async def _prepare_some(self, writes: Sequence[Write]) -> list[Prepared]:
        if len(writes) > PREPARE_IN_THREAD:
            indexed = await asyncio.to_thread(lambda: [_indexed(write) for write in writes])
        else:
            indexed = [_indexed(write) for write in writes]
        await self._number_systems({system for item in indexed for system in item.systems})
        return [
            Prepared(write, bind(self._catalogue, write.ref.type, item), without_own(item.targets, write.ref))
            for write, item in zip(writes, indexed, strict=True)
        ]

    async def _number_systems(self, systems: set[str]) -> None:
        missing = self._catalogue.missing_systems(systems)
        if missing:
            self._catalogue.adopt_systems(
                await self._file.write(lambda connection: insert_systems(connection, missing))
            )

    async def ping(self) -> None:
        try:
            await self._file.read(lambda connection: connection.execute("SELECT 1 FROM fhir_meta").fetchone())
        except sqlite3.Error as error:
            raise Unavailable(f"the data file cannot be read: {error}") from error


def _committed(found: Committed | BaseException) -> Committed:
    if isinstance(found, BaseException) and not isinstance(found, FacadeError):
        raise found
    return found


def _indexed(write: Write) -> Indexed:
    return Indexed() if write.kind == "delete" else index_values(write.resource)


class EmbeddedUnit:
    """`UnitOfWork` where everything is one SQLite transaction. `apply_rows` comes from the state adapter."""

    def __init__(self, store: EmbeddedStore, apply_rows: ApplyRows) -> None:
        self._store = store
        self._apply_rows = apply_rows

    async def commit(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Sequence[StoredResource]:
        return await self._store.commit(writes, rows, self._apply_rows)

    async def commit_each(self, commits: Sequence[Commit]) -> Sequence[Committed]:
        return await self._store.commit_each(commits, self._apply_rows)
