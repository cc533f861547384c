"""Erasing resources from HAPI: deleted in one transaction, then expunged with every version.

Needs `expunge_enabled`. https://hapifhir.io/hapi-fhir/docs/server_jpa/schema.html,
https://smilecdr.com/docs/fhir_repository/deleting_data.html#the-expunge-operation
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from fhir_facade.adapters.hapi.read import path_of
from fhir_facade.adapters.hapi.session import Answer, HapiSession
from fhir_facade.adapters.hapi.write import write
from fhir_facade.errors import NotSupported
from fhir_facade.values import Ref, Write

AT_ONCE: Final = 1000
_EVERYTHING: Final = msgspec.json.encode(
    {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "limit", "valueInteger": AT_ONCE},
            {"name": "expungeDeletedResources", "valueBoolean": True},
            {"name": "expungePreviousVersions", "valueBoolean": True},
        ],
    }
)


async def erase(session: HapiSession, refs: Sequence[Ref]) -> int:
    """How many there were. Conflict: something that stays refers to one of them; nothing is erased then."""
    await write(session, [Write("delete", ref) for ref in refs])
    return sum([await _expunge(session, ref) for ref in refs])


async def _expunge(session: HapiSession, ref: Ref) -> int:
    """1 when something was there. HAPI takes away so many versions at once, and knows nothing of it afterwards."""
    gone = 0
    while True:
        answer = await session.send("POST", f"{path_of(ref)}/$expunge", _EVERYTHING)
        if answer.status in (404, 410):
            return min(gone, 1)
        if answer.status in (403, 405):
            raise NotSupported("HAPI does not let anything be erased: start it with hapi.fhir.expunge_enabled=true")
        if answer.status >= 400:
            raise answer.refusal(f"the erasure of {ref}")
        count = _count(answer)
        gone += count
        if count < AT_ONCE:
            return min(gone, 1)


def _count(answer: Answer) -> int:
    parameters = msgspec.json.decode(answer.body).get("parameter", ())
    return sum(each.get("valueInteger", 0) for each in parameters if each.get("name") == "count")
