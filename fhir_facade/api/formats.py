"""JSON only: what is asked for, what is sent, and how it looks. https://hl7.org/fhir/R4/http.html#mime-type"""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import msgspec

from fhir_facade.api.wire import Answer
from fhir_facade.errors import NotAcceptable, UnsupportedFormat

FHIR_JSON = b"application/fhir+json; charset=utf-8"
_JSON = frozenset(("application/fhir+json", "application/json", "application/json+fhir", "text/json", "json"))
_ANY = frozenset(("*/*", "application/*", "text/*", ""))
_PATCHES = frozenset(
    (
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/fhir+json",
        "application/json",
    )
)


@lru_cache(maxsize=256)
def check_accept(accept: str | None, format: str | None) -> None:
    """NotAcceptable unless JSON is among what is wanted. `_format` overrules the header; a browser's wish for HTML is
    answered with JSON as long as it takes anything else too."""
    if format:
        if format.replace(" ", "+").partition(";")[0].lower() not in _JSON:
            raise NotAcceptable(f"_format={format} is not available: this server speaks JSON (application/fhir+json)")
        return
    wanted = [part.partition(";")[0].strip().lower() for part in (accept or "").split(",")]
    if not any(part in _JSON or part in _ANY or part.startswith("application/json") for part in wanted):
        raise NotAcceptable(f"'{accept}' is not available: this server speaks JSON (application/fhir+json)")


def check_content_type(content_type: str, *, patch: bool) -> None:
    """UnsupportedFormat for XML and everything else that is no JSON. A missing type is read as JSON."""
    known = _PATCHES if patch else _JSON
    if content_type and content_type not in known:
        raise UnsupportedFormat(f"'{content_type}' cannot be read here: send one of {', '.join(sorted(known))}")


def pretty(answer: Answer) -> Answer:
    """The body indented; digits stay as they are."""
    if not answer.body:
        return answer
    return dataclasses.replace(answer, body=msgspec.json.format(answer.body, indent=2))
