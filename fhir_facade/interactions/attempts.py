"""What is computed from a version that meanwhile changed is computed again. https://hl7.org/fhir/R4/http.html#concurrency"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from fhir_facade.errors import PreconditionFailed
from fhir_facade.interactions.call import Call

ATTEMPTS: Final = 3

T = TypeVar("T")


async def attempted(call: Call, act: Callable[[], Awaitable[T]]) -> T:
    """What `act` gives: it reads what is there and writes on exactly that version. PreconditionFailed when somebody was
    faster each time, and at once for who demands a version with If-Match."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await act()
        except PreconditionFailed:
            if call.request.if_match is not None:
                raise
    return await act()
