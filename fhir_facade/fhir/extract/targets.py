"""Emitters of reference parameters (https://hl7.org/fhir/R4/search.html#reference)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from fhir_facade.fhir.extract.emitting import Emit, Names, Values
from fhir_facade.fhir.extract.rows import IndexRows, ReferenceRow, reference_row, token_row
from fhir_facade.fhir.references import parse_reference

LONGEST_KEPT: Final = 200
"""References whose rows are remembered: longer ones would fill the memory."""
_WITHOUT_ROWS: Final = frozenset({"contained", "conditional", "unknown"})


@dataclass(frozen=True, slots=True, eq=False)
class Readers:
    """The parameters that read a reference: always (`names`), or when it says that its target is of a type.

    `where(resolve() is X)` is decided by the literal, else by the Reference's `type`.
    """

    names: Names
    by_type: Mapping[str, Names] = field(default_factory=dict)

    def of(self, fhir_type: str | None) -> Names:
        return self.names + self.by_type.get(fhir_type or "", ())


def _made(readers: Readers, text: str, said: str | None) -> tuple[ReferenceRow, ...]:
    found = parse_reference(text)
    if found.kind in _WITHOUT_ROWS:
        return ()
    local = found.id if found.kind == "relative" else None
    names = readers.of(found.type or said)
    return tuple([reference_row((name, found.type, local, found.version, found.url)) for name in names])


_kept = lru_cache(maxsize=4096)(_made)


def _literal(readers: Readers, text: str, said: str | None = None) -> tuple[ReferenceRow, ...]:
    return _kept(readers, text, said) if len(text) <= LONGEST_KEPT else _made(readers, text, said)


def _logical(readers: Readers, text: Any, said: str | None, identifier: Any, rows: IndexRows) -> None:
    if not isinstance(identifier, dict):
        return
    system, code = identifier.get("system"), identifier.get("value")
    if system is not None or code is not None:
        found = parse_reference(text).type if isinstance(text, str) else None
        for name in readers.of(found or said):
            rows.tokens.append(token_row((f"{name}:identifier", system, code)))


def reference(readers: Readers) -> Emit:
    known = frozenset(readers.by_type)

    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if not isinstance(value, dict):
                continue
            text, said = value.get("reference"), None
            if "type" in value and isinstance(value["type"], str) and value["type"] in known:
                said = value["type"]
            if isinstance(text, str):
                rows.references += _literal(readers, text, said)
            if "identifier" in value:
                _logical(readers, text, said, value["identifier"], rows)

    return emit


def _canonical(names: Names, text: str) -> Iterable[ReferenceRow]:
    """With its version apart, which is "" where none is named."""
    if parse_reference(text).kind in (*_WITHOUT_ROWS, "relative"):
        return _literal(Readers(names), text)
    url, _, version = text.partition("|")
    return [reference_row((name, None, None, version, url)) for name in names]


def canonical_reference(names: Names) -> Emit:

    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if isinstance(value, str):
                rows.references += _canonical(names, value)

    return emit


def inline(names: Names) -> Emit:
    """The resource of a Bundle entry stands for a reference to itself."""
    readers = Readers(names)

    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if isinstance(value, dict) and isinstance(value.get("id"), str):
                rows.references += _literal(readers, f"{value.get('resourceType')}/{value['id']}")

    return emit
