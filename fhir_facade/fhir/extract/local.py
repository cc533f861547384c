"""The references of a resource whose targets have to be there.

https://hl7.org/fhir/R4/http.html#transaction-integrity
"""

from __future__ import annotations

from fhir_facade.fhir.extract.rows import IndexRows, ReferenceRow
from fhir_facade.fhir.references import VERSION


def local_targets(values: IndexRows, type: str) -> frozenset[str]:
    """`Type/id` of every reference to a resource here that a search parameter reads: what a delete looks for as well,
    and what HAPI checks. With its version where no store has given it, so that it is not there. A Bundle's parameters
    read what is inside it."""
    if type == "Bundle":
        return frozenset()
    return frozenset([_target(row) for row in values.references if row.id is not None])


def _target(row: ReferenceRow) -> str:
    plain = f"{row.type}/{row.id}"
    return f"{plain}/_history/{row.version}" if row.version and not VERSION.fullmatch(row.version) else plain
