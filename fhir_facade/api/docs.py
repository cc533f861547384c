"""/docs: the OpenAPI document as a page of our own, without scripts and without anything from another host.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from msgspec import json

from fhir_facade.api.pages.render import page

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the page. `parameters` are (name, place, required); `answers` (status, description)."""

    id: str
    method: str
    path: str
    summary: str
    text: str
    parameters: tuple[tuple[str, str, bool], ...]
    body: str
    answers: tuple[tuple[str, str], ...]
    open: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The operations of one tag."""

    name: str
    text: str
    operations: tuple[Operation, ...]


@router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """Every address of the server, by subject."""
    document = request.app.openapi()
    return page(request, "docs.html", groups=groups_of(document), base=document["servers"][0]["url"])


def groups_of(document: Mapping[str, Any]) -> list[Group]:
    """The operations of an OpenAPI document by their first tag, in the order of its tags."""
    found = [
        (operation.get("tags", [""])[0], _shown(document, method, path, operation))
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    return [
        Group(tag["name"], tag["description"], tuple(each for name, each in found if name == tag["name"]))
        for tag in document["tags"]
    ]


def _shown(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> Operation:
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        text=operation.get("description", ""),
        parameters=tuple((each["name"], each["in"], each.get("required", False)) for each in _parameters(operation)),
        body="\n\n".join(_bodies(document, operation)),
        answers=tuple((status, answer["description"]) for status, answer in operation["responses"].items()),
        open=operation.get("security") == [],
    )


def _parameters(operation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = operation.get("parameters", [])
    return found


def _bodies(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[str]:
    """What can be sent, by media type: an example where there is one, with what is said of the members, else the
    schema."""
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(document, content.get("schema", {}))
        told = content.get("example", schema)
        yield f"{media_type}\n{json.format(json.encode(told), indent=2).decode()}" if told else media_type
        if "example" in content and (members := _members(schema)):
            yield members


def _members(schema: Mapping[str, Any]) -> str:
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    return "\n".join(f"{name}: {each['description']}" for name, each in properties.items() if "description" in each)


def _resolved(document: Mapping[str, Any], schema: Any) -> Any:
    """The schema with its references replaced, as deep as they go."""
    if isinstance(schema, list):
        return [_resolved(document, each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolved(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return {name: _resolved(document, each) for name, each in schema.items()}
