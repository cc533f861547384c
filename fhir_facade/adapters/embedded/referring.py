"""By which parameters a resource is referred to: one look at the index for each that does, however many resources do.

https://sqlite.org/queryplanner-ng.html: SQLite would walk all rows for a DISTINCT; a recursion jumps over them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.values import Ref, Ways

_PARAMS: Final = """
WITH RECURSIVE own (param) AS (
  SELECT min(param) FROM idx_reference WHERE target = ?1
  UNION ALL
  SELECT (SELECT min(param) FROM idx_reference WHERE target = ?1 AND param > own.param) FROM own
  WHERE own.param IS NOT NULL)
SELECT param FROM own WHERE param IS NOT NULL
"""


def referring(connection: sqlite3.Connection, catalogue: Catalogue, targets: Sequence[Ref], ways: Ways) -> Ways:
    """The ways by which one of the targets is referred to."""
    used = {number for target in targets for (number,) in connection.execute(_PARAMS, (str(target),)).fetchall()}
    told = {
        kind: [param for param in params if not used.isdisjoint(catalogue.searched(kind, param, ("",)))]
        for kind, params in ways.items()
    }
    return {kind: params for kind, params in told.items() if params}
