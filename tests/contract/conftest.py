"""The contract suite: what every `FhirStore` promises, asked of each store there is.

A store is a row of STORES: its name and how to open it. Stores are shared by the tests of a run, so each test works
with ids and identifiers of its own (the `case`).
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from fhir_facade.adapters.embedded import EmbeddedStore
from fhir_facade.adapters.hapi import open_store
from fhir_facade.adapters.patience import SEARCH_S
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.ports import FhirStore
from tests.contract.case import Case
from tests.facade import unused_file
from tests.mirror import mirror


class Opening(Protocol):
    def __call__(
        self, request: pytest.FixtureRequest, *, search_s: float = SEARCH_S
    ) -> AbstractAsyncContextManager[FhirStore]: ...


@asynccontextmanager
async def on_hapi(request: pytest.FixtureRequest, *, search_s: float = SEARCH_S) -> AsyncIterator[FhirStore]:
    async with open_store(request.getfixturevalue("hapi_url"), search_s=search_s) as store:
        yield store


@asynccontextmanager
async def on_mirror(request: pytest.FixtureRequest, *, search_s: float = SEARCH_S) -> AsyncIterator[FhirStore]:
    async with open_store(request.getfixturevalue("mirror_url"), search_s=search_s) as store:
        yield store


@asynccontextmanager
async def on_embedded(request: pytest.FixtureRequest, *, search_s: float = SEARCH_S) -> AsyncIterator[FhirStore]:
    path: Path = request.getfixturevalue("tmp_path") / "facade.sqlite"
    path.write_bytes(await unused_file())
    file = SqliteFile(path)
    file.open()
    try:
        store = EmbeddedStore(file, SystemClock(), search_s=search_s)
        store.start()
        yield store
    finally:
        file.close()


STORES: dict[str, Opening] = {
    "embedded": on_embedded,
    "hapi-over-mirror": on_mirror,
    "hapi": on_hapi,
}
HASTE_S = 0.02
MARKS = {"hapi": (pytest.mark.hapi,)}


@pytest.fixture(scope="session")
def mirror_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mirror(tmp_path_factory.mktemp("mirror")) as url:
        yield url


EACH = [pytest.param(name, marks=MARKS.get(name, ())) for name in STORES]


@pytest.fixture(params=EACH)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[FhirStore]:
    async with STORES[request.param](request) as opened:
        yield opened


@pytest.fixture(params=EACH)
async def hasty(request: pytest.FixtureRequest) -> AsyncIterator[FhirStore]:
    """A store that gives a search so little time that a long one cannot end in it."""
    async with STORES[request.param](request, search_s=HASTE_S) as opened:
        yield opened


@pytest.fixture
def case(store: FhirStore) -> Case:
    return Case(store, uuid.uuid4().hex[:12])
