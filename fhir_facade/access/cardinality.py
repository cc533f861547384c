"""How often an owner can occur: what decides whether two criteria on a reference speak of the same record.

https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

from functools import cache

from fhir_facade.access.compartment import type_rules
from fhir_facade.fhir.definitions.occurrence import single_valued


@cache
def single_owner(type_name: str) -> bool:
    """Whether a record that the narrowing finds belongs to nobody else besides."""
    owner = type_rules()[type_name].owner
    return owner is None or single_valued(type_name, owner)
