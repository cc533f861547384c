"""The scripts run; how much anything costs is no test."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx

from tests.bench.sign_in_cost import check, decisions, deployment
from tests.facade import facade_env, served
from tests.patience import PATIENCE_S


def test_every_decision_is_measured() -> None:
    measured = decisions(times=10)

    assert len(dict(measured)) == 9
    assert all(cost > 0 for _, cost in measured)


async def test_a_token_is_checked_and_families_are_there_to_be_renewed(tmp_path: Path) -> None:
    async with deployment(tmp_path, families=2) as (ports, families):
        assert await check(ports, times=10) > 0

    assert len({each.refresh for each in families}) == 2


def test_the_server_without_an_audit_answers_and_writes_no_line_of_what_was_read(tmp_path: Path) -> None:
    env = facade_env(tmp_path / "data")
    with served(env, tmp_path / "log", module="tests.bench.unaudited") as running:
        asked = {"Authorization": f"Bearer {running.token()}"}
        answer = httpx.get(f"{running.url}/fhir/Patient/anna", headers=asked, timeout=PATIENCE_S)

    with closing(sqlite3.connect(tmp_path / "data" / "facade.sqlite")) as file:
        (lines,) = file.execute("SELECT count(*) FROM audit WHERE action = 'read'").fetchone()
        (others,) = file.execute("SELECT count(*) FROM access_token").fetchone()
    assert answer.status_code == 404
    assert lines == 0
    assert others > 0
