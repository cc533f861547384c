"""Which condition a search begins with: one that leads to few resources, found without more work than they are worth.

What it takes to find the members of a condition is not known before: what refers to something has to be found first.
So each is tried for as long as the best of those before deserves. Where all have many, and few of the first members of
one satisfy the others, all are tried for four times as long, and so on: in the end that took some times what the
members of the rarest one take, however many the others have.
"""

from __future__ import annotations

import sqlite3
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
"""Of so many members one should satisfy the others, if they are not to be counted to the end."""
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
    if fewest < BEARABLE or (best is not None and _mostly_satisfies(connection, best, conditions)):
        return Beginning(best, quick)
    most = BEARABLE
    while fewest == most:
        most *= WORTH_IT
        best, fewest, quick = _best(connection, positive, most, WORTH_IT)
    assert best is not None, "it was counted to the end"
    return Beginning(best, quick, not _mostly_satisfies(connection, best, conditions))


def _mostly_satisfies(connection: sqlite3.Connection, best: Test, conditions: Sequence[Test]) -> bool:
    """Whether enough of its first members satisfy the others: then a page is full before many were looked at, and what
    all its members cost is in proportion to the matches."""
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
