"""JSON only: what is asked for, what is sent, and how it looks. https://hl7.org/fhir/R4/http.html#mime-type"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from fhir_facade.api.wire import Answer
from fhir_facade.errors import NotAcceptable, UnsupportedFormat
from fhir_facade.fhir.media_types import FHIR_JSON, JSON_TYPES, ONLY_JSON, VERSIONS, check_format, is_taken, media
from fhir_facade.fhir.patch import PATCH_FORMATS

CONTENT_TYPE: Final = f"{FHIR_JSON}; charset=utf-8".encode()
_PATCHES = frozenset((*PATCH_FORMATS, "application/json"))
_CHARSETS = frozenset(("utf-8", "utf8"))


@lru_cache(maxsize=256)
def check_accept(accept: str | None, format: str | None) -> None:
    """NotAcceptable unless JSON is among what is wanted. `_format` overrules the header; a browser's wish for HTML is
    answered with JSON as long as it takes anything else too."""
    if format:
        check_format(format)
    elif not any(is_taken(part) for part in (accept or "").split(",")):
        raise NotAcceptable(f"'{accept}' {ONLY_JSON}")


@lru_cache(maxsize=256)
def check_content_type(content_type: str | None, *, patch: bool) -> None:
    """UnsupportedFormat for XML and everything else that is no JSON of R4 in UTF-8. A missing type is read as JSON."""
    essence, parameters = media(content_type or "")
    known = _PATCHES if patch else JSON_TYPES
    if essence and essence not in known:
        raise UnsupportedFormat(f"'{essence}' cannot be read here: send one of {', '.join(sorted(known))}")
    if parameters.get("fhirversion", "4.0") not in VERSIONS:
        raise UnsupportedFormat(f"FHIR {parameters['fhirversion']} cannot be read here: send resources of FHIR 4.0")
    if parameters.get("charset", "utf-8").lower() not in _CHARSETS:
        raise UnsupportedFormat(f"'{parameters['charset']}' cannot be read here: send JSON as UTF-8")


def pretty(answer: Answer) -> Answer:
    """The body indented; digits stay as they are."""
    if not answer.body:
        return answer
    return msgspec.structs.replace(answer, body=msgspec.json.format(answer.body, indent=2))
