"""Search parameters as the query of a URL, and back. https://url.spec.whatwg.org/#application/x-www-form-urlencoded

What `urllib.parse` does, without doing it again for names and values that come with every request.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote_plus, unquote_plus

LONGEST_KEPT = 128


def query_text(pairs: Iterable[tuple[str, str]], safe: str = "") -> str:
    """`name=value&…`, escaped but for the characters of `safe`."""
    return "&".join([f"{_quoted(name, safe)}={_quoted(value, safe)}" for name, value in pairs])


def query_pairs(text: str) -> list[tuple[str, str]]:
    """Names and values in order; a name without a value has the empty one."""
    pairs = [part.partition("=") for part in text.split("&") if part]
    return [(_unquoted(name), _unquoted(value)) for name, _, value in pairs]


def _quoted(text: str, safe: str) -> str:
    return quote_plus(text, safe) if len(text) > LONGEST_KEPT else _known(text, safe)


@lru_cache(maxsize=4096)
def _known(text: str, safe: str) -> str:
    return quote_plus(text, safe)


def _unquoted(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text
