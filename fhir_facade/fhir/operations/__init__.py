"""The operations of this server: what they are called, where, with which parameters (https://hl7.org/fhir/R4/operations.html).

    find_operation(name, type, id) -> Operation        BadRequest with the list of those that are there
    read_inputs(operation, params, body) -> Inputs     BadRequest names each parameter that is wrong
    announced() -> type -> ((name, definition), …)     for the CapabilityStatement; "" is the whole system

One table drives routing, the CapabilityStatement, the OpenAPI document and the check of parameters.
"""

from fhir_facade.fhir.operations.inputs import Inputs, read_inputs
from fhir_facade.fhir.operations.table import (
    OPERATIONS,
    Level,
    Operation,
    Parameter,
    announced,
    find_operation,
    level_of,
)

__all__ = [
    "OPERATIONS",
    "Inputs",
    "Level",
    "Operation",
    "Parameter",
    "announced",
    "find_operation",
    "level_of",
    "read_inputs",
]
