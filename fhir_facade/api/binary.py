"""The content of a Binary on the wire: as it is, in its own media type, where nobody asks for the resource around it.

https://hl7.org/fhir/R4/binary.html#rest
"""

from __future__ import annotations

import base64
import re
from typing import Final

import msgspec

from fhir_facade.api.wire import Answer, Headers, text
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.media_types import JSON_TYPES, media
from fhir_facade.fhir.routes import Route
from fhir_facade.values import Interaction

BINARY: Final = "Binary"
ANY_BYTES: Final = "application/octet-stream"
_READS: Final = frozenset((Interaction.READ, Interaction.VREAD))
_WRITES: Final = frozenset((Interaction.CREATE, Interaction.UPDATE))
_OTHER_FORMATS: Final = frozenset(
    (
        *("application/fhir+xml", "application/xml+fhir", "application/xml", "text/xml", "xml"),
        *("application/fhir+turtle", "text/turtle", "ttl"),
    )
)
"""What a resource could be written in elsewhere."""
_PLAIN_JSON: Final = frozenset(("application/json", "text/json"))
_PLAIN_XML: Final = frozenset(("application/xml", "text/xml"))
_FHIR_TYPES: Final = JSON_TYPES | frozenset(each for each in _OTHER_FORMATS if "fhir" in each)
_MEDIA_TYPE: Final = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:;[\x20-\x7e]*)?", re.ASCII)
_BINARY_IN_XML: Final = re.compile(
    rb"[^<]*(?:<[?!][^>]*>[^<]*)*<(?:[\w.-]+:)?Binary\b[^>]*[\"']http://hl7\.org/fhir[\"']", re.ASCII
)
"""After what may stand before it: a declaration, comments."""
_CONTENT_HEADERS: Final = {
    b"content-disposition": b"attachment",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; sandbox",
}


class _Named(msgspec.Struct, rename="camel"):
    resource_type: str = ""


def brings_content(where: Route, content_type: str | None, body: bytes) -> bool:
    """Whether the body is the content of a Binary, and no resource. What is in a format of FHIR is never taken for
    content; other JSON and XML is, unless it is a Binary itself."""
    if where.type != BINARY or where.interaction not in _WRITES or not _MEDIA_TYPE.fullmatch(content_type or ""):
        return False
    essence = media(content_type or "")[0]
    if essence in _PLAIN_JSON:
        return _is_other_json(body)
    if essence in _PLAIN_XML:
        return _BINARY_IN_XML.match(body) is None
    return essence not in JSON_TYPES | _OTHER_FORMATS


def _is_other_json(body: bytes) -> bool:
    """Not of what is no JSON at all: it may have been meant for a Binary."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
        return msgspec.json.decode(body, type=_Named).resource_type != BINARY
    except msgspec.ValidationError:  # a list, a number: JSON, and no resource
        return True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def with_content(where: Route, content: bytes, headers: Headers) -> bytes:
    """The Binary that holds it. `X-Security-Context` says whose it is."""
    binary: dict[str, object] = {"resourceType": BINARY, "contentType": text(headers, b"content-type")}
    if where.id is not None:
        binary["id"] = where.id
    context = text(headers, b"x-security-context")
    if context is not None:
        binary["securityContext"] = {"reference": context}
    return msgspec.json.encode({**binary, "data": base64.b64encode(content).decode()})


def wants_content(where: Route, accept: str | None, query: bytes) -> bool:
    """Whether a read is about the content: no format of FHIR is named, and nothing is said about the resource."""
    if where.type != BINARY or where.interaction not in _READS or query:
        return False
    return not any(_names_fhir(part) for part in (accept or "").split(","))


def _names_fhir(wanted: str) -> bool:
    essence, parameters = media(wanted)
    return essence in _FHIR_TYPES and parameters.get("q", "1").strip("0.") != ""


def as_content(answer: Answer) -> Answer:
    """The content instead of the Binary; a browser shows and runs nothing of it. What says no media type that a header
    can tell is plain bytes."""
    binary = parse_stored(answer.body)
    said = str(binary.get("contentType", ""))
    own = {**_CONTENT_HEADERS, b"content-type": (said if _MEDIA_TYPE.fullmatch(said) else ANY_BYTES).encode()}
    headers = [*own.items(), *(header for header in answer.headers if header[0] not in own)]
    return Answer(answer.status, base64.b64decode(binary.get("data", "")), headers)
