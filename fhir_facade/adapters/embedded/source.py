"""Where the candidates of a search come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Sql = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Source:
    """`tables` is a FROM clause that offers `r`, the resource; `filters` are ANDed expressions.

    `keys` are (expression, descending) sort keys; the last one is unique, so the order is total.
    """

    tables: str
    tables_args: tuple[Any, ...]
    filters: tuple[Sql, ...]
    keys: tuple[tuple[str, bool], ...]
