"""The function of each operation, by the last word of the canonical URL of its definition."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from fhir_facade.fhir.operations import Inputs
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.everything import everything
from fhir_facade.interactions.operations.expand import expand
from fhir_facade.interactions.operations.lastn import lastn
from fhir_facade.interactions.operations.lookup import lookup
from fhir_facade.interactions.operations.meta import meta, meta_add, meta_added, meta_delete, meta_deleted
from fhir_facade.interactions.operations.stats import stats
from fhir_facade.interactions.operations.validate import validate
from fhir_facade.interactions.operations.validate_code import validate_code_of_set, validate_code_of_system
from fhir_facade.interactions.record import Draft
from fhir_facade.values import FhirResponse

Operate = Callable[[Call, Inputs], Awaitable[FhirResponse]]
Draw = Callable[[Call, Inputs], Awaitable[Draft]]

HANDLERS: Final[Mapping[str, Operate]] = {
    "CodeSystem-lookup": lookup,
    "CodeSystem-validate-code": validate_code_of_system,
    "Encounter-everything": everything,
    "Observation-lastn": lastn,
    "Observation-stats": stats,
    "Patient-everything": everything,
    "Resource-meta": meta,
    "Resource-meta-add": meta_add,
    "Resource-meta-delete": meta_delete,
    "Resource-validate": validate,
    "ValueSet-expand": expand,
    "ValueSet-validate-code": validate_code_of_set,
}

DRAFTS: Final[Mapping[str, Draw]] = {
    "Resource-meta-add": meta_added,
    "Resource-meta-delete": meta_deleted,
}
"""What those that change something write, for a transaction."""
