"""The words of a FHIRPath expression. https://hl7.org/fhirpath/N1/#lexical-elements"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_LENGTH = 2000

_TOKEN = re.compile(
    r"(?P<space>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<text>'(?:[^'\\]|\\.)*')"
    r"|(?P<moment>@(?:[0-9]{4}(?:-[0-9]{2}){0,2})?(?:T(?:[0-9]{2}(?::[0-9]{2}){0,2}(?:\.[0-9]+)?)?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<quoted>`(?:[^`\\]|\\.)*`)"
    r"|(?P<variable>%(?:[A-Za-z_][A-Za-z0-9_]*|`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*'))"
    r"|(?P<special>\$(?:this|index|total))"
    r"|(?P<sign><=|>=|!=|!~|[.()\[\]{},=~<>|+*/&-])",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


class NotTaken(ValueError):
    """The expression cannot be read or evaluated; the text says why, for the one who sent it."""


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is a group of the pattern above; `text` is without quotes and escapes."""

    kind: str
    text: str


def tokens(text: str) -> list[Token]:
    """All words but the space between them. NotTaken: too long, or a character that starts none."""
    if len(text) > MAX_LENGTH:
        raise NotTaken(f"it is longer than {MAX_LENGTH} characters")
    return [*_tokens(text)]


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise NotTaken(f"it cannot be read from {text[at : at + 20]!r} on")
        kind = str(found.lastgroup)
        if kind != "space":
            yield Token(kind, _bare(kind, found.group()))
        at = found.end()


def _bare(kind: str, text: str) -> str:
    if kind == "variable":
        text = text[1:]
    return _ESCAPE.sub(_escaped, text[1:-1]) if text[0] in "'`" else text


def _escaped(found: re.Match[str]) -> str:
    code, character = found.groups()
    return chr(int(code, 16)) if code else _CONTROLS.get(character, character)
