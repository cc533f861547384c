"""Granular scope parameters (`?category=system|code`): as criteria of a search, and judged on a resource itself.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, cast

import msgspec

from fhir_facade.fhir.match import matches
from fhir_facade.fhir.query.escape import split, unescape
from fhir_facade.values import JsonObject, Match, TokenValue


@cache
def _table() -> Mapping[str, frozenset[str]]:
    table = msgspec.json.decode(files(__package__).joinpath("granular.json").read_bytes())
    return {name: frozenset(types) for name, types in table["parameters"].items()}


def granular_parameters(type_name: str) -> tuple[str, ...]:
    """The search parameters a scope of this type, or of `*`, may carry."""
    return tuple(name for name, types in sorted(_table().items()) if types & {"*", type_name})


def is_granular(type_name: str, name: str, text: str) -> bool:
    """Whether a scope of this type may carry this parameter with this value."""
    return name in granular_parameters(type_name) and all(_token(part) for part in split(text, ","))


@lru_cache(maxsize=1024)
def criterion(name: str, text: str) -> Match:
    """One scope parameter as a search criterion; commas mean or."""
    return Match(name, "token", tuple(token for part in split(text, ",") if (token := _token(part))))


def satisfies(resource: JsonObject, params: Iterable[tuple[str, str]]) -> bool:
    """Whether the resource itself meets all parameters, judged by the elements the search parameters index."""
    return all(matches(cast("dict[str, Any]", resource), criterion(name, text)) for name, text in params)


def _token(text: str) -> TokenValue | None:
    """`code`, `system|code`, `|code` or `system|`; None for anything else."""
    first, *others = (unescape(part) for part in split(text, "|"))
    if not others:
        return TokenValue(None, first) if first else None
    return TokenValue(first, others[0] or None) if len(others) == 1 and (first or others[0]) else None
