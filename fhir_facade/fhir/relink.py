"""References exchanged inside the bytes of a resource, with everything around them left as it was written.

https://hl7.org/fhir/R4/http.html#trules (transaction references)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_STRING_AND_COLON = re.compile(_STRING + rb"(\s*:)?")
_REFERENCE = re.compile(rb'"(reference)"(\s*:\s*)(' + _STRING + rb")")
# Members whose type is uri, url, oid or uuid wherever R4 uses the name; canonical stays as it is.
_LINK_MEMBERS = (
    rb"reference|url|uri|system|valueUri|valueUrl|valueOid|valueUuid|fullUrl|implicitRules|instantiatesUri"
    rb"|definitionUri|derivedFromUri|authorizationUrl|onlineInformation|relativePath|rendering|div"
)
_LINK = re.compile(rb'"(' + _LINK_MEMBERS + rb')"(\s*:\s*)(' + _STRING + rb")")
_XHTML_LINK = re.compile(r"""(?<=\s)((?:href|src)\s*=\s*)(["'])(.*?)\2""")

_DECODER = msgspec.json.Decoder(str)


def with_references(body: bytes, replace: Mapping[str, str]) -> bytes:
    """`body` with references exchanged: every string equal to a key of `replace` where it is a Reference.reference.

    Keys that start with `urn:` are also exchanged in members of type uri, url, oid or uuid and in links of the
    narrative, as a transaction demands; identifiers, canonicals and all other bytes stay.
    https://hl7.org/fhir/R4/http.html#trules
    """
    if not replace:
        return body
    pattern = _LINK if any(key.startswith("urn:") for key in replace) else _REFERENCE
    return pattern.sub(_replacer(replace), _plain_names(body))


def _replacer(replace: Mapping[str, str]) -> Callable[[re.Match[bytes]], bytes]:
    def exchange(found: re.Match[bytes]) -> bytes:
        start = found.start()
        if found.string[start - 1 : start] == b"\\":  # the end of a longer name: "say \"reference"
            return found.group()
        name, colon, token = found.groups()
        value = _DECODER.decode(token)
        new = _relinked(value, replace) if name == b"div" else _exchanged(name, value, replace)
        return found.group() if new == value else b'"' + name + b'"' + colon + msgspec.json.encode(new)

    return exchange


def _exchanged(name: bytes, value: str, replace: Mapping[str, str]) -> str:
    if name != b"reference" and not value.startswith("urn:"):
        return value
    return replace.get(value, value)


def _relinked(xhtml: str, replace: Mapping[str, str]) -> str:
    def relink(found: re.Match[str]) -> str:
        attribute, quote, value = found.groups()
        return f"{attribute}{quote}{_exchanged(b'div', value, replace)}{quote}"

    return _XHTML_LINK.sub(relink, xhtml)


def _plain_names(body: bytes) -> bytes:
    """Member names written with escapes (`"referenc\\u0065"`) as plain names, so that they can be found."""
    if b"\\u00" not in body:
        return body

    def plain(found: re.Match[bytes]) -> bytes:
        token = found.group()
        if found.group(1) is None or b"\\u00" not in token:
            return token
        name = token[: found.start(1) - found.start()]
        return msgspec.json.encode(_DECODER.decode(name)) + found.group(1)

    return _STRING_AND_COLON.sub(plain, body)
