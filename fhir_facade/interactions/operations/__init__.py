"""Operations: each is a function of one file, called by its row in the table of `fhir/operations`.

They are loaded with the first call, so that a process that only reads and writes starts without them.
https://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.operations import Inputs, find_operation, read_inputs
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.pages import open_page
from fhir_facade.interactions.record import Draft
from fhir_facade.values import FhirResponse, StoredResource


async def operation(call: Call) -> FhirResponse:
    """Do the operation that is asked for. BadRequest for one that is not there, or for wrong parameters.

    What was said in a body is kept for the audit, as what is said in an address is.
    """
    key, audited, inputs = _read(call)
    from fhir_facade.interactions.operations.handlers import HANDLERS

    return await HANDLERS[key](audited, inputs)


async def operation_draft(call: Call) -> Draft:
    """What an operation that changes something writes, for a transaction that writes it with the rest. BadRequest for
    one that cannot be part of that."""
    key, audited, inputs = _read(call)
    from fhir_facade.interactions.operations.handlers import DRAFTS

    if key not in DRAFTS:
        raise BadRequest(f"{call.request.operation} is not possible inside a transaction: call it alone")
    return await DRAFTS[key](audited, inputs)


def operation_written(call: Call, stored: StoredResource) -> FhirResponse:
    """The answer of such an operation when the transaction has written its draft."""
    from fhir_facade.interactions.operations.meta import changed_meta

    return changed_meta(call, stored)


def _read(call: Call) -> tuple[str, Call, Inputs]:
    """The last word of the definition's canonical URL, the call as the audit is told of it, and its parameters."""
    request = call.request
    found = find_operation(request.operation or "", request.type, request.id)
    inputs = read_inputs(found, open_page(call).params, request.body)
    audited = msgspec.structs.replace(
        call, request=msgspec.structs.replace(request, params=request.params or inputs.said)
    )
    return found.definition.rpartition("/")[2], audited, inputs
