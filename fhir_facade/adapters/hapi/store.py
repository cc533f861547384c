"""`FhirStore` on HAPI; https://hapifhir.io/hapi-fhir/docs/server_jpa/introduction.html."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fhir_facade.adapters.hapi import erase, evidence, history, read, referring, search, write
from fhir_facade.adapters.hapi.session import PAGE_BYTES, PING_TIMEOUT_S, HapiSession
from fhir_facade.adapters.patience import SEARCH_S
from fhir_facade.errors import Unavailable
from fhir_facade.values import HistoryQuery, Page, Ref, SearchQuery, StoredResource, Ways, Write

ABSENT = "/Basic/ping"


class HapiStore:
    """The five verbs over one session. HAPI must keep request ids in `meta.source` (its default): by them an update
    that changed nothing is told from one that did."""

    def __init__(self, session: HapiSession, *, search_s: float = SEARCH_S, whole: bool = True) -> None:
        self._session = session
        self._search_s = search_s
        self._whole = whole

    async def read(self, ref: Ref) -> StoredResource:
        return await read.read(self._session, ref)

    async def search(self, query: SearchQuery) -> Page:
        return await search.search(self._session, query, within_s=self._search_s)

    async def referring(self, targets: Sequence[Ref], ways: Ways) -> Ways:
        return await referring.referring(self._session, targets, ways)

    async def history(self, query: HistoryQuery) -> Page:
        return await history.history(self._session, query)

    async def write(self, writes: Sequence[Write]) -> Sequence[StoredResource]:
        return await write.write(self._session, writes, whole=self._whole)

    async def erase(self, refs: Sequence[Ref]) -> int:
        return await erase.erase(self._session, refs)

    async def happened(self, request: str, refs: Sequence[Ref]) -> bool:
        """Whether the write that was sent under this request id changed one of these resources."""
        return await evidence.happened(self._session, request, refs)

    async def ping(self) -> None:
        """Reads what is not there: unlike /metadata this reaches the database."""
        answer = await self._session.send("GET", ABSENT, timeout_s=PING_TIMEOUT_S)
        if answer.status >= 500:
            raise Unavailable(f"HAPI answers with {answer.status}; its database may be down")

    async def close(self) -> None:
        await self._session.close()


@asynccontextmanager
async def open_store(
    base_url: str,
    *,
    pool_size: int = 32,
    page_bytes: int = PAGE_BYTES,
    search_s: float = SEARCH_S,
    whole: bool = True,
) -> AsyncIterator[HapiStore]:
    """The store at `base_url` (ends in `/fhir`); its connections close with the block. `whole`: no transaction leaves
    a reference to what it deletes."""
    session = HapiSession(base_url, pool_size=pool_size, page_bytes=page_bytes)
    store = HapiStore(session, search_s=search_s, whole=whole)
    try:
        yield store
    finally:
        await store.close()
