"""`_filter`: comparisons joined by and, or and not, as criteria (https://hl7.org/fhir/R4/search_filter.html).

A filter becomes criteria that must all hold; `or` is an `AnyOf` among them, `not` stands before single comparisons.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from fhir_facade.errors import BadRequest, UnknownParameter
from fhir_facade.fhir.query.criterion import CriterionParser
from fhir_facade.values import AnyOf, Chain, Criterion, DateValue, Has, Match, Not, ParamKind

MAX_COMPARISONS: Final = 50
MAX_DEPTH: Final = 20
ENDS: Final = "ends"
"""A modifier of strings that only `ew` has: the value ends with the text."""
EQUAL: Final = "equal"
"""A modifier of strings that only `eq` and `ne` have: the whole value, whatever its case and accents."""

Filter = tuple[Criterion, ...]
"""Criteria that must all hold."""

_TOKEN = re.compile(r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>[()])|(?P<word>[^\s()"]+))')
_SPECIAL = re.compile(r"([,$|\\])")
_LISTED = re.compile(r"([,\\])")
_ORDERED: Final[frozenset[ParamKind]] = frozenset({"number", "date", "quantity"})


@dataclass(frozen=True, slots=True)
class _Operator:
    """What an operator is as a parameter: kinds it takes (None: all), the modifier and prefix it becomes."""

    kinds: frozenset[ParamKind] | None = None
    modifier: str = ""
    prefix: str = ""


def _of(*kinds: ParamKind, modifier: str = "") -> _Operator:
    return _Operator(frozenset(kinds), modifier)


_OPERATORS: Final[dict[str, _Operator]] = {
    "eq": _Operator(),
    "ne": _Operator(),
    "co": _of("string", modifier="contains"),
    "sw": _of("string"),
    "ew": _of("string"),
    **{prefix: _Operator(_ORDERED, prefix=prefix) for prefix in ("gt", "lt", "ge", "le", "sa", "eb", "ap")},
    "po": _of("date"),
    "ss": _of("token", modifier="below"),
    "sb": _of("token", modifier="above"),
    "in": _of("token", modifier="in"),
    "re": _of("reference"),
    "pr": _Operator(modifier="missing"),
}


def parse_filter(parser: CriterionParser, fhir_type: str, raw: str) -> Filter:
    """BadRequest, UnknownParameter: what is wrong with it and what would be right."""
    reader = _Reader(parser, fhir_type, list(_tokens(raw)))
    found = reader.expression(0)
    if reader.place < len(reader.tokens):
        raise _wrong(f"{reader.tokens[reader.place]!r} is not expected here")
    return found


def _tokens(raw: str) -> Iterator[str]:
    place, text = 0, raw.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _wrong(f"cannot read {text[place:]!r}")
        yield found["text"] or found["mark"] or found["word"]
        place = found.end()


def _wrong(what: str) -> BadRequest:
    return BadRequest(f"_filter: {what}; it reads parameter operator value, joined by and, or, not (…) and brackets")


@dataclass(slots=True)
class _Reader:
    """Reads from left to right; `and` and `or` bind alike, as R4 has it."""

    parser: CriterionParser
    fhir_type: str
    tokens: list[str]
    place: int = 0
    comparisons: int = 0

    def expression(self, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise _wrong(f"more than {MAX_DEPTH} brackets inside each other")
        found = self._term(depth)
        while self._next() in ("and", "or"):
            word, other = self._take(), self._term(depth)
            found = found + other if word == "and" else (AnyOf((found, other)),)
        return found

    def _term(self, depth: int) -> Filter:
        if self._next() == "not":
            self._take()
            return _negated(self._bracket(depth))
        return self._bracket(depth) if self._next() == "(" else self._comparison()

    def _bracket(self, depth: int) -> Filter:
        self._expect("(")
        found = self.expression(depth + 1)
        self._expect(")")
        return found

    def _comparison(self) -> Filter:
        self.comparisons += 1
        if self.comparisons > MAX_COMPARISONS:
            raise _wrong(f"more than {MAX_COMPARISONS} comparisons")
        path, operator, value = self._take(), self._take(), self._take()
        return (_compared(self.parser, self.fhir_type, path, operator, value),)

    def _next(self) -> str | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None

    def _take(self) -> str:
        token = self._next()
        if token is None or token in ("(", ")"):
            raise _wrong("something is missing" if token is None else f"{token!r} is not expected here")
        self.place += 1
        return token

    def _expect(self, mark: str) -> None:
        if self._next() != mark:
            raise _wrong(f"{mark!r} is missing")
        self.place += 1


def _negated(found: Filter) -> Filter:
    """Not all of these hold: one of them does not."""
    groups = tuple(_denied(criterion) for criterion in found)
    return groups[0] if len(groups) == 1 else (AnyOf(groups),)


def _denied(criterion: Criterion) -> Filter:
    match criterion:
        case Match():
            return (Not(criterion),)
        case Not(inner):
            return (inner,)
        case AnyOf(groups):
            return tuple(each for group in groups for each in _negated(group))
    raise UnknownParameter("_filter: not (…) and ne are not available over references: ask for what is there")


def _compared(parser: CriterionParser, fhir_type: str, path: str, name: str, value: str) -> Criterion:
    operator = _OPERATORS.get(name)
    if operator is None:
        raise _wrong(f"{name!r} is no operator; operators are {', '.join(_OPERATORS)}")
    kind = _kind(parser.parse(fhir_type, f"{path}:missing", "false"))
    if operator.kinds is not None and kind not in operator.kinds:
        raise UnknownParameter(
            f"_filter: {name} does not compare a {kind}; it takes {', '.join(sorted(operator.kinds))}"
        )
    asked = f"{path}:{operator.modifier}" if operator.modifier else path
    found = parser.parse(fhir_type, asked, _raw(name, operator, kind, value))
    return _adjusted(found, name)


def _kind(criterion: Criterion) -> ParamKind:
    while isinstance(criterion, Chain | Has):
        criterion = criterion.inner
    if not isinstance(criterion, Match):
        raise UnknownParameter(
            "_filter: the path means different things for different types: name the type behind a colon"
        )
    return criterion.kind


def _raw(name: str, operator: _Operator, kind: ParamKind, value: str) -> str:
    """The value as a parameter has it: separators inside it are escaped, a prefix stands before it."""
    text = _unquoted(value)
    if name == "pr":
        return {"true": "false", "false": "true"}.get(text, text)
    if kind in _ORDERED and text[:1].isalpha():
        raise _wrong(f"{value} is no {kind}")
    return operator.prefix + (_SPECIAL if kind in ("string", "uri") else _LISTED).sub(r"\\\1", text)


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        text = str(json.loads(value))
        text.encode()  # half a pair of surrogates is no text that could be stored
    except ValueError as error:
        raise _wrong(f"{value} is no string of JSON") from error
    return text


def _adjusted(criterion: Criterion, name: str) -> Criterion:
    """What parameters cannot say."""
    if name == "ne":
        (denied,) = _denied(_adjusted(criterion, "eq"))
        return denied
    if isinstance(criterion, Chain | Has):
        return replace(criterion, inner=_adjusted(criterion.inner, name))
    if isinstance(criterion, Match) and name == "ew":
        return replace(criterion, modifier=ENDS)
    if isinstance(criterion, Match) and name == "eq" and criterion.kind == "string":
        return replace(criterion, modifier=EQUAL)
    if isinstance(criterion, Match) and name == "po":
        return replace(
            criterion, values=tuple(replace(v, prefix="ap") for v in criterion.values if isinstance(v, DateValue))
        )
    return criterion
