"""The shipped alert rules in the store, where they are read, searched and referred to like everything else.

https://hl7.org/fhir/R4/plandefinition.html; docs/alerts.md tells the whole.
"""

from __future__ import annotations

import logging
from typing import Final

from fhir_facade.interactions.alerts.definitions import outdated
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.values import Principal

ENGINE: Final = Principal("engine", name="alert-engine")
LOCK: Final = "alert-rules"
_LOG = logging.getLogger(__name__)


async def store_rules(ports: Ports) -> int:
    """Write the definitions that are missing or say something else than this version; how many.

    Any process may: they take turns, and who comes later finds nothing to do. What is under the id of a definition and
    is none stays, and the log tells. Unavailable when the store does not answer.
    """
    due, _ = await outdated(ports)
    if not due:
        return 0
    async with ports.locks.hold(LOCK):
        due, taken = await outdated(ports)
        for request in due:
            await dispatch(ports, ENGINE, request)
    for ref in taken:
        _LOG.warning("alert_rules.id_taken", extra={"type": ref.type, "id": ref.id})
    return len(due)
