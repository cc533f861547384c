"""The contract suite: what every `FhirStore` promises, asked of each store there is.

A store is a row of STORES: its name and how to open it. Stores are shared by the tests of a run, so each test works
with ids and identifiers of its own (the `case`).
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from fhir_facade.adapters.embedded import EmbeddedStore
from fhir_facade.adapters.hapi import open_store
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.ports import FhirStore
from tests.contract.case import Case
from tests.facade import unused_file
from tests.mirror import mirror

Opening = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[FhirStore]]


@asynccontextmanager
async def on_hapi(request: pytest.FixtureRequest) -> AsyncIterator[FhirStore]:
    async with open_store(request.getfixturevalue("hapi_url")) as store:
        yield store


@asynccontextmanager
async def on_mirror(request: pytest.FixtureRequest) -> AsyncIterator[FhirStore]:
    async with open_store(request.getfixturevalue("mirror_url")) as store:
        yield store


@asynccontextmanager
async def on_embedded(request: pytest.FixtureRequest) -> AsyncIterator[FhirStore]:
    path: Path = request.getfixturevalue("tmp_path") / "facade.sqlite"
    path.write_bytes(await unused_file())
    file = SqliteFile(path)
    file.open()
    try:
        store = EmbeddedStore(file, SystemClock())
        store.start()
        yield store
    finally:
        file.close()


STORES: dict[str, Opening] = {
    "embedded": on_embedded,
    "hapi-over-mirror": on_mirror,
    "hapi": on_hapi,
}
MARKS = {"hapi": (pytest.mark.hapi,)}


@pytest.fixture(scope="session")
def mirror_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mirror(tmp_path_factory.mktemp("mirror")) as url:
        yield url


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ())) for name in STORES])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[FhirStore]:
    async with STORES[request.param](request) as opened:
        yield opened


@pytest.fixture
def case(store: FhirStore) -> Case:
    return Case(store, uuid.uuid4().hex[:12])
