"""Operations: each is a function of one file, called by its row in the table of `fhir/operations`.

https://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from fhir_facade.fhir.operations import Inputs, find_operation, read_inputs
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.everything import everything
from fhir_facade.interactions.operations.expand import expand
from fhir_facade.interactions.operations.lastn import lastn
from fhir_facade.interactions.operations.lookup import lookup
from fhir_facade.interactions.operations.meta import meta, meta_add, meta_delete
from fhir_facade.interactions.operations.stats import stats
from fhir_facade.interactions.operations.validate import validate
from fhir_facade.interactions.operations.validate_code import validate_code_of_set, validate_code_of_system
from fhir_facade.interactions.pages import open_page
from fhir_facade.values import FhirResponse

Operate = Callable[[Call, Inputs], Awaitable[FhirResponse]]

_HANDLERS: Final[Mapping[str, Operate]] = {
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
"""By the last word of the canonical URL of the definition."""


def operated() -> frozenset[str]:
    """The definitions that have a function here; the table of operations has the same."""
    return frozenset(_HANDLERS)


async def operation(call: Call) -> FhirResponse:
    """Do the operation that is asked for. BadRequest for one that is not there, or for wrong parameters.

    What was said in a body is kept for the audit, as what is said in an address is.
    """
    request = call.request
    found = find_operation(request.operation or "", request.type, request.id)
    inputs = read_inputs(found, open_page(call).params, request.body)
    audited = replace(call, request=replace(request, params=request.params or inputs.said))
    return await _HANDLERS[found.definition.rpartition("/")[2]](audited, inputs)
