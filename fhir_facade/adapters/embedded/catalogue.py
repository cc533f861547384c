"""Small numbers for search parameters and code systems, so that index rows stay short."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from fhir_facade.fhir.definitions.unions import parts_of

UNKNOWN = -1
_NONE: Mapping[str, int] = {}
CANONICAL = ":canonical"
"""Ends the names under which rows in canonical units stand beside those in the units that were written."""

LONGEST = ":longer"
DATE_TAILS = ("", ":minute", ":day", ":month", ":year", LONGEST)
"""End the names of dates by how long they last; a second at most without one."""

RANGE = ":range"
"""Ends the names of amounts whose two ends differ."""

TAILS = (*DATE_TAILS, RANGE)

NEAR = ("near:latitude", "near:longitude")
"""The names under which the position of a Location stands among the numbers."""


class Catalogue:
    """A number never changes its meaning; the memory holds only numbers that are committed."""

    def __init__(self) -> None:
        self._params: dict[str, dict[str, int]] = {}
        self._systems: dict[str, int] = {}
        self._newest = 0

    def load(self, connection: sqlite3.Connection) -> None:
        """Read what the file holds."""
        params: dict[str, dict[str, int]] = {}
        for number, type_, name in connection.execute("SELECT id, type, name FROM fhir_param"):
            params.setdefault(type_, {})[name] = number
        self._params = params
        self.refresh(connection)

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Read the numbers of code systems that this process or another handed out meanwhile. Those of parameters stay
        while a server runs."""
        for number, url in connection.execute(
            "SELECT id, url FROM fhir_system WHERE id > ? ORDER BY id", (self._newest,)
        ):
            self._systems[url] = self._newest = number

    def param(self, type: str, name: str) -> int:
        """The number of a parameter, UNKNOWN for one that is not indexed."""
        return self.params(type).get(name, UNKNOWN)

    def searched(self, type: str, name: str, tails: Sequence[str] = TAILS) -> tuple[int, ...]:
        """The numbers under which the values of a parameter stand: those of its parts when it is a union of others, and
        of all lengths, or those with these tails."""
        known, (code, colon, more) = self.params(type), name.partition(":")
        names = [f"{part}{colon}{more}{tail}" for part in parts_of(type, code) for tail in tails]
        return tuple([known[each] for each in names if each in known])

    def params(self, type: str) -> Mapping[str, int]:
        """The numbers of all parameters of a type."""
        return self._params.get(type, _NONE)

    def system(self, url: str) -> int:
        """The number of a code system, UNKNOWN when no stored token has it."""
        return self._systems.get(url, UNKNOWN)

    def systems(self) -> Mapping[str, int]:
        """The numbers of all code systems."""
        return self._systems

    def missing_systems(self, urls: Iterable[str]) -> tuple[str, ...]:
        return tuple({url for url in urls if url not in self._systems})

    def adopt_systems(self, numbers: Iterable[tuple[str, int]]) -> None:
        """Remember numbers that `insert_systems` handed out, once they are committed. Others may have handed out some
        before them, which `refresh` is still to read."""
        self._systems.update(numbers)


def insert_systems(connection: sqlite3.Connection, urls: Iterable[str]) -> list[tuple[str, int]]:
    """Hand out numbers on the writer thread; a url that got one meanwhile keeps it."""
    numbers = []
    for url in urls:
        connection.execute("INSERT OR IGNORE INTO fhir_system (url) VALUES (?)", (url,))
        row = connection.execute("SELECT id FROM fhir_system WHERE url = ?", (url,)).fetchone()
        numbers.append((url, int(row[0])))
    return numbers


def insert_params(connection: sqlite3.Connection, params: Iterable[tuple[str, str]]) -> None:
    """Make sure every parameter of the definitions has a number."""
    connection.executemany("INSERT OR IGNORE INTO fhir_param (type, name) VALUES (?, ?)", params)
