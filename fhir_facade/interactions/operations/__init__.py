"""Operations: each is a function of one file, called by its row in the table of `fhir/operations`.

They are loaded with the first call, so that a process that only reads and writes starts without them.
https://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

from dataclasses import replace

from fhir_facade.fhir.operations import find_operation, read_inputs
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.pages import open_page
from fhir_facade.values import FhirResponse


async def operation(call: Call) -> FhirResponse:
    """Do the operation that is asked for. BadRequest for one that is not there, or for wrong parameters.

    What was said in a body is kept for the audit, as what is said in an address is.
    """
    request = call.request
    found = find_operation(request.operation or "", request.type, request.id)
    inputs = read_inputs(found, open_page(call).params, request.body)
    audited = replace(call, request=replace(request, params=request.params or inputs.said))
    from fhir_facade.interactions.operations.handlers import HANDLERS

    return await HANDLERS[found.definition.rpartition("/")[2]](audited, inputs)
