"""Every sentence a person reads, by language and key: `messages/<language>.json`, English complete.

https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

DEFAULT: Final = "en"
LANGUAGES: Final = ("en", "de")

Text = Callable[..., str]
"""`text(key, **values)`: the sentence with its values filled in."""


def language_of(accept_language: str | None) -> str:
    """The best of our languages for an Accept-Language header; English when nothing fits."""
    return asked_language(accept_language) or DEFAULT


def asked_language(accept_language: str | None) -> str | None:
    """The best of our languages that an Accept-Language header names; None when it names none of them."""
    weighed = [_weigh(part, order) for order, part in enumerate((accept_language or "").split(","))]
    wanted = sorted((weight, order, name) for weight, order, name in weighed if name in LANGUAGES and weight < 0)
    return wanted[0][2] if wanted else None


def texts(language: str) -> Text:
    """The texts of one language. KeyError for a key that no catalogue has: that is a mistake in a page."""
    catalogue, english = messages(language), messages(DEFAULT)

    def text(key: str, **values: object) -> str:
        return (catalogue.get(key) or english[key]).format(**values)

    return text


@cache
def messages(language: str) -> Mapping[str, str]:
    """The catalogue of one of `LANGUAGES`."""
    source = files("fhir_facade.api").joinpath("messages", f"{language}.json")
    return msgspec.json.decode(source.read_bytes(), type=dict[str, str])


def _weigh(part: str, order: int) -> tuple[float, int, str]:
    """The negative weight first, so that sorting puts the best first; a broken weight counts as zero."""
    tag, _, parameter = part.partition(";")
    name, _, weight = parameter.strip().partition("=")
    try:
        quality = float(weight) if name == "q" else 1.0
    except ValueError:
        quality = 0.0
    return -quality, order, tag.strip().lower().partition("-")[0]
