"""JSON only: what is asked for, what is sent, and how it looks. https://hl7.org/fhir/R4/http.html#mime-type"""

from __future__ import annotations

import dataclasses
from email.message import Message
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
_VERSIONS = frozenset(("4.0", "4.0.1"))
_CHARSETS = frozenset(("utf-8", "utf8"))
_ONLY_JSON = "is not available: this server speaks JSON (application/fhir+json) of FHIR 4.0"


@lru_cache(maxsize=256)
def check_accept(accept: str | None, format: str | None) -> None:
    """NotAcceptable unless JSON is among what is wanted. `_format` overrules the header; a browser's wish for HTML is
    answered with JSON as long as it takes anything else too."""
    if format:
        if not _is_taken(format.replace(" ", "+")):
            raise NotAcceptable(f"_format={format} {_ONLY_JSON}")
    elif not any(_is_taken(part) for part in (accept or "").split(",")):
        raise NotAcceptable(f"'{accept}' {_ONLY_JSON}")


def _is_taken(wanted: str) -> bool:
    """Whether one media range asks for what there is: JSON, of R4 where it names a version, and not with q=0."""
    essence, parameters = _media(wanted)
    if essence not in _JSON | _ANY or parameters.get("q", "1").strip("0.") == "":
        return False
    return parameters.get("fhirversion", "4.0") in _VERSIONS


def _media(text: str) -> tuple[str, dict[str, str]]:
    """The essence and the parameters of a media type, names in lower case."""
    essence, _, rest = text.partition(";")
    if not rest:
        return essence.strip().lower(), {}
    message = Message()
    message["content-type"] = text
    found = message.get_params() or []
    return essence.strip().lower(), {name.lower(): value for name, value in found[1:]}


@lru_cache(maxsize=256)
def check_content_type(content_type: str | None, *, patch: bool) -> None:
    """UnsupportedFormat for XML and everything else that is no JSON of R4 in UTF-8. A missing type is read as JSON."""
    essence, parameters = _media(content_type or "")
    known = _PATCHES if patch else _JSON
    if essence and essence not in known:
        raise UnsupportedFormat(f"'{essence}' cannot be read here: send one of {', '.join(sorted(known))}")
    if parameters.get("fhirversion", "4.0") not in _VERSIONS:
        raise UnsupportedFormat(f"FHIR {parameters['fhirversion']} cannot be read here: send resources of FHIR 4.0")
    if parameters.get("charset", "utf-8").lower() not in _CHARSETS:
        raise UnsupportedFormat(f"'{parameters['charset']}' cannot be read here: send JSON as UTF-8")


def pretty(answer: Answer) -> Answer:
    """The body indented; digits stay as they are."""
    if not answer.body:
        return answer
    return dataclasses.replace(answer, body=msgspec.json.format(answer.body, indent=2))
