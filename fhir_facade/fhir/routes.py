"""Which interaction a method and a path mean: one table for HTTP calls and for bundle entries.

https://hl7.org/fhir/R4/http.html#summary. A GET of `_search`, which no id can be, is
a search too: HAPI's client can ask so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from fhir_facade.errors import BadRequest, MethodNotAllowed, NotFound
from fhir_facade.fhir.compartments import members_of_compartment
from fhir_facade.fhir.definitions import is_resource_type
from fhir_facade.fhir.operations import find_operation
from fhir_facade.fhir.references import ID, relative_to
from fhir_facade.values import Interaction, Ref


class Route(msgspec.Struct, frozen=True):
    """What is asked. `interaction` TRANSACTION stands for any posted Bundle: its type decides. `compartment` is whose
    records are searched."""

    interaction: Interaction
    type: str | None = None
    id: str | None = None
    version: str | None = None
    operation: str | None = None
    compartment: Ref | None = None


VERSIONS: Final = "$versions"
"""An operation that is part of the negotiation before anybody has signed in."""

_SHAPES: dict[tuple[str, ...], dict[str, Interaction]] = {
    (): {"GET": Interaction.SEARCH_SYSTEM, "POST": Interaction.TRANSACTION},
    ("metadata",): {"GET": Interaction.CAPABILITIES},
    (VERSIONS,): {"GET": Interaction.CAPABILITIES, "POST": Interaction.CAPABILITIES},
    ("_history",): {"GET": Interaction.HISTORY_SYSTEM},
    ("_search",): {"GET": Interaction.SEARCH_SYSTEM, "POST": Interaction.SEARCH_SYSTEM},
    ("$",): {"GET": Interaction.OPERATION, "POST": Interaction.OPERATION},
    ("Type",): {
        "GET": Interaction.SEARCH_TYPE,
        "POST": Interaction.CREATE,
        "PUT": Interaction.UPDATE,
        "PATCH": Interaction.PATCH,
        "DELETE": Interaction.DELETE,
    },
    ("Type", "_search"): {"GET": Interaction.SEARCH_TYPE, "POST": Interaction.SEARCH_TYPE},
    ("Type", "_history"): {"GET": Interaction.HISTORY_TYPE},
    ("Type", "$"): {"GET": Interaction.OPERATION, "POST": Interaction.OPERATION},
    ("Type", "id"): {
        "GET": Interaction.READ,
        "PUT": Interaction.UPDATE,
        "PATCH": Interaction.PATCH,
        "DELETE": Interaction.DELETE,
    },
    ("Type", "id", "_history"): {"GET": Interaction.HISTORY_INSTANCE},
    ("Type", "id", "_history", "id"): {"GET": Interaction.VREAD},
    ("Type", "id", "_history", "id", "$"): {"GET": Interaction.OPERATION, "POST": Interaction.OPERATION},
    ("Type", "id", "$"): {"GET": Interaction.OPERATION, "POST": Interaction.OPERATION},
    ("Type", "id", "Type"): {"GET": Interaction.SEARCH_TYPE},
    ("Type", "id", "Type", "_search"): {"GET": Interaction.SEARCH_TYPE, "POST": Interaction.SEARCH_TYPE},
    ("Type", "id", "*"): {"GET": Interaction.SEARCH_SYSTEM},
    ("Type", "id", "*", "_search"): {"GET": Interaction.SEARCH_SYSTEM, "POST": Interaction.SEARCH_SYSTEM},
}

_OF_AN_INSTANCE = _SHAPES["Type", "id"]
_PARTS = {"Type": "{type}", "id": "{id}", "$": "${operation}"}
_WORDS = frozenset(("metadata", "_history", "_search"))
_NO_IDS = frozenset((*_WORDS, ".", ".."))
_IN_COMPARTMENT = (("Type", "id", "Type"), ("Type", "id", "*"))


def route(method: str, path: str) -> Route:
    """The interaction of `METHOD path` below the FHIR base; HEAD is a GET. NotFound for a path that means nothing,
    MethodNotAllowed for a method that the path does not take, BadRequest for an operation that is not there and for an
    update of what is no id."""
    parts = path.split("/")
    if len(parts) == 3 and method in _OF_AN_INSTANCE and _is_instance(*parts):  # what is asked for most
        return Route(_OF_AN_INSTANCE[method], parts[1], parts[2])
    plain = path.removeprefix("/").removesuffix("/")
    segments = plain.split("/") if plain else []
    shape = tuple([_shape(i, segment) for i, segment in enumerate(segments)])
    methods = _SHAPES.get(shape)
    if shape == ("Type", "?"):
        raise _no_id(method, segments[1])
    if methods is None or not _is_member(shape, segments):
        raise NotFound(f"/{path.strip('/')} is no FHIR address here: /metadata lists the resource types")
    interaction = methods.get("GET" if method == "HEAD" else method)
    if interaction is None:
        raise _not_allowed(method, path, methods)
    found = _route(interaction, shape, segments)
    if interaction is Interaction.OPERATION:
        _refuse_method(method, path, found)
    return found


def _no_id(method: str, segment: str) -> BadRequest | NotFound:
    """Nothing is there; who wants to write it chooses another."""
    text = f"'{segment}' is no id: 1 to 64 of A-Z, a-z, 0-9, - and . are one"
    return BadRequest(text) if method == "PUT" else NotFound(text)


def _is_member(shape: tuple[str, ...], segments: list[str]) -> bool:
    """Whether the address of a compartment names one, and a type that it holds."""
    held = members_of_compartment(segments[0]) if shape[:3] in _IN_COMPARTMENT else None
    return held is None or segments[2] in (held and (*held, "*"))


def _refuse_method(method: str, path: str, found: Route) -> None:
    """An operation that changes something is never called by GET. BadRequest for one that is not there."""
    operation = find_operation(found.operation or "", found.type, found.id)
    if found.version is not None and not operation.versions:
        raise BadRequest(f"versions never change: ask for {found.operation} at {found.type}/{found.id} itself")
    methods = operation.methods
    if method not in methods and not (method == "HEAD" and "GET" in methods):
        raise _not_allowed(method, path, methods)


def _not_allowed(method: str, path: str, methods: Collection[str]) -> MethodNotAllowed:
    text = f"{method} is not possible on /{path.strip('/')}: it takes {', '.join(methods)}"
    return MethodNotAllowed(text, methods=(*methods, "HEAD") if "GET" in methods else tuple(methods))


def addresses() -> Iterator[tuple[str, str, Interaction]]:
    """(method, path below the base, interaction) of the whole table, parts in braces: `/{type}/{id}`."""
    for shape, methods in _SHAPES.items():
        parts = [_PARTS.get(part, part) for part in shape]
        if parts.count("{id}") > 1:
            parts[3] = "{version}"
        if shape[:3] in _IN_COMPARTMENT:
            parts[0] = "{compartment}"
        for method, interaction in methods.items():
            yield method, "".join(f"/{part}" for part in parts), interaction


def _is_instance(before: str, type: str, id: str) -> bool:
    return not before and is_resource_type(type) and _is_id(id)


def _is_id(segment: str) -> bool:
    return ID.fullmatch(segment) is not None and segment not in _NO_IDS


def _shape(position: int, segment: str) -> str:
    if segment in _WORDS or (segment == VERSIONS and position == 0):
        return segment
    if segment.startswith("$"):
        return "$"
    if position == 0:
        return "Type" if is_resource_type(segment) else "?"
    if position == 2 and (segment == "*" or is_resource_type(segment)):
        return "*" if segment == "*" else "Type"
    return "id" if _is_id(segment) else "?"


def _route(interaction: Interaction, shape: tuple[str, ...], segments: list[str]) -> Route:
    if shape[:3] in _IN_COMPARTMENT:
        return Route(
            interaction, segments[2] if shape[2] == "Type" else None, compartment=Ref(segments[0], segments[1])
        )
    return Route(
        interaction,
        type=segments[0] if shape[:1] == ("Type",) else None,
        id=segments[1] if shape[1:2] == ("id",) else None,
        version=segments[3] if len(shape) > 3 else None,
        operation=segments[-1] if shape[-1:] in (("$",), (VERSIONS,)) else None,
    )


def route_url(method: str, url: str, *, base_url: str) -> tuple[Route, tuple[tuple[str, str], ...]]:
    """The route and the parameters of a bundle entry's url: relative, or absolute below our base. BadRequest for a
    url of another server."""
    foreign = BadRequest(f"'{url}' is not an address of this server: use one relative to its base")
    try:
        parts = urlsplit(relative_to(base_url, url))
    except ValueError as error:  # brackets that hold no IPv6 address
        raise foreign from error
    if parts.scheme or parts.netloc:
        raise foreign
    return route(method, unquote(parts.path)), tuple(parse_qsl(parts.query, keep_blank_values=True))
