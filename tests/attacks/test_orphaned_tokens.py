"""Tokens that outlive whom or what they were given to: their row is gone, by an erasure or by RFC 7592. No store takes
part: they are refused before any record is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Remove
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.oauth import Client, Grant
from tests.facade import embedded_facade

APP = "app"


@pytest.mark.parametrize("gone", ["account", "client"])
async def test_a_token_of_nobody_is_good_for_nothing(tmp_path: Path, gone: str) -> None:
    async with embedded_facade(tmp_path) as facade:
        new = NewAccount("anna", "patient", "correct horse battery", patient_id="anna")
        account = await add_account(facade.ports, new)
        await add_client(facade.ports, NewClient(APP, "public", "patient/*.rs", redirect_uris=("https://app.example",)))
        await (await facade.client()).put("/fhir/Patient/anna", json={"resourceType": "Patient", "id": "anna"})
        anna = await facade.client("patient/*.rs", username="anna")

        def lose(tx: StateTransaction) -> None:
            tx.change(Grant, [("account_id", "=", account.id)], client_id=APP)
            tx.apply(Remove(Account, (account.id,)) if gone == "account" else Remove(Client, (APP,)))

        await facade.ports.state.write(lose)

        assert (await anna.get("/fhir/Patient/anna")).status_code == 401
