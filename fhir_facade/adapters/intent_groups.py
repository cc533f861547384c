"""Commits that have nothing to do with each other as few transactions of HAPI: a transaction of sixteen takes it half
the time of sixteen requests.

When HAPI refuses a transaction nothing of it was written: those of which the refusal speaks are tried alone and the
others again, or all in smaller ones where it speaks of none. https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from copy import copy
from typing import Final

from fhir_facade.errors import FacadeError
from fhir_facade.ports import Commit, Committed
from fhir_facade.rows import RowChange
from fhir_facade.values import Ref, StoredResource, Write

FEWEST, MOST = 2, 16
"""Commits in a transaction: fewer after some were refused, more again after some were not."""
MOST_BYTES: Final = 1024 * 1024
PARTS: Final = 4
"""Of a group that was refused."""

_NAMED: Final = re.compile(r"\b[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,63}[A-Za-z0-9\-]")

CommitAll = Callable[[Sequence[Write], Sequence[RowChange]], Awaitable[Sequence[StoredResource]]]
Refusals = tuple[type[FacadeError], ...]


class Groups:
    """`refusals` are the errors after which nothing was written, for certain."""

    def __init__(self, commit: CommitAll, refusals: Refusals) -> None:
        self._commit = commit
        self._refusals = refusals
        self._most = MOST

    async def commit_each(self, commits: Sequence[Commit]) -> list[Committed]:
        """In their order."""
        found = await asyncio.gather(*map(self._settled, self._groups(commits)))
        return [committed for group in found for committed in group]

    def _groups(self, commits: Sequence[Commit]) -> Iterator[Sequence[Commit]]:
        """Neighbours, no resource twice, not too much. What deletes goes alone: others may refer to it."""
        group: list[Commit] = []
        taken: set[Ref] = set()
        size = 0
        for writes, rows in commits:
            refs, alone = {write.ref for write in writes}, _is_alone(writes)
            length = sum(len(write.body) for write in writes)
            if group and (alone or len(group) >= self._most or size + length > MOST_BYTES or refs & taken):
                yield group
                group, taken, size = [], set(), 0
            if alone:
                yield [(writes, rows)]
                continue
            taken |= refs
            size += length
            group.append((writes, rows))
        if group:
            yield group

    async def _settled(self, group: Sequence[Commit]) -> Sequence[Committed]:
        try:
            stored = await self._commit(
                [write for writes, _ in group for write in writes], [row for _, rows in group for row in rows]
            )
        except self._refusals as error:
            if len(group) == 1:
                return [error]
            self._most = max(FEWEST, self._most // 2)
            return await self._settled_apart(group, _meant(group, str(error)))
        except FacadeError as error:  # perhaps it was written; each gets an error that is nobody else's
            return [copy(error) for _ in group]
        self._most = min(MOST, self._most + (len(group) > 1))
        return list(_parted(group, stored))

    async def _settled_apart(self, group: Sequence[Commit], meant: Sequence[bool]) -> Sequence[Committed]:
        """Those that are meant alone, the others together again."""
        if all(meant) or not any(meant):
            return await self._settled_in_parts(group)
        others = [commit for commit, is_meant in zip(group, meant, strict=True) if not is_meant]
        alone = [[commit] for commit, is_meant in zip(group, meant, strict=True) if is_meant]
        together, *each = await asyncio.gather(self._settled(others), *map(self._settled, alone))
        one, more = iter(each), iter(together)
        return [next(one)[0] if is_meant else next(more) for is_meant in meant]

    async def _settled_in_parts(self, group: Sequence[Commit]) -> Sequence[Committed]:
        size = -(-len(group) // PARTS)
        parts = [group[start : start + size] for start in range(0, len(group), size)]
        found = await asyncio.gather(*map(self._settled, parts))
        return [committed for part in found for committed in part]


def _meant(group: Sequence[Commit], refusal: str) -> list[bool]:
    """Which of them a refusal speaks of: it names a resource that they write, or refer to."""
    named = {text.encode() for text in _NAMED.findall(refusal)}
    return [
        any(str(write.ref).encode() in named or any(text in write.body for text in named) for write in writes)
        for writes, _ in group
    ]


def _is_alone(writes: Sequence[Write]) -> bool:
    return not writes or any(write.kind == "delete" for write in writes)


def _parted(group: Sequence[Commit], stored: Sequence[StoredResource]) -> Iterator[Sequence[StoredResource]]:
    start = 0
    for writes, _ in group:
        yield stored[start : start + len(writes)]
        start += len(writes)
