"""Who may do what, read from tests/data/access alone: an expectation that shares nothing with what is tested."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fhir_facade.values import PrincipalKind

DATA = Path(__file__).parents[2] / "data/access"
CONTEXTS = ("patient", "user", "system")


@dataclass(frozen=True)
class Line:
    """A type: whom its records are about, and the letters of each role."""

    about: str
    letters: Mapping[str, frozenset[str]]

    @property
    def personal(self) -> bool:
        """Whether there is no such record about nobody."""
        return self.about not in ("shared", "closed", "never stored") and not self.about.endswith("?")

    @property
    def path(self) -> list[str]:
        """The element that names the patient; empty where none does."""
        return [] if self.about in ("shared", "closed", "never stored", "id") else self.about.rstrip("?").split(".")


@dataclass(frozen=True)
class Asker:
    """A principal by its words. `letters` and `type` are those of its one scope; `patient` the one in context."""

    who: PrincipalKind
    context: str = ""
    letters: str = "cruds"
    type: str = "*"
    patient: str | None = None
    care: frozenset[str] = frozenset()
    engine: str | None = None


@cache
def types() -> Mapping[str, Line]:
    with (DATA / "who_may_do_what.csv").open(newline="") as file:
        return {
            row.pop("type"): Line(row.pop("about"), {k: _letters(v) for k, v in row.items()}) for row in _rows(file)
        }


@cache
def rules() -> Mapping[str, Any]:
    return tomllib.loads((DATA / "who_may_do_what.toml").read_text())


@cache
def letters(asker: Asker, name: str) -> frozenset[str]:
    """The letters that are open to somebody on a type."""
    line = types().get(name)
    if line is None:
        return frozenset()
    if asker.engine is not None:
        return _of_engine(asker.engine, name, line)
    token = _token(asker)
    if token is None or asker.type not in ("*", name):
        return frozenset()
    if line.personal and token["reaches"] == "the patient in context" and asker.patient is None:
        return frozenset()
    return line.letters[token["role"]] & frozenset(asker.letters)


def reach(asker: Asker, name: str) -> frozenset[str] | None:
    """The patients whose records somebody reaches with what is open; None: everybody's."""
    token = _token(asker)
    if asker.engine is not None or token is None or name in token.get("reaches-everybody-on", ()):
        return None
    in_context = frozenset() if asker.patient is None else frozenset({asker.patient})
    reaches: dict[str, frozenset[str] | None] = {
        "nobody": frozenset(),
        "everybody": None,
        "those in care": asker.care,
        "the patient in context": in_context,
        "the patient in context, in care": in_context & asker.care,
    }
    return reaches[token["reaches"]]


def _token(asker: Asker) -> Mapping[str, Any] | None:
    wanted = (asker.who, asker.context)
    return next((each for each in rules()["tokens"] if (each["who"], each["context"]) == wanted), None)


def _of_engine(engine: str, name: str, line: Line) -> frozenset[str]:
    if engine == "import":  # the operator at the command line has the rights of a service
        return line.letters["service"]
    table: Mapping[str, Iterable[str]] = rules()["engines"].get(engine, {})
    return next((frozenset(text) for text, names in table.items() if name in names), frozenset())


def _letters(text: str) -> frozenset[str]:
    return frozenset(text) - {"-"}


def _rows(file: Iterable[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(file))
