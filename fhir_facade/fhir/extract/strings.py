"""Emitters of string and uri parameters (https://hl7.org/fhir/R4/search.html#string)."""

from __future__ import annotations

from typing import Any

from fhir_facade.fhir.extract.emitting import Build, Emit, Names
from fhir_facade.fhir.extract.rows import IndexRows, StringRow, UriRow
from fhir_facade.fhir.extract.text import normalise


def string(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, str) and value:
            folded = normalise(value)
            rows.strings.extend([StringRow(name, folded, value) for name in names])

    return emit


def parts(fields: tuple[str, ...]) -> Build:
    """Every part of a HumanName or Address is a value of its own."""

    def build(names: Names) -> Emit:
        part_of = string(names)

        def emit(value: Any, rows: IndexRows) -> None:
            if not isinstance(value, dict):
                return
            for field in fields:
                part = value.get(field)
                for text in part if isinstance(part, list) else (part,):
                    part_of(text, rows)

        return emit

    return build


def uri(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, str):
            rows.uris.extend([UriRow(name, value) for name in names])

    return emit


def canonical(names: Names) -> Emit:
    """A canonical is found with and without its version."""

    def emit(value: Any, rows: IndexRows) -> None:
        if isinstance(value, str):
            url, bar, _ = value.partition("|")
            forms = (value, url) if bar else (value,)
            rows.uris.extend([UriRow(name, form) for form in forms for name in names])

    return emit
