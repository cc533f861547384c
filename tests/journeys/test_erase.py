"""Erasing a patient: nothing of her is left, nothing of anybody else is touched, and the audit is still proven."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from fhir_facade.errors import Conflict, NotFound
from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.admission import UNKNOWN, record_look
from fhir_facade.flows.audit_chain import seal, verify
from fhir_facade.flows.erase import erase_patient
from fhir_facade.flows.launch.verify import principal_of_account
from fhir_facade.flows.wearables.tokens import keep_tokens
from fhir_facade.ports import VendorTokens
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.connections import Connection, ConnectionTokens
from fhir_facade.rows.oauth import Grant
from tests.facade import Facade, embedded_facade

PASSWORD = "correct horse battery"


@pytest.fixture
async def facade(tmp_path: Path, deployment: dict[str, Any]) -> AsyncIterator[Facade]:
    async with embedded_facade(tmp_path, **deployment) as opened:
        yield opened


def observation(patient: str, id_: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"text": "a reading"},
        "subject": {"reference": f"Patient/{patient}"},
        **elements,
    }


async def put(client: httpx.AsyncClient, resource: dict[str, Any]) -> None:
    answer = await client.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
    assert answer.status_code in (200, 201), answer.text


@pytest.mark.both_stores
async def test_a_patient_is_erased_with_every_version_account_and_name_and_others_stay(facade: Facade) -> None:
    ports, service = facade.ports, await facade.client()
    mark = uuid.uuid4().hex[:8]
    anna, bert, kept, gone, deleted = (f"{name}-{mark}" for name in ("anna", "bert", "kept", "gone", "deleted"))
    for patient in (anna, bert):
        await put(service, {"resourceType": "Patient", "id": patient})
    await put(service, observation(bert, kept))
    await put(service, observation(anna, gone))
    await put(service, observation(anna, gone, valueString="a second version"))
    await put(service, observation(anna, deleted))
    assert (await service.delete(f"/fhir/Observation/{deleted}")).status_code == 200
    account = await add_account(ports, NewAccount(anna, "patient", PASSWORD, patient_id=anna))
    own = await facade.client("patient/*.rs", username=anna)
    assert (await own.get(f"/fhir/Observation?patient={anna}")).json()["total"] == 1
    await ports.state.append([connection := _connection(ports.clock.now(), anna)])
    await keep_tokens(ports, connection.id, VendorTokens("an access token", "a refresh token", ports.clock.now(), ()))
    await seal(ports)

    erased = await erase_patient(ports, anna)

    assert (erased.resources, erased.accounts, erased.connections, erased.unrevoked) == (
        3,
        1,
        1,
        ("retired-vendor",),
    )
    for path in (f"Patient/{anna}", f"Observation/{gone}", f"Observation/{gone}/_history/1", f"Observation/{deleted}"):
        assert (await service.get(f"/fhir/{path}")).status_code == 404, path
    assert (await service.get(f"/fhir/Observation/{gone}/_history")).status_code == 404
    assert (await service.get(f"/fhir/Observation/{kept}")).status_code == 200
    assert (await own.get(f"/fhir/Patient/{anna}")).status_code in (401, 404)  # a token is believed for a second
    left = await ports.state.read(
        lambda tx: [
            *tx.find(Account, ("id", "=", account.id)),
            *tx.find(Grant, ("patient", "=", anna)),
            *tx.find(ConnectionTokens, ("connection", "=", connection.id)),
            *tx.find(AuditLine, ("at", "<", ports.clock.now()), ("action", "!=", "history-instance")),
        ]
    )
    before = [row for row in left if not (isinstance(row, AuditLine) and row.outcome == "refused")]
    assert anna.encode() not in msgspec.json.encode(before)
    assert (await verify(ports)).problems == ()
    with pytest.raises(NotFound):
        await erase_patient(ports, f"nobody-{mark}")


def _connection(now: Any, patient: str) -> Connection:
    return Connection(id=f"c-{patient}", patient=patient, vendor="retired-vendor", state="active", created_at=now)


async def test_a_record_of_somebody_else_that_refers_to_her_is_named_first(facade: Facade) -> None:
    service = await facade.client()
    await put(service, {"resourceType": "Patient", "id": "anna"})
    await put(service, observation("anna", "o"))
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True}
    await put(service, group | {"member": [{"entity": {"reference": "Patient/anna"}}]})

    with pytest.raises(Conflict, match="Group/g refers to Patient/anna"):
        await erase_patient(facade.ports, "anna")

    assert (await service.get("/fhir/Observation/o")).status_code == 200


async def test_an_erasure_that_was_interrupted_before_the_audit_is_finished_by_the_next(facade: Facade) -> None:
    """The records are gone, and so are the accounts: only lines are left that name her."""
    about = {"at": facade.ports.clock.now(), "action": "read", "outcome": "success", "actor": "doctor"}
    lines = [AuditLine(patient=name, entity=f"Observation/of-{name}", **about) for name in ("anna", "bert")]
    await facade.ports.state.append(lines)

    erased = await erase_patient(facade.ports, "anna")

    left = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("action", "=", "read")))
    assert (erased.resources, erased.lines) == (0, 1)
    assert [line.patient for line in left] == [None, "bert"]
    with pytest.raises(NotFound):
        await erase_patient(facade.ports, "anna")


async def test_that_an_administrator_looked_at_an_account_names_it_no_more(facade: Facade) -> None:
    service = await facade.client()
    await put(service, {"resourceType": "Patient", "id": "anna"})
    account = await add_account(facade.ports, NewAccount("anna", "patient", PASSWORD, patient_id="anna"))
    root = await add_account(facade.ports, NewAccount("root", "admin", PASSWORD))
    who = replace(principal_of_account(root), name="root")
    await record_look(facade.ports, who, "account shown", UNKNOWN, account=account.id)

    await erase_patient(facade.ports, "anna")

    lines = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("user", "=", root.id), ("actor", "=", "root")))
    assert [(line.entity, line.detail) for line in lines] == [(None, None)]
    assert not (await verify(facade.ports)).problems
