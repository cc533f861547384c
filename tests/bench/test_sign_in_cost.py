"""The scripts run; how much anything costs is no test."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import FhirRequest, Interaction
from tests.bench.audit_cost import SERVICE, Unaudited
from tests.bench.sign_in_cost import check, decisions, deployment
from tests.facade import embedded_facade


def test_every_decision_is_measured() -> None:
    measured = decisions(times=10)

    assert len(dict(measured)) == 9
    assert all(cost > 0 for _, cost in measured)


async def test_a_token_is_checked_and_families_are_there_to_be_renewed(tmp_path: Path) -> None:
    async with deployment(tmp_path, families=2) as (ports, families):
        assert await check(ports, times=10) > 0

    assert len({each.refresh for each in families}) == 2


async def test_the_assembly_without_an_audit_reads_and_writes_no_line(tmp_path: Path) -> None:
    asked = FhirRequest(Interaction.READ, "Patient", "anna")
    body = b'{"resourceType":"Patient","id":"anna"}'
    async with embedded_facade(tmp_path) as facade:
        await dispatch(facade.ports, SERVICE, replace(asked, interaction=Interaction.UPDATE, body=body))
        bare = replace(facade.ports, state=Unaudited(facade.ports.state))

        answers = await asyncio.gather(dispatch(bare, SERVICE, asked), dispatch(facade.ports, SERVICE, asked))

        lines = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("action", "=", "read")))
    assert [answer.status for answer in answers] == [200, 200]
    assert len(lines) == 1
