"""`CodeSystem/$lookup`: what a code means. https://hl7.org/fhir/R4/codesystem-operation-lookup.html"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fhir_facade.errors import BadRequest, NotFound
from fhir_facade.fhir.operations import Inputs
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.terms import Coded, coded_of, in_language, named, record_question
from fhir_facade.values import FhirResponse, JsonObject
from terminology.concept import Concept
from terminology.concepts import concepts_of

Told = dict[str, Any]


async def lookup(call: Call, inputs: Inputs) -> FhirResponse:
    """Parameters with name, display, designations and properties. NotFound for a code that its system does not have,
    or a system that nobody knows here."""
    (asked,) = coded_of(inputs, system=inputs.text("system"))
    if asked.system is None:
        raise BadRequest("$lookup needs the system of the code", expression="system")
    system = await named(call, "CodeSystem", asked.system, asked.version)
    concept = next((one for one in concepts_of(system) if one.code == asked.code), None)
    await record_question(call)
    if concept is None:
        raise _unknown(asked, system)
    language = inputs.text("displayLanguage") or inputs.text("language")
    told = [*_told(concept, system, language), *_properties(concept, inputs.texts("property"))]
    return FhirResponse(200, msgspec.json.encode({"resourceType": "Parameters", "parameter": told}))


def _unknown(asked: Coded, system: JsonObject) -> NotFound:
    part = ", of which only a part is known here" if system.get("content") == "fragment" else ""
    return NotFound(f"there is no code '{asked.code}' in {asked.system}{part}")


def _told(concept: Concept, system: JsonObject, language: str | None) -> Iterator[Told]:
    yield {"name": "name", "valueString": system.get("title") or system.get("name") or concept.system}
    if "version" in system:
        yield {"name": "version", "valueString": system["version"]}
    yield {"name": "display", "valueString": in_language(concept, language) or concept.code}
    for one in concept.designations:
        yield {"name": "designation", "part": [*_designation(one)]}


def _designation(one: JsonObject) -> Iterator[Told]:
    for name, member in (("language", "valueCode"), ("use", "valueCoding"), ("value", "valueString")):
        if name in one:
            yield {"name": name, member: one[name]}


def _properties(concept: Concept, wanted: tuple[str, ...]) -> Iterator[Told]:
    """Those that were asked for; all without a wish. https://hl7.org/fhir/R4/codesystem.html#properties"""
    for code, member, value in _valued(concept):
        if not wanted or code in wanted:
            yield {"name": "property", "part": [{"name": "code", "valueCode": code}, {"name": "value", member: value}]}


def _valued(concept: Concept) -> Iterator[tuple[str, str, Any]]:
    if concept.definition is not None:
        yield "definition", "valueString", concept.definition
    for above in concept.parents:
        yield "parent", "valueCode", above
    for below in concept.below:
        yield "child", "valueCode", below
    for one in concept.properties:
        yield from ((one.get("code", ""), name, value) for name, value in one.items() if name.startswith("value"))
