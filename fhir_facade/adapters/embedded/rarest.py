"""Which condition a search begins with: one that leads to few resources, found without more work than they are worth.

What it takes to find the members of a condition is not known before: what refers to something has to be found first.
So each is tried for as long as the best of those before deserves. Where all have many, all are tried for four times as
long, and so on: in the end that took some times what the members of the rarest one take, however many the others have.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from fhir_facade.adapters.embedded.interrupt import within
from fhir_facade.adapters.embedded.source import Condition, Test

FEW: Final = 500
"""Members that are few: the condition with the fewest is the one to begin with."""
BEARABLE: Final = 4000
"""When none has few, how many the one to begin with may have at first; WORTH_IT times as many when none has so few."""
WORTH_IT: Final = 4
"""How many times fewer the members of another one have to be then. What refers to somebody was mostly written together:
it stands on few pages of the file, and what has a code on many."""
ENOUGH: Final = 10
"""When one of so many members satisfies the others, the rarest one need not be found,"""
SHARE: Final = 16
"""if no other has so many times fewer members."""
STEPS_A_MEMBER: Final = 20
"""Of SQLite's machine, for finding a member of a condition that needs no detours: 4 to 15."""
STEPS_TO_BEGIN: Final = 500

_BY_VALUE: Final = ("idx_subject_code", "idx_reference", "idx_token", "idx_uri")


class Beginning(NamedTuple):
    """The condition to begin with, None without a positive one; those whose members are found quickly; and whether few
    of its many members may satisfy the others, so that a page takes a look at all of them."""

    driver: Test | None
    quick: Sequence[Test]
    sparse: bool = False


def rarest(connection: sqlite3.Connection, conditions: Sequence[Test]) -> Beginning:
    """What to begin with."""
    positive = [own for own in conditions if not own.negated and not own.slow]
    if len(positive) <= 1:
        return Beginning(positive[0] if positive else None, positive)
    best, fewest, quick = _best(connection, sorted(positive, key=_detours), FEW, 1)
    if fewest < FEW:
        return Beginning(best, quick)
    positive.sort(key=_scattered)
    best, fewest, quick = _best(connection, positive, BEARABLE, WORTH_IT)
    if fewest < BEARABLE:
        return Beginning(best, quick)
    mostly = best is not None and _mostly_satisfies(connection, best, conditions)
    most, bound = BEARABLE, _share_of_all(connection) if mostly else sys.maxsize
    while fewest == most < bound:
        most = min(most * WORTH_IT, bound)
        best, fewest, quick = _best(connection, positive, most, WORTH_IT)
    assert best is not None, "all were counted for long enough"
    return Beginning(best, quick, fewest < most and not _mostly_satisfies(connection, best, conditions))


def _share_of_all(connection: sqlite3.Connection) -> int:
    """Of so many members none can have more than SHARE times as many."""
    (newest,) = connection.execute("SELECT max(pk) FROM fhir_resource").fetchone()
    return int(newest or 0) // SHARE + 1


def _mostly_satisfies(connection: sqlite3.Connection, best: Test, conditions: Sequence[Test]) -> bool:
    """Whether enough of its first members satisfy the others: then a page is full before many were looked at."""
    members, args = best.members()
    others = [own.holds_for("r.pk", alone=True) for own in conditions if own is not best and not own.slow]
    where = " AND ".join([sql for sql, _ in others])
    values = [*args, FEW, *(value for _, own in others for value in own)]
    statement = f"SELECT count(*) FROM (SELECT pk FROM ({members} LIMIT ?)) r WHERE {where}"

    def found() -> int:
        return int(connection.execute(statement, values).fetchone()[0])

    return (within(connection, STEPS_A_MEMBER * BEARABLE, found) or 0) * ENOUGH >= FEW


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
        enough = most if fewest == most else fewest // times
        count = partial(_counted, connection, own, enough)
        found = within(connection, STEPS_A_MEMBER * enough + STEPS_TO_BEGIN, count)
        if found is None:
            continue
        quick.append(own)
        if best is None or found < enough:
            best, fewest = own, found
    return best, fewest, quick


def _counted(connection: sqlite3.Connection, condition: Test, most: int) -> int:
    members, args = condition.members()
    found = connection.execute(f"SELECT count(*) FROM ({members} LIMIT ?)", (*args, most)).fetchone()
    return int(found[0])
