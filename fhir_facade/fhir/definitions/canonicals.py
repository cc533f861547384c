"""References by canonical URL: which parameters read them, and which types they can lead to.

https://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

from functools import cache
from typing import Final

from fhir_facade.fhir.definitions.tables import canonical_types, reads_canonical, search_parameters

VERSIONLESS: Final = "|"
"""Ends a canonical that is asked for without a version; where it does not end so, those with a version count too."""

__all__ = ["VERSIONLESS", "canonical_targets", "is_canonical"]


@cache
def is_canonical(type: str, code: str) -> bool:
    """Whether the reference parameter reads canonical URLs."""
    found = search_parameters(type).get(code)
    return found is not None and found.kind == "reference" and reads_canonical(found.expression)


@cache
def canonical_targets(type: str, code: str) -> tuple[str, ...]:
    """The types that a canonical parameter leads to by their `url`; none for any other parameter."""
    if not is_canonical(type, code):
        return ()
    return tuple(name for name in search_parameters(type)[code].targets if name in canonical_types())
