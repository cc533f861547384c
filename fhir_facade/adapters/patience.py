"""How long a store is given for one page of a search, the same on SQLite and over HAPI.

https://hl7.org/fhir/R4/valueset-issue-type.html (`timeout`)
"""

from __future__ import annotations

from typing import Final

from fhir_facade.errors import TimedOut

SEARCH_S: Final = 30.0
"""For one page with all that it takes, waiting for its turn included."""


def took_too_long(type: str, within_s: float) -> TimedOut:
    return TimedOut(f"this search of {type} takes more than {within_s:g} s: narrow it, or ask in several steps")
