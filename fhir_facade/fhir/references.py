"""Reading, finding and relativising references (https://hl7.org/fhir/R4/references.html#literal).

parse_reference(text, *, base_url=None) -> Reference
references_in(resource) -> Iterator[(path, reference string)]
reference_texts(resource) -> list[reference string]
relative_to(base_url, text) -> str
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from fhir_facade.fhir.definitions.tables import is_resource_type

ID_FORM: Final = "[A-Za-z0-9.-]{1,64}"
"""The one way an id is written; https://hl7.org/fhir/R4/datatypes.html#id"""
ID: Final = re.compile(ID_FORM)
VERSION: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
"""As both stores number them; nothing else is one. HAPI reads `01` as 1, and breaks on what 64 bits do not hold."""
_LITERAL = re.compile(
    r"(?:(?P<base>[a-z][a-z0-9+.\-]*://[^\s?#]+)/)?"
    rf"(?P<type>[A-Z][A-Za-z]+)/(?P<id>{ID_FORM})(?:/_history/(?P<version>{ID_FORM}))?",
    re.ASCII,
)
_CONDITIONAL = re.compile(r"(?P<type>[A-Z][A-Za-z]+)\?(?P<query>.+)", re.ASCII | re.DOTALL)

_CONTAINERS = (dict, list)
_WRITTEN = re.compile(rb'"reference"\s*:\s*"([^"]*)"')
_ESCAPED = re.compile(rb'"reference"(?<!\\"reference")\s*:\s*("[^"\\]*(?:\\.[^"\\]*)*")')
_LETTER = re.compile(rb"\\u00[67]")
_Trail = tuple["_Trail | None", str | int]

ReferenceKind = Literal["relative", "absolute", "urn", "contained", "conditional", "canonical", "unknown"]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a reference string says.

    relative: `type`, `id`, perhaps `version`. absolute: the same, and `url` as written (another server).
    urn: `url` (urn:uuid, urn:oid). contained: `id` without `#` ("" is the container). conditional: `type`, `query`.
    canonical: `url` without `|version`, `version`. unknown: `url` holds the text.
    """

    kind: ReferenceKind
    type: str | None = None
    id: str | None = None
    version: str | None = None
    url: str | None = None
    query: str | None = None


def parse_reference(text: str, *, base_url: str | None = None) -> Reference:
    """Never fails: what is none of the known forms is `unknown`. URLs below `base_url` are relative."""
    if text.startswith("#"):
        return Reference("contained", id=text[1:])
    if text.startswith("urn:"):
        return Reference("urn", url=text)
    if base_url is not None:
        text = relative_to(base_url, text)
    found = _LITERAL.fullmatch(text)
    if found is not None and is_resource_type(found["type"]):
        kind: ReferenceKind = "absolute" if found["base"] else "relative"
        return Reference(kind, found["type"], found["id"], found["version"], text if found["base"] else None)
    return _other(text)


def _other(text: str) -> Reference:
    found = _CONDITIONAL.fullmatch(text)
    if found is not None and is_resource_type(found["type"]):
        return Reference("conditional", found["type"], query=found["query"])
    if ":" not in text:
        return Reference("unknown", url=text)
    url, _, version = text.partition("|")
    return Reference("canonical", url=url, version=version or None)


def relative_to(base_url: str, text: str) -> str:
    """`text` without our base when it is a URL of a resource below it, else unchanged."""
    base = base_url.rstrip("/") + "/"
    return text[len(base) :] if text.startswith(base) and len(text) > len(base) else text


def reference_texts(resource: Any, body: bytes = b"") -> list[str]:
    """What `references_in` finds, in no order and without the paths: several times as fast.

    `body` is the same resource as it was written. A quoted name before a colon is a member and nothing else (within a
    string its second quote would be escaped), so that the bytes tell without a walk, unless letters are escaped.
    """
    if body and b"\\" not in body:
        return [text.decode() for text in _WRITTEN.findall(body)]
    if body and not _LETTER.search(body):
        return [str(msgspec.json.decode(quoted)) for quoted in _ESCAPED.findall(body)]
    found: list[str] = []
    stack = [resource]
    while stack:
        value = stack.pop()
        if type(value) is dict:
            text = value.get("reference")
            if type(text) is str:
                found.append(text)
            value = value.values()
        stack.extend([item for item in value if type(item) in _CONTAINERS])
    return found


def references_in(resource: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string member named `reference` of any object, also in contained resources and extensions.

    Paths look like `Observation.performer[0].reference`, rooted at the resource type unless `path` is given.
    """
    start = path or (str(resource.get("resourceType", "")) if isinstance(resource, dict) else "")
    stack: list[tuple[_Trail, Any]] = [((None, start), resource)]
    while stack:
        here, value = stack.pop()
        if isinstance(value, dict):
            found = value.get("reference")
            if isinstance(found, str):
                yield _path((here, "reference")), found
            below = [((here, key), item) for key, item in value.items() if isinstance(item, _CONTAINERS)]
        else:
            below = [((here, place), item) for place, item in enumerate(value) if isinstance(item, _CONTAINERS)]
        stack.extend(reversed(below))


def _path(trail: _Trail | None) -> str:
    """Written only for what is found: most elements are no references."""
    steps: list[str] = []
    while trail is not None:
        trail, step = trail
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}" if step else "")
    return "".join(reversed(steps)).removeprefix(".")
