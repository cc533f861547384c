"""A FHIRPath expression as a tree. https://hl7.org/fhirpath/N1/grammar.html"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from fhir_facade.fhir.patch.fhirpath.amounts import CALENDAR, Amount
from fhir_facade.fhir.patch.fhirpath.moments import Moment
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken, Token, tokens

MAX_DEPTH: Final = 24
MAX_OPERATORS: Final = 100
LARGEST_INTEGER: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Literal:
    """Its value, or none for `{}`."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """`%name` or `$name`, with its sign."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Index:
    at: Expression


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from a source, or from `$this` without one."""

    source: Expression | None
    steps: tuple[Member | Call | Index, ...]


@dataclass(frozen=True, slots=True)
class Signed:
    minus: bool
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Typed:
    """`is` or `as` a type."""

    operator: str
    operand: Expression
    type: str


Expression = Literal | Variable | Path | Signed | Binary | Typed

_LEVELS: Final[Mapping[str, int]] = {
    operator: level
    for level, operators in enumerate(
        ("implies", "or xor", "and", "in contains", "= ~ != !~", "is as", "< <= > >=", "|", "+ - &", "* / div mod")
    )
    for operator in operators.split()
}
_UNARY: Final = 10
_TYPE_LEVEL: Final = _LEVELS["is"]
_NAMES_TOO: Final = frozenset(("is", "as", "in", "contains"))
_END: Final = Token("end", "")


def parse(text: str, arities: Mapping[str, range]) -> Expression:
    """The tree. `arities`: the functions there are, and how many arguments each takes. NotTaken says what is wrong."""
    parser = _Parser(tokens(text), arities)
    found = parser.expression()
    parser.expect("end")
    return found


def type_name(expression: Expression) -> str:
    """An argument that names a type: `Quantity`, `FHIR.Quantity`."""
    if isinstance(expression, Path) and expression.source is None:
        names = [step.name for step in expression.steps if isinstance(step, Member)]
        if len(names) == len(expression.steps):
            return ".".join(names)
    raise NotTaken("it has something else where the name of a type belongs")


class _Parser:
    """Precedence climbing over the tokens of one expression."""

    def __init__(self, found: list[Token], arities: Mapping[str, range]) -> None:
        self.tokens = [*found, _END]
        self.position, self.depth, self.operators = 0, 0, 0
        self.arities = arities

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def next(self) -> Token:
        token = self.token
        self.position += 1
        return token

    def expect(self, kind: str, *texts: str) -> str:
        if self.token.kind != kind or (texts and self.token.text not in texts):
            raise NotTaken(f"it cannot be read from {self.token.text!r} on" if self.token != _END else "it ends early")
        return self.next().text

    def taken(self, sign: str) -> bool:
        """Whether the sign is next; then it is read."""
        if self.token != Token("sign", sign):
            return False
        self.position += 1
        return True

    def expression(self, level: int = 0) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotTaken(f"it is nested deeper than {MAX_DEPTH} levels")
        left = self._operand()
        while (operator := self._operator(level)) is not None:
            self.operators += 1
            if self.operators > MAX_OPERATORS:
                raise NotTaken(f"it has more than {MAX_OPERATORS} operators")
            if _LEVELS[operator] == _TYPE_LEVEL:
                left = Typed(operator, left, self._type())
            else:
                left = Binary(operator, left, self.expression(_LEVELS[operator] + 1))
        self.depth -= 1
        return left

    def _operator(self, level: int) -> str | None:
        token = self.token
        if token.kind not in ("name", "sign") or _LEVELS.get(token.text, -1) < level:
            return None
        self.position += 1
        return token.text

    def _operand(self) -> Expression:
        if self.token.kind == "sign" and self.token.text in ("+", "-"):
            return Signed(self.next().text == "-", self.expression(_UNARY))
        term = self._term()
        steps: list[Member | Call | Index] = []
        while self.token.kind == "sign" and self.token.text in (".", "["):
            steps.append(self._step())
        if not steps:
            return term
        if isinstance(term, Path):
            return Path(term.source, (*term.steps, *steps))
        return Path(term, tuple(steps))

    def _step(self) -> Member | Call | Index:
        if self.taken("["):
            at = self.expression()
            self.expect("sign", "]")
            return Index(at)
        self.expect("sign", ".")
        return self._invocation(self.expect("quoted" if self.token.kind == "quoted" else "name"))

    def _invocation(self, name: str) -> Member | Call:
        if not self.taken("("):
            return Member(name)
        arguments: list[Expression] = []
        while not self.taken(")"):
            if arguments:
                self.expect("sign", ",")
            arguments.append(self.expression())
        if name not in self.arities:
            raise NotTaken(f"a patch knows no function {name}()")
        if len(arguments) not in self.arities[name]:
            raise NotTaken(f"{name}() does not take {len(arguments)} arguments")
        return Call(name, tuple(arguments))

    def _term(self) -> Expression:
        token = self.next()
        if token.kind in ("variable", "special"):
            return Variable(token.text if token.kind == "special" else f"%{token.text}")
        if token.kind in ("text", "number", "moment"):
            return Literal((self._value(token),))
        if token.kind == "quoted" or (token.kind == "name" and self._names(token.text)):
            return Path(None, (self._invocation(token.text),))
        if token.kind == "name" and token.text in ("true", "false"):
            return Literal((token.text == "true",))
        return self._bracketed(token)

    def _bracketed(self, token: Token) -> Expression:
        if token == Token("sign", "("):
            inner = self.expression()
            self.expect("sign", ")")
            return inner
        self.position -= 1
        self.expect("sign", "{")
        self.expect("sign", "}")
        return Literal(())

    def _names(self, text: str) -> bool:
        return text in _NAMES_TOO or (text not in _LEVELS and text not in ("true", "false"))

    def _value(self, token: Token) -> Any:
        if token.kind == "text":
            return token.text
        if token.kind == "moment":
            return Moment.written(token.text)
        number = Decimal(token.text) if "." in token.text else int(token.text)
        unit = self._unit()
        if unit is not None:
            return Amount(Decimal(token.text), unit)
        if isinstance(number, int) and number > LARGEST_INTEGER:
            raise NotTaken(f"{token.text} is larger than an integer can be")
        return number

    def _unit(self) -> str | None:
        if self.token.kind == "text":
            unit = self.next().text
            return CALENDAR.get(unit, unit)
        if self.token.kind == "name" and self.token.text in CALENDAR:
            return CALENDAR[self.next().text]
        return None

    def _type(self) -> str:
        names = [self._type_part()]
        while self.taken("."):
            names.append(self._type_part())
        return ".".join(names)

    def _type_part(self) -> str:
        return self.expect("quoted" if self.token.kind == "quoted" else "name")
