"""Our own facade on the embedded store, served on loopback to the HAPI adapter as if it were a HAPI.

It has the habits of HAPI that the adapter cannot do without and that the facade does not have: every version carries
the id of the request that wrote it in `meta.source`, and a search may begin at the first find and ask for the order of
creation, which the facade has anyhow. The adapter sends no token, so each request is given one here.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from fhir_facade.adapters.hapi.session import request_id
from fhir_facade.api.fhir import FhirApi
from fhir_facade.api.observe import Observer
from fhir_facade.app import create_app
from fhir_facade.errors import FacadeError
from fhir_facade.fhir.document import members_of
from fhir_facade.ports import Commit, Committed, FhirStore, Ports, UnitOfWork
from fhir_facade.rows import RowChange
from fhir_facade.values import HistoryQuery, Page, Principal, Ref, SearchQuery, StoredResource, Ways, Write
from tests.facade import embedded_facade
from tests.patience import PATIENCE_S

TEXT = msgspec.json.Decoder(str)


class SigningStore:
    """A store that remembers under which request each version was written, and says so in `meta.source`."""

    def __init__(self, store: FhirStore, unit: UnitOfWork) -> None:
        self._store = store
        self._unit = unit
        self._writers: dict[Ref, str] = {}

    async def read(self, ref: Ref) -> StoredResource:
        return self._signed(await self._store.read(ref))

    async def search(self, query: SearchQuery) -> Page:
        return self._page(await self._store.search(query))

    async def referring(self, targets: Sequence[Ref], ways: Ways) -> Ways:
        return await self._store.referring(targets, ways)

    async def history(self, query: HistoryQuery) -> Page:
        return self._page(await self._store.history(query))

    async def write(self, writes: Sequence[Write]) -> Sequence[StoredResource]:
        return await self.commit(writes, ())

    async def commit(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Sequence[StoredResource]:
        stored = await self._unit.commit(writes, rows)
        for each in stored:
            if each.change != "unchanged":
                self._writers[msgspec.structs.replace(each.ref, version=each.version)] = request_id.get() or ""
        return [self._signed(each) for each in stored]

    async def commit_each(self, commits: Sequence[Commit]) -> Sequence[Committed]:
        return [await self._committed(*commit) for commit in commits]

    async def _committed(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Committed:
        try:
            return await self.commit(writes, rows)
        except FacadeError as error:
            return error

    async def ping(self) -> None:
        await self._store.ping()

    def _page(self, page: Page) -> Page:
        return replace(page, entries=[self._signed(entry) for entry in page.entries])

    def _signed(self, stored: StoredResource) -> StoredResource:
        writer = self._writers.get(msgspec.structs.replace(stored.ref, version=stored.version))
        if writer is None or stored.deleted:
            return stored
        members = members_of(stored.body)
        meta = members_of(bytes(members["meta"]))
        own = TEXT.decode(meta["source"]) if "source" in meta else ""
        signed = {**meta, "source": f"{own}#{writer}"}
        head = {name: members[name] for name in ("resourceType", "id")}
        return msgspec.structs.replace(stored, body=msgspec.json.encode({**head, **members, **head, "meta": signed}))


async def _serve(folder: Path, writer: Principal | None, told: list[Any], ready: threading.Event) -> None:
    async with embedded_facade(folder) as facade:
        store = SigningStore(facade.ports.store, facade.ports.unit)
        ports = replace(facade.ports, store=store, unit=store)
        app = create_app(facade.settings, ports)
        with socket.socket(
            proto=socket.IPPROTO_TCP
        ) as listener:  # said, so that asyncio lets no answer wait for an ACK
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            admitted = _admitting(app if writer is None else _of(writer, ports), await facade.token())
            server = uvicorn.Server(uvicorn.Config(admitted, log_level="warning", lifespan="off"))
            told += [server, f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"]
            ready.set()
            await server.serve(sockets=[listener])
        await app.close()


def _of(writer: Principal, ports: Ports) -> FhirApi:
    """The FHIR API for one who needs no token."""

    async def verify(_token: str) -> Principal:
        return writer

    return FhirApi(ports, verify, Observer())


def _admitting(app: Any, token: str) -> Any:
    """The application; requests come with a token, and their id is known to the store."""

    async def admitted(scope: Any, receive: Any, send: Any) -> None:
        async def received() -> Any:
            message = await receive()
            return {**message, "body": _understood(message["body"])} if message.get("body") else message

        given = dict(scope["headers"])
        request_id.set(given.get(b"x-request-id", b"").decode())
        scope["headers"] = [*scope["headers"], (b"authorization", f"Bearer {token}".encode())]
        scope["query_string"] = _understood(scope["query_string"])
        await app(scope, received if scope["path"].endswith("/_search") else receive, send)

    return admitted


def _understood(asked: bytes) -> bytes:
    """The parameters without what HAPI only understands."""
    return b"&".join(part for part in asked.split(b"&") if part not in (b"_offset=0", b"_sort=_pid"))


@contextmanager
def mirror(folder: Path, writer: Principal | None = None) -> Iterator[str]:
    """The base URL, ending in `/fhir`; in a thread with an event loop of its own, until the block ends. `writer` may
    write what an app may not: the guards of alerts, which HAPI takes as it takes everything."""
    told: list[Any] = []
    ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(folder, writer, told, ready)), name="mirror")
    thread.start()
    assert ready.wait(PATIENCE_S), "the mirror did not start"
    server, url = told
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join()
