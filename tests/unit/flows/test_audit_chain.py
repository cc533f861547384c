"""The chain over the audit: what it proves, what it lets go, and who it forgets."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from fhir_facade.cli.root import command_line
from fhir_facade.flows.audit_chain import drop_old, seal, verify
from fhir_facade.flows.audit_erase import Forgotten, forget
from fhir_facade.opening import open_ports
from fhir_facade.ports import Ports
from fhir_facade.rows import Put, Remove, Row
from fhir_facade.rows.audit import AuditErasure, AuditLine, AuditSeal
from tests.facade import embedded_facade

NOW = datetime(2024, 3, 10, 12, tzinfo=UTC)


class StoppedClock:
    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a deployment without anything in it, to be copied."""
    folder = tmp_path_factory.mktemp("empty")

    async def make() -> None:
        async with embedded_facade(folder):
            pass

    asyncio.run(make())
    return folder


@pytest.fixture
async def ports(tmp_path: Path, empty: Path) -> AsyncIterator[Ports]:
    """The ports of a new deployment whose clock stands."""
    async with embedded_facade(shutil.copytree(empty, tmp_path / "data")) as facade:
        yield replace(facade.ports, clock=StoppedClock(NOW))


def line(**elements: Any) -> AuditLine:
    common = {"at": NOW, "action": "read", "outcome": "success", "actor": "doctor", "user": "account-doctor"}
    return AuditLine(**{**common, "patient": "anna", "entity": "Observation/1", **elements})


async def sealed(ports: Ports, *lines: AuditLine) -> None:
    await ports.state.append(lines)
    assert await seal(ports) == len(lines)


async def change(ports: Ports, row: type[Row], key: str, value: Any, **values: Any) -> None:
    await ports.state.write(lambda tx: tx.change(row, [(key, "=", value)], **values))


# --- tampering ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"patient": "bert"},
        {"patient": None},
        {"entity": "Observation/2"},
        {"user": "account-nurse"},
        {"outcome": "refused"},
        {"action": "delete"},
        {"at": NOW + timedelta(hours=1)},
        {"address": "192.0.2.1"},
        {"query": "code=x"},
        {"request_id": "other"},
    ],
    ids=str,
)
async def test_a_line_that_was_changed_is_found(ports: Ports, changed: dict[str, Any]) -> None:
    await sealed(ports, line(), line())
    await sealed(ports, line())
    await change(ports, AuditLine, "id", 2, **changed)

    found = await verify(ports)

    assert found.problems == ("seal 1 over the lines 1 to 2: a line was changed",)


async def test_a_line_that_was_removed_or_slipped_in_is_found(ports: Ports) -> None:
    await sealed(ports, line(), line())
    await ports.state.append([line(id=5)])
    later = replace(ports, clock=StoppedClock(NOW + timedelta(minutes=2)))
    assert await seal(later) == 1

    await ports.state.write(lambda tx: tx.apply(Remove(AuditLine, (2,))))
    await ports.state.append([line(id=4)])

    assert (await verify(ports)).problems == (
        "seal 1 over the lines 1 to 2: covered 2 lines, and there are 1",
        "seal 2 over the lines 5 to 5: covered 1 lines, and there are 2",
    )


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"hash": "0" * 64}, "was changed after it was made"),
        ({"dropped": True}, "was changed after it was made"),
        ({"sealed": b"nonsense"}, "was not made by this deployment's keys"),
        ({"first": 9}, "does not follow the seal before it"),
        pytest.param({"salts": bytes(64)}, "a line was changed", id="salts"),
    ],
    ids=str,
)
async def test_a_seal_that_was_made_anew_is_found(ports: Ports, changed: dict[str, Any], problem: str) -> None:
    await sealed(ports, line(), line())
    await change(ports, AuditSeal, "number", 1, **changed)

    assert problem in (await verify(ports)).problems[0]


async def test_a_seal_out_of_the_middle_is_missed(ports: Ports) -> None:
    for _ in range(3):
        await sealed(ports, line())
    await ports.state.write(lambda tx: tx.apply(Remove(AuditSeal, (2,)), Remove(AuditLine, (2,))))

    assert "seal 3 over the lines 3 to 3: does not follow the seal before it" in (await verify(ports)).problems


async def test_an_end_that_was_cut_off_is_missed_by_who_noted_the_head(ports: Ports) -> None:
    await sealed(ports, line())
    await sealed(ports, line())
    head = (await verify(ports)).head
    assert (await verify(ports, expected=head)).problems == ()

    await ports.state.write(lambda tx: tx.apply(Remove(AuditSeal, (2,)), Remove(AuditLine, (2,))))

    assert (await verify(ports)).problems == ()
    assert "is no more part of the chain" in (await verify(ports, expected=head)).problems[0]


# --- sealing --------------------------------------------------------------------------------------------------


async def test_an_empty_audit_has_nothing_to_seal_and_no_head(ports: Ports) -> None:
    assert await seal(ports) == 0
    assert (await verify(ports)).head is None


async def test_many_lines_become_several_seals_and_all_are_counted(ports: Ports) -> None:
    await sealed(ports, *[line() for _ in range(600)])
    await ports.state.append([line()])

    found = await verify(ports)

    assert (found.problems, found.seals, found.lines, found.unsealed) == ((), 3, 600, 1)


async def test_a_number_that_may_still_come_is_waited_for_a_minute(ports: Ports) -> None:
    await sealed(ports, line())
    await ports.state.append([line(id=3)])

    assert await seal(ports) == 0
    assert await seal(replace(ports, clock=StoppedClock(NOW + timedelta(minutes=1)))) == 1
    assert (await verify(ports)).problems == ()


# --- dropping and forgetting ----------------------------------------------------------------------------------


async def test_lines_are_kept_six_years_then_dropped_and_the_chain_goes_on(ports: Ports) -> None:
    """As long as 45 CFR 164.316 asks for, also where two of the years are leap years."""
    await sealed(ports, line(), line())
    assert await drop_old(replace(ports, clock=StoppedClock(NOW.replace(year=NOW.year + 6)))) == 0
    assert ports.deployment.audit_kept_days >= 6 * 365 + 2
    later = replace(ports, clock=StoppedClock(NOW + timedelta(days=2193)))
    await sealed(later, line())

    assert await drop_old(later) == 2

    found = await verify(ports)
    lines = await ports.state.read(lambda tx: tx.find(AuditLine))
    assert (found.problems, found.dropped, found.lines, [each.id for each in lines]) == ((), 2, 1, [3])


async def test_lines_that_come_back_after_they_were_dropped_are_found(ports: Ports) -> None:
    await sealed(ports, line())
    await drop_old(replace(ports, clock=StoppedClock(NOW + timedelta(days=2193))))
    await ports.state.append([line(id=1)])

    assert "covers lines again that were dropped" in (await verify(ports)).problems[0]


async def test_who_is_forgotten_is_named_nowhere_and_the_chain_still_holds(ports: Ports) -> None:
    await sealed(
        ports,
        line(id=0, request_id="r1"),
        line(patient="bert", entity="Observation/9"),
        line(user="account-anna", actor="anna", address="192.0.2.1", token="t", client="app"),
        line(patient=None, entity="Observation", query="patient=anna"),
        line(patient=None, entity="Patient/anna", outcome="refused"),
        line(patient=None, entity=None, action="login", user="account-anna", actor="anna"),
    )
    await ports.state.append([line(id=9)])
    whom = Forgotten("anna", {"Patient/anna", "Observation/1"}, {"account-anna"})

    assert await forget(ports, whom) == 6

    lines = await ports.state.read(lambda tx: tx.find(AuditLine, order=("id",)))
    assert b"anna" not in msgspec.json.encode(lines)
    assert [each.user for each in lines] == ["account-doctor"] * 2 + [None] + ["account-doctor"] * 2 + [None] + [
        "account-doctor"
    ]
    assert lines[1].patient == "bert"
    found = await verify(ports)
    assert (found.problems, found.erased) == ((), 5)


async def test_what_stands_for_a_forgotten_line_cannot_be_guessed_or_changed(ports: Ports) -> None:
    await sealed(ports, line())
    whom = Forgotten("anna", set(), set())
    await forget(ports, whom)
    (erased,) = await ports.state.read(lambda tx: tx.find(AuditErasure))
    (made,) = await ports.state.read(lambda tx: tx.find(AuditSeal))

    assert made.salts[:16] == bytes(16) != made.salts[16:]
    assert erased.actor is None
    await ports.state.write(lambda tx: tx.apply(Put(msgspec.structs.replace(erased, subject="0" * 64))))
    assert (await verify(ports)).problems != ()


async def test_a_line_is_forgotten_for_its_patient_first_and_for_who_did_it_later(ports: Ports) -> None:
    await sealed(ports, line(user="account-anna"))

    await forget(ports, Forgotten("anna", set(), set()))
    await forget(ports, Forgotten("other", set(), {"account-anna"}))

    found = await verify(ports)
    assert (found.problems, found.erased) == ((), 1)


# --- several processes, and the commands ----------------------------------------------------------------------


async def test_processes_that_write_and_seal_at_the_same_time_make_one_chain(tmp_path: Path, empty: Path) -> None:
    folder = shutil.copytree(empty, tmp_path / "data")
    async with embedded_facade(folder) as facade, open_ports(facade.settings, guest=True) as beside:

        async def work(ports: Ports) -> int:
            sealed_here = 0
            for _ in range(10):
                await ports.state.append([line(), line()])
                sealed_here += await seal(ports)
            return sealed_here

        counts = await asyncio.gather(work(facade.ports), work(beside), work(facade.ports))

        found = await verify(facade.ports)
    assert (found.problems, found.lines, found.unsealed) == ((), 60, 0)
    assert sum(counts) == 60


def test_the_commands_tell_what_was_tampered_with(tmp_path: Path, empty: Path) -> None:
    folder = shutil.copytree(empty, tmp_path / "data")

    def run(*words: str) -> tuple[int, str]:
        told = CliRunner().invoke(command_line(words[0]), list(words), env={"FHIR_FACADE_DATA_DIR": str(folder)})
        return told.exit_code, told.output

    async def write() -> None:
        async with embedded_facade(folder) as facade:
            await facade.ports.state.append([line()])

    asyncio.run(write())
    sealed_lines, whole = run("audit", "seal"), run("audit", "verify")
    with sqlite3.connect(folder / "facade.sqlite") as file:
        file.execute("UPDATE audit SET patient = 'bert'")
    file.close()
    changed, unknown = run("audit", "verify"), run("erase", "patient", "nobody", "--yes")

    assert sealed_lines == (0, "1 lines sealed\n")
    assert whole[0] == 0
    assert "nothing was tampered with" in whole[1]
    assert changed[0] == 1
    assert "tampered: seal 1 over the lines 1 to 1: a line was changed" in changed[1]
    assert unknown[0] == 1
