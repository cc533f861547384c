"""The formats of the FHIR primitive types as JSON schema (draft 4), exact where the official schema is loose.

https://hl7.org/fhir/R4/datatypes.html#primitive
"""

from __future__ import annotations

from typing import Any

from fhir_facade.fhir.references import ID_FORM

_YEAR = "(?:[0-9][0-9][0-9][1-9]|[0-9][0-9][1-9]0|[0-9][1-9]00|[1-9]000)"
_LEAP_YEAR = "(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
# Days that exist: 31 in the long months, 30 in the short ones, 28 in February and 29 in leap years.
_MONTH_DAY = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_DAY = f"(?:{_YEAR}-{_MONTH_DAY}|{_LEAP_YEAR}-02-29)"
_MONTH = f"{_YEAR}(?:-(?:0[1-9]|1[0-2]))?"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_BASE64_QUAD = r"(?:\s*[A-Za-z0-9+/]){4}"
_BASE64_END = r"(?:(?:\s*[A-Za-z0-9+/]){2}(?:\s*=){2}|(?:\s*[A-Za-z0-9+/]){3}\s*=|" + _BASE64_QUAD + ")"
_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]+$"
_UUID = "urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_MAX_INT = 2**31 - 1


def _string(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern}


PRIMITIVES: dict[str, dict[str, Any]] = {
    "base64Binary": _string(f"^(?:{_BASE64_QUAD})*{_BASE64_END}\\s*$"),
    "boolean": {"type": "boolean"},
    "canonical": _string(r"^\S+$"),
    "code": _string(r"^\S+(?: \S+)*$"),
    "date": _string(f"^(?:{_MONTH}|{_DAY})$"),
    "dateTime": _string(f"^(?:{_MONTH}|{_DAY}(?:T{_TIME}{_ZONE})?)$"),
    "decimal": {"type": "number"},
    "elementId": _string(r"^\S+$"),
    "id": _string(f"^{ID_FORM}$"),
    "instant": _string(f"^{_DAY}T{_TIME}{_ZONE}$"),
    "integer": {"type": "integer", "minimum": -_MAX_INT - 1, "maximum": _MAX_INT},
    "markdown": _string(_TEXT),
    "oid": _string(r"^urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+$"),
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": _MAX_INT},
    "string": _string(_TEXT),
    "time": _string(f"^{_TIME}$"),
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": _MAX_INT},
    "uri": _string(r"^\S+$"),
    "url": _string(r"^\S+$"),
    "uuid": _string(f"^{_UUID}$"),
    "xhtml": _string(r"^\s*<div[\s>/]"),
}

CODE_SHAPES: dict[str, dict[str, Any]] = {
    "currency": _string(r"^[A-Z]{3}$"),
    "mimeType": _string(r"^[^/;\s]+/[^/;\s]+(?: ?;.*)?$"),
}
"""Codes of value sets that are kept elsewhere: ISO 4217 and BCP 13."""

FORMATS: dict[str, str] = {
    "base64Binary": "base64 with its padding",
    "boolean": "true or false, without quotes",
    "canonical": "a URL without spaces, optionally with |version",
    "code": "a code without leading, trailing or doubled spaces",
    "currency": "a currency of three capital letters (ISO 4217)",
    "date": "a day that exists as YYYY-MM-DD, or YYYY-MM, or YYYY",
    "dateTime": "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone (Z or +hh:mm), and a day that exists",
    "decimal": "a number, without quotes",
    "elementId": "a string without spaces",
    "id": "1 to 64 letters, digits, '-' or '.'",
    "instant": "YYYY-MM-DDThh:mm:ss with a zone (Z or +hh:mm), and a day that exists",
    "integer": "a whole number of 32 bits, without quotes or fraction",
    "markdown": "a string that is not empty and has no control characters",
    "mimeType": "a media type like image/png",
    "oid": "urn:oid: and an OID",
    "positiveInt": "a whole number from 1 to 2147483647, without quotes or fraction",
    "string": "a string that is not empty and has no control characters",
    "time": "hh:mm:ss, without a zone",
    "unsignedInt": "a whole number from 0 to 2147483647, without quotes or fraction",
    "uri": "a URI without spaces",
    "url": "a URL without spaces",
    "uuid": "urn:uuid: and a UUID in small letters",
    "xhtml": "an XHTML <div>",
}
