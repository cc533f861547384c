"""`ValueSet/$expand`: the codes of a value set. https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from fhir_facade.errors import TooLarge
from fhir_facade.fhir.document import instant
from fhir_facade.fhir.operations import Inputs
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.terms import chosen, expanded, in_language, record_question
from fhir_facade.values import FhirResponse
from terminology.concept import Concept
from terminology.concepts import matches_text

MOST: Final = 10_000
_SAID: Final = {
    "filter": "valueString",
    "offset": "valueInteger",
    "count": "valueInteger",
    "activeOnly": "valueBoolean",
    "excludeNotForUI": "valueBoolean",
    "includeDesignations": "valueBoolean",
    "displayLanguage": "valueCode",
}
"""Parameters that change the expansion, and so are told in it."""


async def expand(call: Call, inputs: Inputs) -> FhirResponse:
    """The ValueSet with its expansion, flat. `total` counts what the filter leaves, before `offset` and `count`."""
    value_set = await chosen(call, inputs, inline="valueSet", version="valueSetVersion")
    concepts = [one for one in await expanded(call, value_set) if _is_wanted(one, inputs)]
    shown = _part(concepts, inputs)
    await record_question(call)
    expansion: dict[str, Any] = {
        "identifier": f"urn:uuid:{call.ports.ids.new()}",
        "timestamp": instant(call.ports.clock.now()),
        "total": len(concepts),
        "offset": inputs.whole("offset") or 0,
    }
    if said := [*_said(inputs)]:
        expansion["parameter"] = said
    if shown:
        expansion["contains"] = [_contained(one, inputs) for one in shown]
    dropped = ("expansion", "text") if inputs.flag("includeDefinition") else ("expansion", "text", "compose")
    head = {name: value for name, value in value_set.items() if name not in dropped}
    return FhirResponse(200, msgspec.json.encode({**head, "expansion": expansion}))


def _is_wanted(concept: Concept, inputs: Inputs) -> bool:
    if (inputs.flag("activeOnly") and concept.inactive) or (inputs.flag("excludeNotForUI") and concept.abstract):
        return False
    text = inputs.text("filter")
    return text is None or matches_text(concept, text)


def _part(concepts: Sequence[Concept], inputs: Inputs) -> Sequence[Concept]:
    offset, count = inputs.whole("offset") or 0, inputs.whole("count")
    if count is None and len(concepts) - offset > MOST:
        text = (
            f"these are {len(concepts)} codes: ask for parts of at most {MOST} with count and offset, or with a filter"
        )
        raise TooLarge(text)
    return concepts[offset : offset + min(MOST if count is None else count, MOST)]


def _said(inputs: Inputs) -> Iterator[dict[str, Any]]:
    for name, member in _SAID.items():
        text = inputs.text(name)
        if text is not None:
            number = int(text) if member == "valueInteger" else text
            yield {"name": name, member: text == "true" if member == "valueBoolean" else number}


def _contained(concept: Concept, inputs: Inputs) -> dict[str, Any]:
    told: dict[str, Any] = (
        {"system": concept.system, "code": concept.code} if concept.system else {"code": concept.code}
    )
    if concept.version is not None:
        told["version"] = concept.version
    display = in_language(concept, inputs.text("displayLanguage"))
    if display is not None:
        told["display"] = display
    for name, holds in (("abstract", concept.abstract), ("inactive", concept.inactive)):
        if holds:
            told[name] = True
    if inputs.flag("includeDesignations") and concept.designations:
        told["designation"] = list(concept.designations)
    return told
