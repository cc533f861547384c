"""Which tables of the index a new version can change: for the others nothing is asked, read or written.

https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from fhir_facade.fhir.extract.sources import kinds_by_member

_OWN: Final = {"contained": frozenset({"token"}), "position": frozenset({"number"})}
"""What `index_values` adds to the rows of the search parameters."""
_SUBJECT_CODE: Final = frozenset({"reference", "token", "date"})
"""What the rows of `subject_code` are made of."""


@lru_cache(maxsize=4096)
def touched_kinds(type: str, members: frozenset[str]) -> frozenset[str]:
    """The kinds of rows (`INSERTS`) that may be others when these members at the top of a resource are."""
    by_member = kinds_by_member(type)
    kinds = frozenset[str]().union(*(by_member.get(name, ()) for name in members))
    kinds = kinds.union(*(_OWN.get(name, ()) for name in members))
    return kinds | {"subject_code"} if kinds & _SUBJECT_CODE else kinds
