"""Whether a request reached HAPI: it keeps the id of the request that made a version in that version's `meta.source`.

https://hapifhir.io/hapi-fhir/docs/server_jpa/configuration.html#storing-meta-source
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fhir_facade.adapters.hapi.content import bundle, written_by
from fhir_facade.adapters.hapi.read import NEWEST_VERSIONS, path_of
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.values import Ref

AT_ONCE = 8


async def happened(session: HapiSession, request: str, refs: Sequence[Ref]) -> bool:
    """Whether one of the newest versions of these resources was made under this request id (16 characters)."""
    for start in range(0, len(refs), AT_ONCE):
        asked = (_wrote(session, request, ref) for ref in refs[start : start + AT_ONCE])
        if any(await asyncio.gather(*asked)):
            return True
    return False


async def _wrote(session: HapiSession, request: str, ref: Ref) -> bool:
    answer = await session.send("GET", f"{path_of(ref)}/_history?_count={NEWEST_VERSIONS}")
    if answer.status in (400, 404):  # never there
        return False
    if answer.status != 200:
        raise answer.refusal(f"the history of {ref}")
    entries = bundle(answer.body).entry
    return any(written_by(bytes(entry.resource), request) for entry in entries if entry.resource)
