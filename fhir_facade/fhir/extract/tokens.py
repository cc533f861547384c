"""Emitters of token parameters and of their `:text` (https://hl7.org/fhir/R4/search.html#token)."""

from __future__ import annotations

from typing import Any

from fhir_facade.fhir.extract.emitting import Emit, Names, Values, listed
from fhir_facade.fhir.extract.rows import IndexRows, string_row, token_row
from fhir_facade.fhir.extract.text import normalise


def _pairs(names: Names, member: str) -> Emit:
    """A system and what it names, either of which may be absent."""

    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if isinstance(value, dict):
                system, code = value.get("system"), value.get(member)
                if system is not None or code is not None:
                    for name in names:
                        rows.tokens.append(token_row((name, system, code)))

    return emit


def coding(names: Names) -> Emit:
    return _pairs(names, "code")


def identified(names: Names) -> Emit:
    return _pairs(names, "value")


def concept(names: Names) -> Emit:
    each = coding(names)

    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if isinstance(value, dict):
                each(listed(value.get("coding")), rows)

    return emit


def identifier(names: Names) -> Emit:
    plain, by_type = identified(names), tuple(f"{name}:of-type" for name in names)

    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            plain((value,), rows)
            if isinstance(value, dict) and "type" in value and "value" in value:
                for kind in _codings(value["type"]):
                    typed = f"{kind.get('code', '')}|{value['value']}"
                    for name in by_type:
                        rows.tokens.append(token_row((name, kind.get("system"), typed)))

    return emit


def _codings(concept: Any) -> list[dict[str, Any]]:
    if not isinstance(concept, dict):
        return []
    return [item for item in listed(concept.get("coding")) if isinstance(item, dict)]


def contact(names: Names) -> Emit:
    """The contact's own system (phone, email) stands as the token's system, as HAPI has it."""

    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if isinstance(value, dict) and "value" in value:
                for name in names:
                    rows.tokens.append(token_row((name, value.get("system"), value["value"])))

    return emit


def code(names: Names, system: str) -> Emit:
    implied = system or None

    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if isinstance(value, str):
                for name in names:
                    rows.tokens.append(token_row((name, implied, value)))

    return emit


_WRITTEN = {True: "true", False: "false"}


def boolean(names: Names) -> Emit:
    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if isinstance(value, bool):
                for name in names:
                    rows.tokens.append(token_row((name, None, _WRITTEN[value])))

    return emit


# --- :text ---------------------------------------------------------------------------------------------------------


def _text_rows(names: Names, text: Any, rows: IndexRows) -> None:
    if isinstance(text, str) and text:
        folded = normalise(text)
        for name in names:
            rows.texts.append(string_row((name, folded, text)))


def coding_text(names: Names) -> Emit:
    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if isinstance(value, dict):
                _text_rows(names, value.get("display"), rows)

    return emit


def concept_text(names: Names) -> Emit:
    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if isinstance(value, dict):
                _text_rows(names, value.get("text"), rows)
                for item in _codings(value):
                    _text_rows(names, item.get("display"), rows)

    return emit


def identifier_text(names: Names) -> Emit:
    kind = concept_text(names)

    def emit(values: Values, rows: IndexRows) -> None:
        kind([value.get("type") for value in values if isinstance(value, dict)], rows)

    return emit
