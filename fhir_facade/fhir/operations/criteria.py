"""Search parameters that came as values of a Parameters resource, written as a search writes them.

https://hl7.org/fhir/R4/operations.html#request, https://hl7.org/fhir/R4/search.html#reference, #token
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fhir_facade.errors import Issue
from fhir_facade.fhir.query.escape import escape

FORMS: Final = "valueReference, valueCoding, valueCodeableConcept, valueIdentifier, or a text as a search has it"


def criterion_of(name: str, member: str | None, value: Mapping[str, Any]) -> tuple[str, str] | Issue:
    """The name and the text of a search parameter; an issue for a value of a type that cannot be searched by, or
    without what is searched by."""
    if member == "valueReference" and "reference" not in value and "identifier" in value:
        return criterion_of(f"{name}:identifier", "valueIdentifier", value["identifier"])
    text = ",".join(_texts(member, value))
    return (name, text) if text else Issue("invalid", f"'{name}' has to be {FORMS}, with something to search by", name)


def _texts(member: str | None, value: Mapping[str, Any]) -> Iterator[str]:
    match member:
        case "valueReference":
            yield escape(value.get("reference", ""))
        case "valueCoding":
            yield _token(value, "code")
        case "valueCodeableConcept":
            yield from filter(None, (_token(coding, "code") for coding in value.get("coding", ())))
        case "valueIdentifier":
            yield _token(value, "value")


def _token(value: Mapping[str, Any], member: str) -> str:
    system, text = escape(value.get("system", "")), escape(value.get(member, ""))
    return f"{system}|{text}" if system else text
