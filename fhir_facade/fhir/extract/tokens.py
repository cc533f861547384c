"""Emitters of token parameters and of their `:text` (https://hl7.org/fhir/R4/search.html#token)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_facade.fhir.extract.emitting import Emit, Names, listed
from fhir_facade.fhir.extract.rows import IndexRows, StringRow, TokenRow
from fhir_facade.fhir.extract.text import normalise


def coding(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if not isinstance(value, dict):
            return
        system, code = value.get("system"), value.get("code")
        if system is not None or code is not None:
            rows.tokens.extend([TokenRow(name, system, code) for name in names])

    return emit


def concept(names: Names) -> Emit:
    each = coding(names)

    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict):
            for item in listed(value.get("coding")):
                each(item, rows)

    return emit


def identified(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if not isinstance(value, dict):
            return
        system, code = value.get("system"), value.get("value")
        if system is not None or code is not None:
            rows.tokens.extend([TokenRow(name, system, code) for name in names])

    return emit


def identifier(names: Names) -> Emit:
    plain = identified(names)

    def emit(value: Any, rows: IndexRows) -> None:
        plain(value, rows)
        if not isinstance(value, dict) or "value" not in value:
            return
        for kind in _codings(value.get("type")):
            typed = f"{kind.get('code', '')}|{value['value']}"
            rows.tokens.extend([TokenRow(f"{name}:of-type", kind.get("system"), typed) for name in names])

    return emit


def _codings(concept: Any) -> Iterable[dict[str, Any]]:
    if not isinstance(concept, dict):
        return []
    return [item for item in listed(concept.get("coding")) if isinstance(item, dict)]


def contact(names: Names) -> Emit:
    """The contact's own system (phone, email) stands as the token's system, as HAPI has it."""

    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict) and "value" in value:
            rows.tokens.extend([TokenRow(name, value.get("system"), value["value"]) for name in names])

    return emit


def code(names: Names, system: str) -> Emit:
    implied = system or None

    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, str):
            rows.tokens.extend([TokenRow(name, implied, value) for name in names])

    return emit


def boolean(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, bool):
            rows.tokens.extend([TokenRow(name, None, "true" if value else "false") for name in names])

    return emit


# --- :text ---------------------------------------------------------------------------------------------------------


def _text_rows(names: Names, text: Any, rows: IndexRows) -> None:
    if isinstance(text, str) and text:
        folded = normalise(text)
        rows.texts.extend([StringRow(name, folded, text) for name in names])


def coding_text(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict):
            _text_rows(names, value.get("display"), rows)

    return emit


def concept_text(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict):
            _text_rows(names, value.get("text"), rows)
            for item in _codings(value):
                _text_rows(names, item.get("display"), rows)

    return emit


def identifier_text(names: Names) -> Emit:
    kind = concept_text(names)

    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict):
            kind(value.get("type"), rows)

    return emit
