"""What only PostgreSQL can do wrong: numbers out of order, a restart, an address that nobody answers."""

import asyncio
import socket
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from fhir_facade.adapters.state.postgres import PostgresState, engine_of
from fhir_facade.errors import Unavailable
from fhir_facade.rows import Append
from tests.contract.state.conftest import empty_tables
from tests.contract.state.specimens import TABLES, Line

pytestmark = pytest.mark.postgres


@pytest.fixture
async def state(postgres_url):
    await empty_tables(postgres_url)
    state = PostgresState(postgres_url, TABLES)
    yield state
    await state.close()


@pytest.fixture
async def admin(postgres_url):
    engine = engine_of(postgres_url).execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def test_an_address_that_nobody_answers_is_unavailable():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        state = PostgresState(f"postgresql://u:hidden@127.0.0.1:{silent.getsockname()[1]}/d", TABLES)

        with pytest.raises(Unavailable) as refused:
            await state.ping()

    assert "hidden" not in str(refused.value)
    await state.close()


async def test_a_wrong_password_is_unavailable(postgres_url):
    parts = urlsplit(postgres_url)
    state = PostgresState(parts._replace(netloc=f"postgres:wrong@{parts.hostname}:{parts.port}").geturl(), TABLES)

    with pytest.raises(Unavailable):
        await state.append([Line(text="x")])
    await state.close()


async def test_a_server_that_fell_silent_is_noticed_on_a_connection_that_is_open_already(state, postgres_url):
    """Of what is sent to a stopped machine nothing comes back, and nothing says so."""
    speaking = asyncio.Event()
    speaking.set()
    there = urlsplit(postgres_url)

    async def pass_on(reader, writer):
        while data := await reader.read(65536):
            await speaking.wait()
            writer.write(data)
        writer.close()

    async def relay(reader, writer):
        from_server, to_server = await asyncio.open_connection(there.hostname, there.port)
        await asyncio.gather(pass_on(reader, to_server), pass_on(from_server, writer))

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as between:
        port = between.sockets[0].getsockname()[1]
        account = there.netloc.rpartition("@")[0]
        far = PostgresState(there._replace(netloc=f"{account}@127.0.0.1:{port}").geturl(), TABLES)
        await far.ping()

        speaking.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await far.ping()

        speaking.set()
        await far.ping()
        await far.close()


async def test_absent_tables_are_unavailable(state, admin):
    await admin.execute(sa.text("DROP TABLE line"))

    with pytest.raises(Unavailable, match="UndefinedTable"):
        await state.append([Line(text="x")])


async def test_broken_connections_are_replaced_without_the_caller_noticing(state, admin):
    await asyncio.gather(*(state.append([Line(text=str(n))]) for n in range(3)), state.ping(), state.ping())
    await admin.execute(
        sa.text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )

    await state.append([Line(text="after")])
    await state.write(lambda tx: tx.apply(Append(Line(text="end"))))

    assert [line.text for line in await state.read(lambda tx: tx.find(Line, order=("id",)))][-2:] == ["after", "end"]


async def test_whoever_draws_a_number_waits_for_the_commit_of_the_one_before(state, admin, postgres_url):
    other = engine_of(postgres_url)
    async with other.connect() as first:
        await first.execute(
            sa.text("SELECT pg_advisory_xact_lock(hashtextextended('fhir-facade numbering of line', 0))")
        )
        await first.execute(sa.text("INSERT INTO line (text, note) VALUES ('first', '')"))
        appending = asyncio.create_task(state.append([Line(text="second")]))
        writing = asyncio.create_task(state.write(lambda tx: tx.apply(Append(Line(text="third")))))

        while await waiting_for_advisory_locks(admin) < 2:
            assert not appending.done()
            assert not writing.done()
        assert await state.read(lambda tx: tx.count(Line)) == 0
        await first.commit()
    await asyncio.gather(appending, writing)

    lines = await state.read(lambda tx: tx.find(Line, order=("id",)))
    assert lines[0].text == "first"
    assert {line.text for line in lines[1:]} == {"second", "third"}
    await other.dispose()


async def waiting_for_advisory_locks(connection):
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    return (await connection.execute(sa.text(query))).scalar_one()
