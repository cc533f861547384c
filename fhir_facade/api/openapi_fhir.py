"""The FHIR routes for the OpenAPI document, out of the table that routes them and the table of resource types.

https://hl7.org/fhir/R4/http.html#summary
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fhir_facade.api.openapi_operations import operation_places, query_parameters
from fhir_facade.fhir.compartments import COMPARTMENTS
from fhir_facade.fhir.definitions import resource_types
from fhir_facade.fhir.history import HISTORIES, HISTORY_PARAMETERS
from fhir_facade.fhir.media_types import FHIR_JSON, FORM
from fhir_facade.fhir.operations import Operation
from fhir_facade.fhir.patch import PATCH_FORMATS
from fhir_facade.fhir.references import ID_FORM
from fhir_facade.fhir.routes import VERSIONS, addresses
from fhir_facade.values import Interaction

_PART: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Told:
    """What the document says of one interaction. `body` and `answer` name schemas."""

    summary: str
    answer: str = "Resource"
    body: str | None = None
    good: tuple[int, ...] = (200,)
    headers: tuple[str, ...] = ()


_VERSIONED: Final = ("If-None-Match", "If-Modified-Since")
_TOLD: Final[Mapping[Interaction, Told]] = {
    Interaction.READ: Told("Read a resource", good=(200, 304), headers=_VERSIONED),
    Interaction.VREAD: Told("Read one version of a resource", good=(200, 304), headers=_VERSIONED),
    Interaction.UPDATE: Told(
        "Replace a resource, or create it under an id", body="Resource", good=(200, 201), headers=("If-Match", "Prefer")
    ),
    Interaction.PATCH: Told("Change parts of a resource", body="Patch", headers=("If-Match", "Prefer")),
    Interaction.DELETE: Told("Delete a resource", answer="OperationOutcome", good=(200, 204), headers=("If-Match",)),
    Interaction.HISTORY_INSTANCE: Told("The versions of a resource", answer="Bundle"),
    Interaction.HISTORY_TYPE: Told("The versions of all resources of a type", answer="Bundle"),
    Interaction.HISTORY_SYSTEM: Told("The versions of all resources", answer="Bundle"),
    Interaction.CREATE: Told(
        "Create a resource", body="Resource", good=(200, 201), headers=("If-None-Exist", "Prefer")
    ),
    Interaction.SEARCH_TYPE: Told("Search resources of a type", answer="Bundle", headers=("Prefer",)),
    Interaction.SEARCH_SYSTEM: Told("Search resources of all types", answer="Bundle", headers=("Prefer",)),
    Interaction.CAPABILITIES: Told("What this server can do: its CapabilityStatement"),
    Interaction.TRANSACTION: Told(
        "Several interactions at once: a batch or transaction Bundle",
        answer="Bundle",
        body="Bundle",
        headers=("Prefer",),
    ),
}
_SPOKEN: Final = Told("The versions of FHIR spoken here")
_ERRORS: Final = {
    400: "Malformed, or an unknown parameter",
    401: "No access token, or one that is no longer good",
    403: "The token does not allow this",
    404: "Absent, or not yours: the same answer",
    406: "Only JSON is spoken here",
    409: "Another writer was faster",
    410: "Deleted, or a page that expired",
    412: "If-Match names another version, or a condition has several matches",
    413: "Too large",
    422: "Breaks the schema, a binding or an invariant",
    503: "A dependency is down",
}
_SEARCHES: Final = frozenset((Interaction.SEARCH_TYPE, Interaction.SEARCH_SYSTEM))
_GOOD: Final = {200: "Done", 201: "Created", 204: "Done, nothing to say", 304: "Not modified"}


def fhir_paths() -> dict[str, Any]:
    """Path items of everything the server does; `/fhir` stands for `/fhir/` too."""
    paths: dict[str, Any] = {}
    for method, path, interaction in addresses():
        if interaction is not Interaction.OPERATION:
            paths.setdefault(f"/fhir{path}", {})[method.lower()] = _interaction(method, path, interaction)
    for method, path, operation in operation_places():
        paths.setdefault(f"/fhir{path}", {})[method.lower()] = _operation(method, path, operation)
    return paths


def _interaction(method: str, path: str, interaction: Interaction) -> dict[str, Any]:
    told = _SPOKEN if path == f"/{VERSIONS}" else _TOLD[interaction]
    described = _described(method, path, told)
    described["parameters"] = _parameters(method, path, told, interaction)
    if interaction is Interaction.CAPABILITIES:
        described["security"] = []
    body = _body(method, told, interaction)
    if body is not None:
        described["requestBody"] = {"required": method != "POST" or interaction not in _SEARCHES, "content": body}
    return described


def _described(method: str, path: str, told: Told) -> dict[str, Any]:
    return {
        "tags": ["FHIR"],
        "summary": told.summary,
        "operationId": "_".join(["fhir", method.lower(), *re.findall(r"\w+|\*", path)]).replace("*", "all"),
        "parameters": _path_parameters(path),
        "security": [{"smart": []}, {"bearer": []}],
        "responses": _responses(told),
    }


def _operation(method: str, path: str, operation: Operation) -> dict[str, Any]:
    described = _described(method, path, Told(operation.title, answer="Resource"))
    described["description"] = f"{operation.definition}; the answer is a resource of type {operation.answer}."
    if method == "GET":
        described["parameters"] += query_parameters(operation)
    else:
        needed = any(parameter.required for parameter in operation.parameters)
        described["requestBody"] = {"required": needed, "content": {FHIR_JSON: {"schema": _ref("Resource")}}}
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": _PARTS[name]} for name in _PART.findall(path)]


def _parameters(method: str, path: str, told: Told, interaction: Interaction) -> list[dict[str, Any]]:
    headers = [{"name": name, "in": "header", "schema": {"type": "string"}} for name in told.headers]
    query: list[dict[str, Any]] = []
    if interaction in _SEARCHES and method == "GET":
        query = [
            {
                "name": "parameters",
                "in": "query",
                "description": "Search parameters of the type, as the CapabilityStatement lists them",
                "style": "form",
                "explode": True,
                "schema": {"type": "object", "additionalProperties": {"type": "string"}},
            }
        ]
    if interaction in HISTORIES:
        query = _history_parameters(interaction)
    return [*_path_parameters(path), *query, *headers]


def _history_parameters(interaction: Interaction) -> list[dict[str, Any]]:
    return [
        {
            "name": own.name,
            "in": "query",
            "description": own.meaning,
            "schema": {"type": "array", "items": dict(own.schema)} if own.many else dict(own.schema),
        }
        for own in HISTORY_PARAMETERS
        if interaction in own.of
    ]


def _body(method: str, told: Told, interaction: Interaction) -> dict[str, Any] | None:
    if interaction in _SEARCHES:
        form = {"type": "object", "additionalProperties": {"type": "string"}}
        return {FORM: {"schema": form}} if method == "POST" else None
    if told.body == "Patch":
        return {media_type: {"schema": {}} for media_type in PATCH_FORMATS}
    return None if told.body is None else {FHIR_JSON: {"schema": _ref(told.body)}}


def _responses(told: Told) -> dict[str, Any]:
    good = {
        str(status): {"description": _GOOD[status]}
        | ({} if status in (204, 304) else {"content": {FHIR_JSON: {"schema": _ref(told.answer)}}})
        for status in told.good
    }
    bad = {FHIR_JSON: {"schema": _ref("OperationOutcome")}}
    return good | {str(status): {"description": text, "content": bad} for status, text in _ERRORS.items()}


def resource_schemas() -> dict[str, Any]:
    """Only as much as a caller needs to recognise a resource: the definitions of R4 say the rest."""
    resources = {name: _resource(name) for name in ("Resource", "Bundle", "OperationOutcome")}
    return {**resources, "ResourceType": {"type": "string", "enum": list(resource_types())}}


def _resource(name: str) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": "string"} if name == "Resource" else {"const": name}
    return {
        "type": "object",
        "description": f"https://hl7.org/fhir/R4/{name.lower()}.html",
        "required": ["resourceType"],
        "properties": {"resourceType": kind},
        "additionalProperties": True,
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_PARTS: Final[Mapping[str, Any]] = {
    "compartment": {"type": "string", "enum": list(COMPARTMENTS)},
    "type": _ref("ResourceType"),
    "id": {"type": "string", "pattern": f"^{ID_FORM}$"},
    "version": {"type": "string", "pattern": f"^{ID_FORM}$"},
}
