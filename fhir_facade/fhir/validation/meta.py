"""What a resource is marked with: it is found by that, so it has to fit into an index of every store.

https://hl7.org/fhir/R4/resource.html#Meta; R4 itself has no limit. HAPI on PostgreSQL has room for 2,704 bytes in an
index, in which the system, the code and the version of a tag stand together; a `meta.source` it would cut in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_facade.fhir.validation.walk import Findings

MAX_BYTES = 768


def look_at_meta(meta: Mapping[str, Any], found: Findings) -> None:
    """Check what tags, labels, profiles and the source are found by. Their display may be of any length."""
    for path, text in _marks(meta):
        if len(text.encode()) > MAX_BYTES:
            found.add("too-long", None, f"has more than {MAX_BYTES} bytes: shorten it.", f".meta.{path}")


def _marks(meta: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("tag", "security"):
        for index, coding in enumerate(meta.get(name, ())):
            for part in ("system", "version", "code"):
                yield f"{name}[{index}].{part}", coding.get(part, "")
    for index, profile in enumerate(meta.get("profile", ())):
        yield f"profile[{index}]", profile or ""
    yield "source", meta.get("source", "")
