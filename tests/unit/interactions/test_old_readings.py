"""Old readings of patients without an alert are written without a queue; all others wait for their patient's turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fhir_facade.interactions.alerts.concerns import Changed, concerns_of
from fhir_facade.interactions.alerts.judging import without_effect
from fhir_facade.interactions.consequences import Concerned
from fhir_facade.values import Ref
from tests.facade import embedded_facade
from tests.patience import PATIENCE_S
from tests.ward import Ward, admitted

DAYS = 24 * 60


@pytest.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Ward]:
    async with embedded_facade(tmp_path) as facade:
        yield await admitted(facade)


def concerned(*readings: dict[str, Any], before: dict[str, Any] | None = None) -> Concerned:
    changes = [Changed(Ref("Observation", f"o{at}"), before, reading) for at, reading in enumerate(readings)]
    changes = [Changed(each.ref, each.before, each.after, b"{}") for each in changes]
    return Concerned(tuple(concerns_of(changes)), ())


async def test_an_old_reading_does_not_wait_while_others_are_judged(ward: Ward) -> None:
    old = ward.reading(140, 5 * DAYS)

    async with ward.facade.ports.locks.hold(*concerned(old).locks):
        async with asyncio.timeout(PATIENCE_S):
            await ward.post(old)

    assert await ward.alerts() == []


async def test_a_reading_of_today_waits_its_turn(ward: Ward) -> None:
    async with ward.facade.ports.locks.hold(*concerned(ward.reading(80)).locks):
        waiting = asyncio.create_task(ward.post(ward.reading(80)))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done

    await waiting


async def test_what_has_an_alert_already_or_says_another_time_is_judged(ward: Ward) -> None:
    ports = ward.facade.ports
    old, new = ward.reading(140, 5 * DAYS), ward.reading(140)
    timeless = {name: value for name, value in old.items() if name != "effectiveDateTime"}

    assert await without_effect(ports, concerned(old, timeless).concerns)
    assert not await without_effect(ports, concerned(old, new).concerns)
    assert not await without_effect(ports, concerned({**old, "status": "final", "code": {}}, before=old).concerns)

    await ward.post(new)
    assert len(await ward.alerts()) == 1
    assert not await without_effect(ports, concerned(old).concerns)
