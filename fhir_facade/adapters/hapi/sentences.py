"""What HAPI says of a refusal, in the words of the embedded store where that has some, and never with what is inside.

HAPI names its codes (`HAPI-0450`), Java classes, tables and statements. What tells a caller nothing else stays here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from fhir_facade.fhir.extract import extract
from fhir_facade.fhir.extract.local import local_targets
from fhir_facade.values import Write

_CODE: Final = re.compile(r"HAPI-\d{4}: ?")
_INSIDE: Final = re.compile(
    r"\b(?:[a-z]\w*\.){2,}[A-Z$]\w*"  # ca.uhn.fhir.parser.DataFormatException
    r"|\b\w+(?:Exception|Error|Impl|Svc|Dao)\b"
    r"|\bHAPI-|\bHFJ_|\bSPIDX|\bSearch ID\b"
    r"|\b(?:SQL|JPA|(?i:jdbc|hibernate|postgresql|lucene|elasticsearch))\b"
)
_NOT_THERE: Final = re.compile(r"Resource (\w+/[A-Za-z0-9.-]+) (?:not found|is deleted|previously cached)")
_REFERENCED: Final = "has a reference to this resource"
_REFERRED_TO: Final = re.compile(r"Unable to delete (\S+) because .* resource (\S+) in path")


def without_inside(said: str) -> str:
    """The sentence without codes; nothing where it names more of what is inside."""
    told = _CODE.sub("", said)
    return "" if _INSIDE.search(told) else told


def referred_to(said: str) -> str | None:
    """Of a delete that would leave a reference to nothing; None of another conflict."""
    if _REFERENCED not in said:
        return None
    named = _REFERRED_TO.search(said)
    return f"{named[1]} cannot be deleted: {named[2]} {_REFERENCED}" if named else without_inside(said)


def dangling(said: str, writes: Sequence[Write]) -> str:
    """Of a write that refers to what is not there."""
    named = _NOT_THERE.search(said)
    target = named[1] if named else ""
    source = next((write.ref for write in writes if target and _refers(write, target)), writes[0].ref)
    return f"{source} refers to {target or 'something'}, which is not there: create it first or correct the reference"


def _refers(write: Write, target: str) -> bool:
    if write.kind == "delete" or target.encode() not in write.body:
        return False
    return target in local_targets(extract(dict(write.resource), texts=False), write.ref.type)
