"""Granular scope parameters (`?category=system|code`): as criteria of a search, and judged on a resource itself.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, cast

from fhir_facade.fhir.extract import extract_parameter
from fhir_facade.values import JsonObject, Match, TokenValue

_COMMA: Final = re.compile(r"(?<!\\),")
_BAR: Final = re.compile(r"(?<!\\)\|")
_ESCAPED: Final = re.compile(r"\\([\\,|$])")


@lru_cache(maxsize=1024)
def criterion(name: str, text: str) -> Match:
    """One scope parameter as a search criterion; commas mean or."""
    return Match(name, "token", tuple(_token(part) for part in _COMMA.split(text)))


def satisfies(resource: JsonObject, params: Iterable[tuple[str, str]]) -> bool:
    """Whether the resource itself meets all parameters, judged by the elements the search parameters index."""
    return all(_holds(resource, criterion(name, text)) for name, text in params)


def _token(text: str) -> TokenValue:
    system, *rest = _BAR.split(text, maxsplit=1)
    if not rest:
        return TokenValue(None, _plain(system))
    return TokenValue(_plain(system), _plain(rest[0]) or None)


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _holds(resource: JsonObject, asked: Match) -> bool:
    rows = extract_parameter(cast("dict[str, Any]", resource), asked.name).tokens
    wanted = cast("tuple[TokenValue, ...]", asked.values)
    return any(row.param == asked.name and _same(row.system, row.code, value) for row in rows for value in wanted)


def _same(system: str | None, code: str | None, wanted: TokenValue) -> bool:
    if wanted.system is not None and (system or "") != wanted.system:
        return False
    return wanted.code is None or code == wanted.code
