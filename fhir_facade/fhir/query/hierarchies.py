"""`:above` and `:below` of references: everything that is a part of a place, or that it is a part of.

    named_places(type, params, base_url) -> the places whose hierarchies `StoredCodes.trees` is to hold
    around(parameter, modifier, value, trees) -> the references that the value stands for

Every store then sees plain references. https://hl7.org/fhir/R4/search.html#recursive
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import Final

from fhir_facade.errors import BadRequest, UnknownParameter
from fhir_facade.fhir.definitions.tables import (
    SearchParameter,
    is_resource_type,
    reference_targets,
    resource_types,
    search_parameters,
)
from fhir_facade.fhir.query.concepts import OF_TREES, Place, Trees
from fhir_facade.fhir.query.escape import split
from fhir_facade.fhir.query.values import Asked, parse_value
from fhir_facade.values import ReferenceValue, SearchValue

_PART_OF: Final = ("partof", "part-of")
_ANY_TIME: Final = datetime.min.replace(tzinfo=UTC)
_SUFFIXES: Final = tuple(f":{modifier}" for modifier in sorted(OF_TREES))


@cache
def parents() -> Mapping[str, str]:
    """The types whose resources may be parts of others of their type, and the parameter that says of which."""
    return MappingProxyType(
        {name: code for name in resource_types() for code in _PART_OF if name in reference_targets(name, code)}
    )


def named_places(type: str, params: Iterable[tuple[str, str]], base_url: str | None) -> frozenset[Place]:
    """What stands after `:above` and `:below` of references; what is wrong is told by who parses them."""
    asked = Asked(_ANY_TIME, base_url)
    return frozenset(
        place
        for name, raw in params
        if name.endswith(_SUFFIXES)
        for parameter in _last(type, name.rpartition(":")[0])
        for value in _values(parameter, raw, asked)
        for place in _places(parameter, name.rpartition(":")[2], value)
    )


def _last(type: str, name: str) -> Iterator[SearchParameter]:
    """The reference parameters that the end of a name may mean, behind chains and `_has`."""
    parts = name.split(":", 3)
    if parts[0] == "_has":
        yield from _last(parts[1], parts[3]) if len(parts) == 4 and is_resource_type(parts[1]) else ()
        return
    head, dot, rest = name.partition(".")
    code, _, wanted = head.partition(":")
    found = search_parameters(type).get(code)
    if found is None or found.kind != "reference":
        return
    if not dot:
        yield found
        return
    for target in found.targets:
        yield from _last(target, rest) if wanted in ("", target) else ()


def _values(parameter: SearchParameter, raw: str, asked: Asked) -> Iterator[SearchValue]:
    for part in split(raw, ","):
        try:
            yield parse_value(parameter, None, part, asked)
        except BadRequest:
            return


def _places(parameter: SearchParameter, modifier: str, value: SearchValue) -> list[Place]:
    if not isinstance(value, ReferenceValue) or value.id is None:
        return []
    types = parameter.targets if value.type is None else (value.type,)
    return [(modifier, name, value.id) for name in types if name in parents()]


def around(parameter: SearchParameter, modifier: str, value: SearchValue, trees: Trees) -> list[ReferenceValue]:
    """References to the place itself and to all above or below it. UnknownParameter: it stands in no hierarchy."""
    places = _places(parameter, modifier, value)
    if not places:
        known = ", ".join(name for name in parents() if name in parameter.targets) or "nothing that it points to"
        raise UnknownParameter(
            f"{parameter.code}:{modifier} takes references to what may be a part of its like, here {known}; "
            "versions of canonical URLs are asked for one by one"
        )
    if not trees.keys() >= set(places):
        raise BadRequest(f"{parameter.code}:{modifier} cannot be judged on what the transaction itself writes")
    return [ReferenceValue(place[1], id_) for place in places for id_ in trees[place]]
