"""The operations for the OpenAPI document, out of the table that routes and checks them.

https://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fhir_facade.fhir.operations import OPERATIONS, Level, Operation, Parameter
from fhir_facade.fhir.validation.primitives import PRIMITIVES

_BELOW: Final[Mapping[Level, str]] = {"system": "", "type": "/{type}", "instance": "/{type}/{id}"}
_VERSION: Final = f"{_BELOW['instance']}/_history/{{version}}"


def operation_places() -> Iterator[tuple[str, str, Operation]]:
    """(method, path below `/fhir`, operation) of the whole table; types that an operation names are written out."""
    for operation in OPERATIONS:
        paths = [path for level in sorted(operation.levels) for path in _paths(operation, _BELOW[level])]
        paths += _paths(operation, _VERSION) if operation.versions else []
        for path in paths:
            for method in operation.methods:
                yield method, f"{path}/${operation.name}", operation


def _paths(operation: Operation, below: str) -> list[str]:
    return [below if kind == "*" else below.replace("{type}", kind) for kind in operation.types]


def query_parameters(operation: Operation) -> list[dict[str, Any]]:
    """What fits into an address: the primitive parameters, and search parameters where the operation searches."""
    own = [_query(parameter) for parameter in operation.parameters if parameter.primitive]
    if operation.searches:
        text = "Search parameters of the type choose among its resources"
        schema = {"type": "object", "additionalProperties": {"type": "string"}}
        more = {"name": "parameters", "in": "query", "description": text, "style": "form", "explode": True}
        own.append(more | {"schema": schema})
    return own


def _query(parameter: Parameter) -> dict[str, Any]:
    schema = dict(PRIMITIVES[parameter.kind])
    listed = {"type": "array", "items": schema} if parameter.many else schema
    return {"name": parameter.name, "in": "query", "required": parameter.required, "schema": listed}
