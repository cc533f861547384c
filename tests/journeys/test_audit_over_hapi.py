"""The audit over a real HAPI: its copies, and that a line is there before the answer, whatever happens then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_facade.flows.audit_chain import seal
from fhir_facade.flows.audit_copy import copied_to, copy, ref_of_copy
from fhir_facade.flows.erase import erase_patient
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import HistoryQuery
from tests.facade import Facade
from tests.patience import PATIENCE_S
from tests.ward import facade_over_hapi

pytestmark = [pytest.mark.hapi, pytest.mark.postgres]


@pytest.fixture
async def facade(tmp_path: Path, empty_hapi_url: str, database_url: str) -> AsyncIterator[Facade]:
    async with facade_over_hapi(tmp_path, empty_hapi_url, database_url) as opened:
        yield opened


def asked(url: str) -> dict[str, Any]:
    """What HAPI itself answers, as a program beside the facade would ask it."""
    answer = httpx.get(url, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def reading(patient: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"of-{patient}",
        "status": "final",
        "code": {"text": "a reading"},
        "subject": {"reference": f"Patient/{patient}"},
    }


async def test_hapi_holds_each_line_once_and_forgets_with_the_facade(facade: Facade, empty_hapi_url: str) -> None:
    ports, service = facade.ports, await facade.client()
    for name in ("anna", "bert"):
        await service.put(f"/fhir/Patient/{name}", json={"resourceType": "Patient", "id": name})
        await service.get(f"/fhir/Patient/{name}")
    assert (await service.get("/fhir/Patient/nobody")).status_code == 404
    assert (await service.get("/fhir/Patient?_id=anna")).status_code == 200
    await seal(ports)

    first = await copy(ports)
    again = await copy(ports, again=True)

    lines = await ports.state.read(lambda tx: tx.find(AuditLine, order=("id",)))
    assert first == again == len(lines) == await ports.state.read(copied_to)
    assert asked(f"{empty_hapi_url}/AuditEvent?_summary=count")["total"] == len(lines)
    for line in lines:
        assert len((await ports.store.history(HistoryQuery("AuditEvent", ref_of_copy(line).id))).entries) == 1
    about = f"{empty_hapi_url}/AuditEvent?entity-name:exact=Patient/anna"
    found = asked(about)
    assert {entry["resource"]["subtype"][0]["code"] for entry in found["entry"]} == {"update", "read", "search-type"}

    await service.put("/fhir/Observation/of-bert", json=reading("bert"))
    for gone in ("Observation/of-bert", "Patient/bert"):
        assert (await service.delete(f"/fhir/{gone}")).status_code == 200
    deleted = await ports.state.read(lambda tx: tx.find(AuditLine, ("action", "=", "delete"), order=("id",)))
    assert [(each.entity, each.patient) for each in deleted] == [
        ("Observation/of-bert", "bert"),
        ("Patient/bert", "bert"),
    ]
    await erase_patient(ports, "anna")

    assert not asked(about).get("entry")
    for line in lines:
        page = await ports.store.history(HistoryQuery("AuditEvent", ref_of_copy(line).id))
        assert [b"Patient/anna" in entry.body for entry in page.entries] == [False]
