"""The part of FHIRPath that names a place in a resource: members, indexes, `where(...)` with equalities, `ofType`.

https://hl7.org/fhir/R4/fhirpatch.html (simple paths), https://hl7.org/fhirpath/N1/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from fhir_facade.errors import BadRequest

MAX_LENGTH = 1000

_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*|`[^`]+`)|(?P<text>'(?:[^'\\]|\\.)*')|(?P<number>-?[0-9]+(?:\.[0-9]+)?)"
    r"|(?P<sign>[.()\[\]=]))"
)
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Member:
    name: str


@dataclass(frozen=True, slots=True)
class At:
    """One item of several; -1 is the last."""

    index: int


@dataclass(frozen=True, slots=True)
class Truth:
    """A boolean that equals no number, although Python's do."""

    value: bool


@dataclass(frozen=True, slots=True)
class Where:
    """All of these paths, from the item on, have an equal value."""

    equal: tuple[tuple[tuple[Member, ...], Any], ...]


@dataclass(frozen=True, slots=True)
class OfType:
    name: str


Step = Member | At | Where | OfType


def parse_path(text: str, kind: str) -> tuple[Step, ...]:
    """The steps after the type name; BadRequest for what is more than a place."""
    if len(text) > MAX_LENGTH:
        raise BadRequest(f"A path of a patch may have {MAX_LENGTH} characters.")
    return _Parser(text).path(kind)


class _Parser:
    """Recursive descent over the tokens of one path."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [*self._tokens()]
        self.position = 0

    def path(self, kind: str) -> tuple[Step, ...]:
        name = self._name()
        steps: list[Step] = [] if name in (kind, "Resource", "DomainResource") else [Member(name)]
        while self.position < len(self.tokens):
            steps.extend(self._step())
        return tuple(steps)

    def _tokens(self) -> Iterator[tuple[str, str]]:
        at = 0
        text = self.text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                self._refuse()
            yield str(found.lastgroup), found.group(str(found.lastgroup))
            at = found.end()

    def _refuse(self) -> NoReturn:
        raise BadRequest(
            f"The path '{self.text}' is not understood; a patch takes members, [index], first(), last(), ofType(Type),"
            " extension('url') and where(member = 'value' and …)."
        )

    def _next(self, kind: str, *values: str) -> str:
        found = self.tokens[self.position] if self.position < len(self.tokens) else ("", "")
        if found[0] != kind or (values and found[1] not in values):
            self._refuse()
        self.position += 1
        return found[1]

    def _peek(self, value: str) -> bool:
        return self.position < len(self.tokens) and self.tokens[self.position][1] == value

    def _name(self) -> str:
        return self._next("name").strip("`")

    def _step(self) -> list[Step]:
        if self._next("sign", ".", "[") == "[":
            number = self._next("number")
            self._next("sign", "]")
            if not number.isdigit():
                self._refuse()
            return [At(int(number))]
        name = self._name()
        return self._function(name) if self._peek("(") else [Member(name)]

    def _function(self, name: str) -> list[Step]:
        self._next("sign", "(")
        steps = self._arguments(name)
        self._next("sign", ")")
        return steps

    def _arguments(self, name: str) -> list[Step]:
        if name == "where":
            return [Where(tuple(self._equalities()))]
        if name == "ofType":
            return [OfType(self._name())]
        if name == "extension":
            return [Member("extension"), Where((((Member("url"),), self._text()),))]
        if name not in ("first", "last"):
            self._refuse()
        return [At(0 if name == "first" else -1)]

    def _equalities(self) -> Iterator[tuple[tuple[Member, ...], Any]]:
        yield self._equality()
        while self._peek("and"):
            self.position += 1
            yield self._equality()

    def _equality(self) -> tuple[tuple[Member, ...], Any]:
        names = [Member(self._name())]
        while self._peek("."):
            self.position += 1
            names.append(Member(self._name()))
        self._next("sign", "=")
        return tuple(names), self._literal()

    def _literal(self) -> Any:
        if self.position < len(self.tokens) and self.tokens[self.position][0] == "number":
            return Decimal(self._next("number"))
        if self._peek("true") or self._peek("false"):
            return Truth(self._name() == "true")
        return self._text()

    def _text(self) -> str:
        return _ESCAPED.sub(r"\1", self._next("text")[1:-1])
