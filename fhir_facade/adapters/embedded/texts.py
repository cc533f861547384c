"""`:text` of token parameters, read from the bodies: rows for it would make every write dearer for a rare question.

https://hl7.org/fhir/R4/search.html#token
"""

from __future__ import annotations

import msgspec

from fhir_facade.adapters.embedded.source import Condition
from fhir_facade.fhir.extract import extract_parameter
from fhir_facade.fhir.extract.text import normalise
from fhir_facade.values import Match, StringValue


def says(type: str, match: Match) -> Condition:
    """Resources with a text or display that begins with one of the values."""
    asked = [normalise(value.text) for value in match.values if isinstance(value, StringValue)]
    alternatives = " OR ".join("fhir_says(body, ?, ?)" for _ in asked)
    args = (type, *(part for text in asked for part in (match.name, text)))
    return Condition("fhir_resource", f"type = ? AND deleted = 0 AND ({alternatives})", args, slow=True)


def says_so(body: bytes, name: str, text: str) -> bool:
    """Whether a text or display of the parameter begins with the normalised text; `fhir_says` in SQL."""
    texts = extract_parameter(msgspec.json.decode(body), name).texts
    return any(row.text.startswith(text) for row in texts)
