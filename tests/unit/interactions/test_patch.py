"""A patch that takes long keeps nobody waiting. https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from datetime import UTC, datetime

import pytest

from fhir_facade.errors import BadRequest
from fhir_facade.interactions.patch import patched
from fhir_facade.values import FhirRequest, Interaction

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENT = json.dumps({"resourceType": "Patient", "id": "1", "name": [{"family": str(at)} for at in range(100)]})
COSTLY = "Patient.descendants().where(%resource.descendants().where($this = 'none').exists())"


def asked(path: str) -> FhirRequest:
    """To delete what the path finds."""
    parts = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path}]
    change = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    body = json.dumps(change).encode()
    return FhirRequest(Interaction.PATCH, "Patient", "1", body=body, content_type="application/fhir+json")


async def test_others_have_their_turns_while_a_patch_uses_all_the_work_that_it_may_make() -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.001)

    heart = asyncio.ensure_future(beat())
    with pytest.raises(BadRequest, match="too many elements"):
        await patched(PATIENT.encode(), asked(COSTLY), NOW)
    heart.cancel()

    assert beats > 1


async def test_what_is_patched_beside_comes_back() -> None:
    after = json.loads(await patched(PATIENT.encode(), asked("Patient.name.where(family != '7')[0]"), NOW))

    assert [name["family"] for name in after["name"][:2]] == ["1", "2"]


def test_a_process_that_parted_from_one_that_patched_patches_too() -> None:
    asyncio.run(patched(PATIENT.encode(), asked("Patient.name[0]"), NOW))

    child = os.fork()
    if not child:
        signal.alarm(10)  # rather than waiting for a thread that it has not
        asyncio.run(patched(PATIENT.encode(), asked("Patient.name[0]"), NOW))
        os._exit(0)

    assert os.waitpid(child, 0)[1] == 0
