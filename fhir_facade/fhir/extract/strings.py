"""Emitters of string and uri parameters (https://hl7.org/fhir/R4/search.html#string)."""

from __future__ import annotations

from fhir_facade.fhir.extract.emitting import Build, Emit, Names, Values
from fhir_facade.fhir.extract.rows import IndexRows, string_row, uri_row
from fhir_facade.fhir.extract.text import normalise


def string(names: Names) -> Emit:
    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if isinstance(value, str) and value:
                folded = normalise(value)
                for name in names:
                    rows.strings.append(string_row((name, folded, value)))

    return emit


def parts(fields: tuple[str, ...]) -> Build:
    """Every part of a HumanName or Address is a value of its own."""

    def build(names: Names) -> Emit:
        part_of = string(names)

        def emit(values: Values, rows: IndexRows) -> None:
            for value in values:
                if isinstance(value, dict):
                    for field in fields:
                        if field in value:
                            part = value[field]
                            part_of(part if isinstance(part, list) else (part,), rows)

        return emit

    return build


def uri(names: Names) -> Emit:
    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if isinstance(value, str):
                for name in names:
                    rows.uris.append(uri_row((name, value)))

    return emit


def canonical(names: Names) -> Emit:
    """A canonical is found with and without its version."""

    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if isinstance(value, str):
                url, bar, _ = value.partition("|")
                for form in (value, url) if bar else (value,):
                    for name in names:
                        rows.uris.append(uri_row((name, form)))

    return emit
