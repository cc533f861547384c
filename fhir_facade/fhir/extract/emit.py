"""Which emitter serves which kind of parameter and type of element (https://hl7.org/fhir/R4/search.html#table)."""

from __future__ import annotations

from functools import cache
from typing import Final

from fhir_facade.fhir.extract import amounts, strings, targets, times, tokens
from fhir_facade.fhir.extract.emitting import Build, Emit, Names

_NAME_PARTS: Final = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS: Final = ("text", "line", "city", "district", "state", "postalCode", "country")

_EMITTERS: Final[dict[tuple[str, str], Build]] = {
    ("token", "Coding"): tokens.coding,
    ("token", "CodeableConcept"): tokens.concept,
    ("token", "Identifier"): tokens.identifier,
    ("token", "ContactPoint"): tokens.contact,
    ("token", "boolean"): tokens.boolean,
    ("text", "Coding"): tokens.coding_text,
    ("text", "CodeableConcept"): tokens.concept_text,
    ("text", "Identifier"): tokens.identifier_text,
    ("string", "string"): strings.string,
    ("string", "markdown"): strings.string,
    ("string", "HumanName"): strings.parts(_NAME_PARTS),
    ("string", "Address"): strings.parts(_ADDRESS_PARTS),
    ("uri", "uri"): strings.uri,
    ("uri", "url"): strings.uri,
    ("uri", "canonical"): strings.canonical,
    ("date", "date"): times.date,
    ("date", "dateTime"): times.date,
    ("date", "instant"): times.date,
    ("date", "Period"): times.span(times.period_span),
    ("date", "Timing"): times.span(times.timing_span),
    ("number", "decimal"): amounts.numbers,
    ("number", "integer"): amounts.numbers,
    ("number", "Range"): amounts.number_range,
    ("quantity", "Quantity"): amounts.quantity,
    ("quantity", "Age"): amounts.quantity,
    ("quantity", "Duration"): amounts.quantity,
    ("quantity", "Money"): amounts.money,
    ("quantity", "Range"): amounts.quantity_range,
    ("quantity", "SampledData"): amounts.sampled,
    ("reference", "canonical"): targets.canonical_reference,
    ("reference", "uri"): targets.canonical_reference,
    ("reference", "Resource"): targets.inline,
}
_CODES: Final = frozenset({"code", "id", "string", "uri"})


@cache
def emitter(kind: str, fhir_type: str, names: Names, system: str = "") -> Emit | None:
    """The function that indexes values of `fhir_type` for the parameters `names`; None where R4 pairs no such two."""
    if kind == "token" and fhir_type in _CODES:
        return tokens.code(names, system)
    build = _EMITTERS.get((kind, fhir_type))
    return build(names) if build is not None else None
