"""`:text` of token parameters, read from the bodies: rows for it would make every write dearer for a rare question.

https://hl7.org/fhir/R4/search.html#token
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from fhir_facade.adapters.embedded.source import Condition
from fhir_facade.fhir.extract import extract_parameter
from fhir_facade.fhir.extract.text import normalise
from fhir_facade.values import Chain, Criterion, Has, Match, SearchQuery, StringValue


def says(type: str, match: Match) -> Condition:
    """Resources with a text or display that begins with one of the values."""
    asked = [normalise(value.text) for value in match.values if isinstance(value, StringValue)]
    alternatives = " OR ".join("fhir_says(body, ?, ?)" for _ in asked)
    args = (type, *(part for text in asked for part in (match.name, text)))
    return Condition("fhir_resource", f"type = ? AND deleted = 0 AND ({alternatives})", args, slow=True)


def enable(connection: sqlite3.Connection, query: SearchQuery) -> None:
    """Give the connection the function that `says` uses, when the query will need it."""
    if _reads_texts([*query.criteria, *(criterion for group in query.any_of for criterion in group)]):
        connection.create_function("fhir_says", 3, _says, deterministic=True)


def _reads_texts(criteria: Iterable[Criterion]) -> bool:
    return any(
        _reads_texts([own.inner]) if isinstance(own, Chain | Has) else own.kind == "token" and own.modifier == "text"
        for own in criteria
    )


def _says(body: bytes, name: str, text: str) -> bool:
    texts = extract_parameter(msgspec.json.decode(body), name).texts
    return any(row.text.startswith(text) for row in texts)
