"""The references of a resource whose targets have to be there.

https://hl7.org/fhir/R4/http.html#transaction-integrity
"""

from __future__ import annotations

from fhir_facade.fhir.extract.rows import IndexRows


def local_targets(values: IndexRows, type: str) -> frozenset[str]:
    """`Type/id` of every reference to a resource here that a search parameter reads: what a delete looks for as well,
    and what HAPI checks. A Bundle's parameters read what is inside it."""
    if type == "Bundle":
        return frozenset()
    return frozenset([f"{row.type}/{row.id}" for row in values.references if row.id is not None])
