"""Which condition a search begins with: one that leads to few resources, found without more work than they are worth.

What it takes to find the members of a condition is not known before: most rows of a range may have other units, and
what refers to something has to be found first. So each is tried for as long as the best of those before deserves.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final

from fhir_facade.adapters.embedded.interrupt import within
from fhir_facade.adapters.embedded.source import Condition, Test

FEW: Final = 500
"""Members that are few: the condition with the fewest is the one to begin with."""
BEARABLE: Final = 4000
"""When none has few, how many the one to begin with may have without asking what the others would cost."""
WORTH_IT: Final = 4
"""How many times fewer the members of another one have to be then. What refers to somebody was mostly written together:
it stands on few pages of the file, and what has a code on many."""
STEPS_A_MEMBER: Final = 20
"""Of SQLite's machine, for finding a member of a condition that needs no detours: 4 to 15."""
STEPS_TO_BEGIN: Final = 500

_BY_VALUE: Final = ("idx_subject_code", "idx_reference", "idx_token", "idx_uri")


def rarest(connection: sqlite3.Connection, conditions: Sequence[Test]) -> tuple[Test | None, Sequence[Test]]:
    """The condition to begin with, None without a positive one; and those whose members are found quickly."""
    positive = [own for own in conditions if not own.negated and not own.slow]
    if len(positive) <= 1:
        return (positive[0] if positive else None), positive
    best, fewest, quick = _best(connection, sorted(positive, key=_detours), FEW, 1)
    if fewest < FEW:
        return best, quick
    positive.sort(key=_scattered)
    best, fewest, quick = _best(connection, positive, BEARABLE, WORTH_IT)
    if fewest < BEARABLE or len(quick) == len(positive):
        return best, quick
    return _fewest(connection, positive), quick


def _detours(own: Test) -> int:
    """What the index answers with its members alone comes first, then ranges, what lies behind references last."""
    if own.has_hops:
        return 2
    return 0 if isinstance(own, Condition) and own.table in _BY_VALUE else 1


def _scattered(own: Test) -> bool:
    return not (isinstance(own, Condition) and own.table == "idx_reference")


def _best(
    connection: sqlite3.Connection, conditions: Sequence[Test], most: int, times: int
) -> tuple[Test | None, int, Sequence[Test]]:
    """The first that is not given up, or another with so many times fewer members; how many it has, `most` when it has
    no fewer; and all that are not given up."""
    best, fewest, quick = None, most, list[Test]()
    for own in conditions:
        enough = fewest if best is None else fewest // times
        count = partial(_counted, connection, own, enough)
        found = within(connection, STEPS_A_MEMBER * enough + STEPS_TO_BEGIN, count)
        if found is None:
            continue
        quick.append(own)
        if best is None or found < enough:
            best, fewest = own, found
    return best, fewest, quick


def _fewest(connection: sqlite3.Connection, conditions: Sequence[Test]) -> Test:
    """Whatever it takes; where all have many, the first."""
    best, fewest = conditions[0], FEW + 1
    for own in conditions:
        found = _counted(connection, own, min(fewest, FEW))
        if found < fewest:
            best, fewest = own, found
    return best


def _counted(connection: sqlite3.Connection, condition: Test, most: int) -> int:
    members, args = condition.members()
    found = connection.execute(f"SELECT count(*) FROM ({members} LIMIT ?)", (*args, most)).fetchone()
    return int(found[0])
