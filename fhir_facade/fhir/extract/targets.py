"""Emitters of reference parameters (https://hl7.org/fhir/R4/search.html#reference)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from fhir_facade.fhir.extract.emitting import Emit, Names
from fhir_facade.fhir.extract.rows import IndexRows, ReferenceRow
from fhir_facade.fhir.extract.tokens import identified
from fhir_facade.fhir.references import Reference, parse_reference

LONGEST_KEPT: Final = 200
"""References that are remembered: longer ones would fill the memory."""
_kept = lru_cache(maxsize=4096)(parse_reference)


def _parsed(text: str) -> Reference:
    return _kept(text) if len(text) <= LONGEST_KEPT else parse_reference(text)


def refers_to(value: Any, fhir_type: str) -> bool:
    """Does the Reference say that its target is of this type? By its literal, else by its `type`."""
    if not isinstance(value, dict):
        return False
    text = value.get("reference")
    said = _parsed(text).type if isinstance(text, str) else None
    return (said or value.get("type")) == fhir_type


def _literal(names: Names, text: str, rows: IndexRows) -> None:
    found = _parsed(text)
    if found.kind in ("contained", "conditional", "unknown"):
        return
    local = found.id if found.kind == "relative" else None
    rows.references.extend([ReferenceRow(name, found.type, local, found.version, found.url) for name in names])


def reference(names: Names) -> Emit:
    logical = identified(tuple(f"{name}:identifier" for name in names))

    def emit(value: Any, rows: IndexRows) -> None:
        if not isinstance(value, dict):
            return
        text = value.get("reference")
        if isinstance(text, str):
            _literal(names, text, rows)
        if "identifier" in value:
            logical(value["identifier"], rows)

    return emit


def canonical_reference(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, str):
            _literal(names, value, rows)

    return emit


def inline(names: Names) -> Emit:
    """The resource of a Bundle entry stands for a reference to itself."""

    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            _literal(names, f"{value.get('resourceType')}/{value['id']}", rows)

    return emit
