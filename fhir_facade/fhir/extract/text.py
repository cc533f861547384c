"""How string parameters compare: without case, accents and repeated white space (https://hl7.org/fhir/R4/search.html#string)."""

from __future__ import annotations

import unicodedata


def normalise(text: str) -> str:
    """Compatibility-decomposed (NFKD), marks removed, case-folded, white space collapsed. Idempotent."""
    if not text.isascii():
        text = _folded(_folded(text))
    return " ".join(text.lower().split())


def _folded(text: str) -> str:
    """One round; folding may make characters that decompose again, hence two rounds above."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()
