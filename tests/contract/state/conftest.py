"""One state store under test, on each database."""

import pytest
import sqlalchemy as sa

from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.migrate import core_connection
from fhir_facade.adapters.state.postgres import PostgresState, engine_of
from fhir_facade.adapters.state.sqlite import SqliteState
from tests.contract.state.specimens import TABLES, Line


@pytest.fixture(params=["sqlite", "sqlite with lines apart", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request):
    return request.param


@pytest.fixture
async def state(database, request, tmp_path):
    if database.startswith("sqlite"):
        file = SqliteFile(tmp_path / "state.sqlite")
        file.open()
        TABLES.metadata.create_all(core_connection(file.writer))
        state = SqliteState(file, TABLES, spooled=None if database == "sqlite" else Line)
        await state.serve()
        yield state
        await state.close()
        file.close()
    else:
        url = request.getfixturevalue("postgres_url")
        await empty_tables(url)
        state = PostgresState(url, TABLES)
        yield state
        await state.close()


async def empty_tables(url):
    engine = engine_of(url)
    async with engine.begin() as connection:
        await connection.run_sync(TABLES.metadata.drop_all)
        await connection.run_sync(TABLES.metadata.create_all)
        await connection.execute(sa.text("SELECT 1"))
    await engine.dispose()
