"""`_text` and `_content`: words of a resource, and what is asked of them (https://hl7.org/fhir/R4/search.html#content).

parse_words("(bone OR liver) and metastas* \"hip joint\"") -> Asked
narrative_words(resource), all_words(resource) -> [word]
says(words, asked) -> bool
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.extract.text import normalise
from fhir_facade.values import JsonObject

TEXTS: Final = frozenset({"_text", "_content"})
MAX_WORDS: Final = 50
_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r'\s*(?:"(?P<phrase>[^"]*)"?|(?P<mark>[()])|(?P<word>[^\s()"]+))')
_MARKUP = re.compile(r"<[^>]*>|&\w+;|&#\w+;")
_NO_TEXT: Final = frozenset({"div", "data"})
"""Members whose strings are markup or base64."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words one after the other; `begins`: the last one is the beginning of a word."""

    words: tuple[str, ...]
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """All of the parts have to be there, or one of them."""

    parts: tuple[Asked, ...]
    all: bool


Asked = Phrase | Joined


def words_of(text: str) -> list[str]:
    """Words without case and accents."""
    return _WORD.findall(normalise(text))


def narrative_words(resource: JsonObject) -> list[str]:
    """The words of the narrative, markup left out."""
    narrative = resource.get("text")
    markup = narrative.get("div") if isinstance(narrative, dict) else None
    return words_of(_MARKUP.sub(" ", markup)) if isinstance(markup, str) else []


def all_words(resource: JsonObject) -> list[str]:
    """The words of the narrative and of every string of the resource, contained resources included."""
    return [*narrative_words(resource), *chain.from_iterable(map(words_of, _strings(resource)))]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in _NO_TEXT:
                yield from _strings(item)


def says(words: Sequence[str], asked: Asked) -> bool:
    """Whether the words satisfy what is asked."""
    if isinstance(asked, Joined):
        return (all if asked.all else any)(says(words, part) for part in asked.parts)
    length = len(asked.words)
    return any(_stands(words[place : place + length], asked) for place in range(len(words) - length + 1))


def _stands(words: Sequence[str], asked: Phrase) -> bool:
    *first, last = asked.words
    same = words[-1].startswith(last) if asked.begins else words[-1] == last
    return same and list(words[:-1]) == first


def parse_words(name: str, raw: str) -> Asked:
    """Words that must all be there; `or`, `and`, brackets, "phrases" and a star at the end of a word. BadRequest."""
    tokens = [found for found in _TOKEN.finditer(raw.rstrip()) if found[0].strip()]
    reader = _Reader(name, tokens)
    asked = reader.either()
    if reader.place < len(tokens):
        raise reader.wrong()
    return asked


@dataclass(slots=True)
class _Reader:
    name: str
    tokens: list[re.Match[str]]
    place: int = 0
    read: int = 0

    def either(self) -> Asked:
        parts = [self._together()]
        while self._next() == "or":
            self.place += 1
            parts.append(self._together())
        return parts[0] if len(parts) == 1 else Joined(tuple(parts), all=False)

    def _together(self) -> Asked:
        parts = [self._one()]
        while self._next() not in (None, ")", "or"):
            self.place += self._next() == "and"
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Joined(tuple(parts), all=True)

    def _one(self) -> Asked:
        self.read += 1
        if self._next() in (None, "and", "or") or self.read > MAX_WORDS:
            raise self.wrong()
        found = self.tokens[self.place]
        self.place += 1
        if found["mark"] is None:
            return self._phrase(found["phrase"] if found["word"] is None else found["word"])
        asked = self.either() if found["mark"] == "(" else None
        if asked is None or self._next() != ")":
            raise self.wrong()
        self.place += 1
        return asked

    def _phrase(self, text: str) -> Phrase:
        words = words_of(text)
        if not words:
            raise self.wrong()
        return Phrase(tuple(words), begins=text.endswith("*"))

    def _next(self) -> str | None:
        if self.place == len(self.tokens):
            return None
        found = self.tokens[self.place]
        return found["mark"] or (found["word"] or "").lower()

    def wrong(self) -> BadRequest:
        return BadRequest(
            f'{self.name}: allowed are at most {MAX_WORDS} words, "phrases", beginnings*, joined by and, or, brackets'
        )
