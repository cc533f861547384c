"""After a rotation everything sealed in a row opens with the newest key alone, and nothing was lost on the way."""

import asyncio
import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec
import pytest

from fhir_facade.adapters.keys import KeyFile
from fhir_facade.adapters.state.tables import facade_tables
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.adapters.vault import KeyFileVault
from fhir_facade.errors import Unavailable
from fhir_facade.flows.keys import SEALED, rotate_keys
from fhir_facade.flows.launch.keys import current_signer
from fhir_facade.flows.wearables.pending import verifier_context
from fhir_facade.flows.wearables.tokens import access_token, keep_tokens
from fhir_facade.interactions.audit_names import line_names
from fhir_facade.ports import VendorTokens
from fhir_facade.rows.audit import AuditSeal
from fhir_facade.rows.connections import Connection, ConnectionTokens, PendingConnection
from fhir_facade.rows.intents import Intent
from tests.facade import embedded_facade

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CONNECTION = Connection(id="c1", patient="p1", vendor="google-health", state="active", created_at=NOON)


@pytest.fixture
def key_file(tmp_path):
    return lambda: KeyFile(tmp_path / "keys.json", SystemClock())


@pytest.fixture
async def ports(tmp_path):
    async with embedded_facade(tmp_path) as facade:
        yield facade.ports


async def fill(ports):
    """One value of each sealed column, sealed by the flow that owns it."""
    await ports.state.append([CONNECTION])
    await keep_tokens(ports, "c1", VendorTokens("access", "refresh", datetime.now(UTC) + timedelta(hours=1), ()))
    await current_signer(ports)
    await line_names(ports)
    sealed = ports.vault.seal(b"verifier", context=verifier_context("h1"))
    pending = PendingConnection(
        hash="h1", connection="c1", sealed_verifier=sealed, redirect_uri="http://x/", expires_at=NOON
    )
    await ports.state.append([pending])


async def test_a_value_that_no_key_opens_is_counted_and_left_alone(ports, key_file):
    await fill(ports)
    damaged = ConnectionTokens(connection="c2", sealed=b"\1\0\0\0\1 not sealed by any key of ours", changed_at=NOON)
    await ports.state.append([damaged])

    rotation = await rotate_keys(ports, key_file())

    assert rotation.unreadable == {"connection_tokens": 1}
    assert await ports.state.read(lambda tx: tx.get(ConnectionTokens, "c2")) == damaged


async def test_audit_events_keep_their_ids(ports, key_file):
    """Also for two that ask for the first one at once, as processes do."""
    first, second = await asyncio.gather(line_names(ports), line_names(ports))
    ids = [first.id_of(number) for number in (1, 2, 2**40)]

    await rotate_keys(ports, key_file())

    for names in (second, await line_names(ports)):
        assert [names.id_of(number) for number in (1, 2, 2**40)] == ids
        assert [names.number_of(id_) for id_ in ids] == [1, 2, 2**40]


async def test_everything_opens_with_the_newest_key_alone(ports, key_file, tmp_path):
    await fill(ports)

    rotation = await rotate_keys(ports, key_file())

    assert rotation.number == 2
    names = ("audit_name_key", "connection_tokens", "pending_connection", "signing_key")
    assert rotation.resealed == dict.fromkeys(names, 1)
    assert rotation.unreadable == {}
    document = json.loads((tmp_path / "keys.json").read_text())
    newest = tmp_path / "newest.json"
    newest.touch(mode=0o600)
    newest.write_text(json.dumps({"keys": document["keys"][-1:]}))
    alone = KeyFileVault(KeyFile(newest, SystemClock()))
    for column in SEALED:
        for row in await ports.state.read(lambda tx, column=column: tx.find(column.row)):
            assert alone.open(getattr(row, column.field), context=column.context(row))


async def test_the_flows_go_on_with_what_was_sealed_again(ports, key_file):
    await fill(ports)
    signer = await current_signer(ports)

    await rotate_keys(ports, key_file())

    assert await access_token(ports, CONNECTION) == "access"
    assert (await current_signer(ports)).kid == signer.kid
    pending = await ports.state.read(lambda tx: tx.get(PendingConnection, "h1"))
    assert ports.vault.open(pending.sealed_verifier, context=verifier_context("h1")) == b"verifier"


async def test_what_the_old_key_sealed_in_a_link_still_opens(ports, key_file):
    link = ports.vault.seal(b"page 2", context="page")

    await rotate_keys(ports, key_file())

    assert ports.vault.open(link, context="page") == b"page 2"


async def test_a_value_replaced_during_the_rotation_keeps_the_new_value(ports, key_file):
    await fill(ports)

    other_process = sqlite3.connect(ports.state._file.path, isolation_level=None)

    class Interleaved:
        """The tokens are refreshed between reading the old value and writing it back."""

        def reseal(self, sealed, *, context):
            other_process.execute("UPDATE connection_tokens SET sealed = ?", (b"the refreshed one",))
            return ports.vault.reseal(sealed, context=context)

    rotation = await rotate_keys(replace(ports, vault=Interleaved()), key_file())
    other_process.close()

    assert rotation.resealed == {"audit_name_key": 1, "pending_connection": 1, "signing_key": 1}
    row = await ports.state.read(lambda tx: tx.get(ConnectionTokens, "c1"))
    assert row.sealed == b"the refreshed one"


def test_every_column_of_bytes_is_registered():
    """A new sealed column that nobody registers would be lost when old keys are taken away."""
    found = {
        (table.row, field.name)
        for table in facade_tables()
        for field in msgspec.structs.fields(table.row)
        if field.type is bytes or bytes in get_args(field.type)
    }

    assert found - {(Intent, "changes"), (AuditSeal, "salts")} == {(column.row, column.field) for column in SEALED}


async def test_a_key_file_that_was_lost_is_not_replaced_by_a_new_one(tmp_path):
    async with embedded_facade(tmp_path) as facade:
        await fill(facade.ports)
    (tmp_path / "keys.json").unlink()

    with pytest.raises(Unavailable, match="missing, and data is sealed"):
        async with embedded_facade(tmp_path):
            pytest.fail("started with other keys")

    assert not (tmp_path / "keys.json").exists()


async def test_before_anything_is_sealed_a_key_file_is_made_again(tmp_path):
    async with embedded_facade(tmp_path):
        (tmp_path / "keys.json").unlink()

    async with embedded_facade(tmp_path):
        assert (tmp_path / "keys.json").exists()
