"""Characters that mean something in a search value, or that HAPI takes for something else.

https://hl7.org/fhir/R4/search.html#escaping
"""

from __future__ import annotations

import re

_WILD = re.compile(r"[\\_]")
_SPECIAL = re.compile(r"([\\,$|])")


def escaped(text: str) -> str:
    """The text as one value, whatever is in it."""
    return _SPECIAL.sub(r"\\\1", text)


def pattern(text: str) -> str:
    """A text for which HAPI finds that text only: it takes `_` and the backslash for signs of the database's LIKE, and
    looks for white space as it is; `hapi/` indexes a text with single spaces."""
    return _WILD.sub(r"\\\g<0>", " ".join(text.split()) or text)
