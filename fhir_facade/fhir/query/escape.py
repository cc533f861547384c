r"""Separators in search values and their escapes `\,` `\$` `\|` `\\` (https://hl7.org/fhir/R4/search.html#escaping)."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"[,$|\\]")
_ESCAPED = re.compile(r"\\([,$|\\])")


def split(raw: str, separator: str) -> list[str]:
    """Parts between unescaped separators, still escaped; one part when there is none."""
    if "\\" not in raw:
        return raw.split(separator)
    parts: list[str] = []
    start = place = 0
    while place < len(raw):
        if raw[place] == "\\":
            place += 2
            continue
        if raw[place] == separator:
            parts.append(raw[start:place])
            start = place + 1
        place += 1
    parts.append(raw[start:])
    return parts


def escape(text: str) -> str:
    """The text as it stands in a search value."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def unescape(raw: str) -> str:
    """A backslash before anything else stands for itself."""
    return raw if "\\" not in raw else _ESCAPED.sub(r"\1", raw)
