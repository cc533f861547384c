"""`$validate-code`: whether a code is of a code system, or in a value set.

https://hl7.org/fhir/R4/codesystem-operation-validate-code.html,
https://hl7.org/fhir/R4/valueset-operation-validate-code.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fhir_facade.fhir.operations import Inputs
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.terms import (
    Coded,
    chosen,
    coded_of,
    expanded,
    in_language,
    record_question,
)
from fhir_facade.values import FhirResponse, JsonObject
from terminology.concept import Concept
from terminology.concepts import concepts_of


async def validate_code_of_system(call: Call, inputs: Inputs) -> FhirResponse:
    """`result`, with a `message` when it is false, and the right `display` of a code that is there."""
    system = await chosen(call, inputs, inline="codeSystem", version="version")
    url = system.get("url")
    asked = [one for one in coded_of(inputs, system=url) if one.system in (None, url)]
    place = f"the code system {url}" + (", as far as it is known here" if system.get("content") == "fragment" else "")
    await record_question(call)
    return _answer(inputs, asked, concepts_of(system), place)


async def validate_code_of_set(call: Call, inputs: Inputs) -> FhirResponse:
    """As for a code system. A code without its system fits when it is in the set under any one."""
    value_set = await chosen(call, inputs, inline="valueSet", version="valueSetVersion")
    asked = coded_of(inputs, system=inputs.text("system"))
    concepts = await expanded(call, value_set)
    await record_question(call)
    return _answer(inputs, asked, concepts, f"the value set {_name(value_set)}")


def _name(value_set: JsonObject) -> str:
    return str(value_set.get("url") or value_set.get("name") or "that was sent")


def _answer(inputs: Inputs, asked: Sequence[Coded], concepts: Sequence[Concept], place: str) -> FhirResponse:
    found = next(((one, concept) for one in asked for concept in concepts if _is(one, concept)), None)
    told: list[dict[str, Any]]
    if found is None:
        said = ", ".join(f"'{one.code}'" + (f" of {one.system}" if one.system else "") for one in asked)
        told = _refused(f"{said or 'no coding of that system'} is not in {place}")
    else:
        told = _fitting(*found, inputs)
    return FhirResponse(200, msgspec.json.encode({"resourceType": "Parameters", "parameter": told}))


def _is(asked: Coded, concept: Concept) -> bool:
    return asked.code == concept.code and asked.system in (None, concept.system)


def _fitting(asked: Coded, concept: Concept, inputs: Inputs) -> list[dict[str, Any]]:
    display = in_language(concept, inputs.text("displayLanguage"))
    shown = [{"name": "display", "valueString": display}] if display is not None else []
    if inputs.text("abstract") == "false" and concept.abstract:
        return _refused(f"'{concept.code}' stands for a group of codes (abstract)") + shown
    if asked.display is not None and not _says(asked.display, concept):
        return _refused(f"'{concept.code}' is not called '{asked.display}'") + shown
    return [{"name": "result", "valueBoolean": True}, *shown]


def _says(text: str, concept: Concept) -> bool:
    names = (concept.display, *(one.get("value") for one in concept.designations))
    return text.casefold() in [name.casefold() for name in names if name]


def _refused(why: str) -> list[dict[str, Any]]:
    return [{"name": "result", "valueBoolean": False}, {"name": "message", "valueString": why}]
