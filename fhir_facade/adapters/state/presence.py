"""Which keys there are: what callers ask in the same turn of the event loop is one question to the file.

Each question is a transaction of its own, and the first after a commit of another process finds its cache emptied.
https://sqlite.org/wal.html#concurrency
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.sqlite_lists import padded
from fhir_facade.adapters.state.sqlite_texts import keys_among
from fhir_facade.adapters.state.tables import RowTable
from fhir_facade.errors import Unavailable

_Asked = tuple[Collection[str], "asyncio.Future[frozenset[str]]"]


class Presence:
    """Asks in the event loop's thread: a reader's would cost ten times as much as the look."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._asked: dict[RowTable[Any], list[_Asked]] = {}

    async def among(self, table: RowTable[Any], keys: Collection[str]) -> frozenset[str]:
        """Those of the keys that are there at a moment after the call. Unavailable: the file cannot be read."""
        loop = asyncio.get_running_loop()
        if table not in self._asked:
            self._asked[table] = []
            loop.call_soon(self._look, table)
        answer: asyncio.Future[frozenset[str]] = loop.create_future()
        self._asked[table].append((keys, answer))
        return await answer

    def _look(self, table: RowTable[Any]) -> None:
        waiting = [(keys, answer) for keys, answer in self._asked.pop(table) if not answer.done()]
        wanted = list({key for keys, _ in waiting for key in keys})
        try:
            found = self._file.read_here(lambda here: _found(here, table, wanted))
        except (sqlite3.Error, Unavailable) as error:
            for _, answer in waiting:
                answer.set_exception(Unavailable(f"the data file cannot be used: {error}"))
            return
        for keys, answer in waiting:
            answer.set_result(found.intersection(keys))


def _found(here: sqlite3.Connection, table: RowTable[Any], keys: Sequence[str]) -> frozenset[str]:
    return frozenset(id_ for some in padded(keys) for (id_,) in here.execute(keys_among(table, len(some)), some))
