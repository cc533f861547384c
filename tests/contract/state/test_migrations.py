"""The steps of the migrations make exactly the tables that the row classes describe, on both databases."""

import asyncio
import sqlite3

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.migrate import core_connection, upgrade
from fhir_facade.adapters.state.postgres import PostgresState, engine_of
from fhir_facade.adapters.state.revisions import revisions
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.adapters.state.tables import facade_tables
from fhir_facade.errors import Unavailable
from fhir_facade.rows import Append
from fhir_facade.rows.events import Event


@pytest.fixture
def connection():
    driver = sqlite3.connect(":memory:", isolation_level=None)
    yield core_connection(driver)
    driver.close()


@pytest.fixture
async def postgres_engine(postgres_url):
    engine = engine_of(postgres_url)
    async with engine.begin() as connection:
        await connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        await connection.execute(sa.text("CREATE SCHEMA public"))
    yield engine
    await engine.dispose()


def differences(connection):
    context = MigrationContext.configure(
        connection,
        opts={"compare_type": True, "compare_server_default": True, "target_metadata": facade_tables().metadata},
    )
    return compare_metadata(context, facade_tables().metadata)


def columns(connection):
    """Everything that the database itself says about its tables."""
    inspector = sa.inspect(connection)
    return {
        table: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)],
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted((i["name"], tuple(i["column_names"]), bool(i["unique"])) for i in inspector.get_indexes(table)),
        )
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def test_a_newer_database_is_refused_with_a_way_out(connection):
    upgrade(connection)
    connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(Unavailable, match=r"newer fhir-facade.*9999.*backup"):
        upgrade(connection)


def test_revisions_are_numbered_without_gaps():
    assert revisions() == [f"{number:04}" for number in range(1, len(revisions()) + 1)]


def test_on_sqlite_nothing_is_left_to_change(connection):
    upgrade(connection)

    assert differences(connection) == []


def test_on_sqlite_the_steps_make_what_the_metadata_would(connection):
    upgrade(connection)
    driver = sqlite3.connect(":memory:", isolation_level=None)
    direct = core_connection(driver)
    facade_tables().metadata.create_all(direct)

    assert columns(connection) == columns(direct)
    driver.close()


def test_a_second_run_changes_nothing(connection):
    upgrade(connection)
    before = columns(connection)
    upgrade(connection)

    assert columns(connection) == before


@pytest.mark.postgres
async def test_on_postgres_nothing_is_left_to_change(postgres_engine, postgres_url):
    state = PostgresState(postgres_url)
    await state.migrate()

    async with postgres_engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        migrated = await connection.run_sync(columns)
        await connection.run_sync(facade_tables().metadata.drop_all)
        await connection.run_sync(facade_tables().metadata.create_all)
        assert await connection.run_sync(columns) == migrated
        await connection.rollback()
    await state.close()


@pytest.mark.postgres
async def test_two_processes_that_start_at_once_migrate_once(postgres_engine, postgres_url, event):
    states = [PostgresState(postgres_url) for _ in range(3)]

    await asyncio.gather(*(state.migrate() for state in states))

    await states[0].write(lambda tx: tx.apply(Append(event)))
    assert await states[1].read(lambda tx: tx.count(Event)) == 1
    for state in states:
        await state.close()


async def test_the_embedded_file_migrates_beside_tables_of_others(tmp_path, event):
    file = SqliteFile(tmp_path / "facade.sqlite")
    file.open()
    file.writer.execute("CREATE TABLE resource (id TEXT PRIMARY KEY)")
    state = SqliteState(file)

    await state.migrate()
    await state.migrate()
    await state.append([event])

    assert await state.read(lambda tx: tx.count(Event)) == 1
    assert await file.read(lambda c: c.execute("SELECT count(*) FROM resource").fetchone()) == (0,)
    file.close()


async def test_a_failed_migration_leaves_no_table_behind(tmp_path):
    file = SqliteFile(tmp_path / "facade.sqlite")
    file.open()
    file.writer.execute("CREATE TABLE session (id TEXT)")  # in the way of ours

    with pytest.raises(Unavailable, match="session"):
        await SqliteState(file).migrate()

    tables = file.read_here(lambda c: c.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall())
    assert [name for (name,) in tables if not name.startswith("sqlite_")] == ["session"]
    file.close()


@pytest.fixture
def event():
    from datetime import UTC, datetime

    return Event(at=datetime(2026, 1, 1, tzinfo=UTC), topic="alert", kind="raised", patient="p", data="{}")
