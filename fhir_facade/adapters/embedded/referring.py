"""Which types refer to a resource: one look at the index for each parameter that does, however many resources do.

https://sqlite.org/queryplanner-ng.html: SQLite would walk all rows for a DISTINCT; a recursion jumps over them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.values import Ref

_PARAMS: Final = """
WITH RECURSIVE own (param) AS (
  SELECT min(param) FROM idx_reference WHERE target = ?1
  UNION ALL
  SELECT (SELECT min(param) FROM idx_reference WHERE target = ?1 AND param > own.param) FROM own
  WHERE own.param IS NOT NULL)
SELECT param FROM own WHERE param IS NOT NULL
"""


def referring(
    connection: sqlite3.Connection, catalogue: Catalogue, targets: Sequence[Ref], ways: Mapping[str, Collection[str]]
) -> frozenset[str]:
    """The types of `ways` by whose parameters one of the targets is referred to."""
    used = {number for target in targets for (number,) in connection.execute(_PARAMS, (str(target),)).fetchall()}
    return frozenset(kind for kind, params in ways.items() if not used.isdisjoint(_numbers(catalogue, kind, params)))


def _numbers(catalogue: Catalogue, kind: str, params: Collection[str]) -> set[int]:
    return {number for param in params for number in catalogue.searched(kind, param, ("",))}
