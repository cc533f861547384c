"""The stores a journey runs on, as settings of a facade.

A test marked `both_stores` runs on the embedded store and on HAPI with the facade's own rows in PostgreSQL; the others
run on the embedded store alone, because the store makes no difference to them. A first sync reads two weeks instead of
the three months of most deployments, unless the test is marked `lookback(90)`.
"""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from fhir_facade.adapters.state.postgres import PostgresState
from tests.hapi_server import psql

LOOKBACK_DAYS = 14
EMPTY = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$
DECLARE
  name text;
  used boolean;
BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', name) INTO used;
    IF used THEN EXECUTE format('TRUNCATE %I RESTART IDENTITY', name); END IF;
  END LOOP;
  INSERT INTO naming_type (type) VALUES ('*');
END $$
"""
"""As after the first start, which looks through the store. A tenth of the work of making a database anew: most tables were not used."""
HAPI = pytest.param("hapi", marks=(pytest.mark.hapi, pytest.mark.postgres))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "deployment" in metafunc.fixturenames:
        both = metafunc.definition.get_closest_marker("both_stores") is not None
        metafunc.parametrize("deployment", ["embedded", HAPI] if both else ["embedded"], indirect=True)


@pytest.fixture(scope="session")
def migrated_url(postgres_server: str) -> str:
    """The address of a database with the facade's tables, which all tests of a process share that want it empty."""
    return _migrated(postgres_server)


@pytest.fixture(scope="session")
def migrated_for_modules(postgres_server: str) -> str:
    """The same for facades that serve a whole module: its tests may want the other database empty meanwhile."""
    return _migrated(postgres_server)


def _migrated(server: str) -> str:
    name = f"t{uuid.uuid4().hex}"
    psql(server, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    with ThreadPoolExecutor(1) as beside:  # who asks may be a coroutine, whose loop runs already
        beside.submit(asyncio.run, _migrate(url)).result()
    return url


async def _migrate(url: str) -> None:
    state = PostgresState(url)
    await state.migrate()
    await state.close()


@pytest.fixture
def database_url(migrated_url: str) -> str:
    """A database for the facade's rows, without any; nobody else is connected to it."""
    psql(migrated_url, EMPTY)
    return migrated_url


@pytest.fixture(scope="module")
def module_database_url(migrated_for_modules: str) -> str:
    """The same for all facades of a module."""
    psql(migrated_for_modules, EMPTY)
    return migrated_for_modules


@pytest.fixture
def deployment(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings that choose the store, and how far a first sync looks back."""
    mark = request.node.get_closest_marker("lookback")
    days = LOOKBACK_DAYS if mark is None else mark.args[0]
    if request.param == "embedded":
        return {"store": "embedded", "sync_lookback_days": days}
    return {
        "store": "hapi",
        "sync_lookback_days": days,
        "hapi_url": request.getfixturevalue("empty_hapi_url"),
        "database_url": request.getfixturevalue("database_url"),
    }
