"""Operations by GET and POST, at every level there is and is not, with what they need and with anything else."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from fhir_facade.fhir.operations import OPERATIONS, Operation, Parameter
from tests.fuzz.resources import ODD, RESOURCES, TYPES, made
from tests.fuzz.seeds import LOINC, PLACES, UCUM
from tests.fuzz.stage import WHO
from tests.fuzz.values import JSON, VALUES, Texts, mostly, query, seldom, words
from tests.fuzz.wire import Request
from tests.fuzz.writes import FHIR, sent

_WORTH: Final[dict[str, Texts]] = {
    "subject": words("Patient/anna Patient/bert"),
    "code": words("8867-4 http://loinc.org|8867-4 a b body-weight"),
    "system": words(f"{LOINC} {UCUM} http://example.org/codes"),
    "statistic": words(
        "average maximum minimum count sum median std-dev variance skew kurtosis regression 20-percent total-count x"
    ),
    "duration": words("24 0.5 1e400 -1"),
    "url": words(
        "http://example.org/set http://example.org/codes http://hl7.org/fhir/ValueSet/administrative-gender http://loinc.org"
    ),
    "mode": words("create update delete profile x"),
    "profile": words(
        "http://hl7.org/fhir/StructureDefinition/vitalsigns http://hl7.org/fhir/StructureDefinition/Patient x"
    ),
    "property": words("display * x"),
    "patient": words("anna Patient/anna"),
    "category": words("vital-signs"),
    "_type": words("Observation Observation,Patient x"),
}
_OF_KIND: Final[dict[str, Texts]] = {
    "date": words("2026-11-20 2026 9999-12-31"),
    "dateTime": words("2026-11-20T08:00:00Z 2026"),
    "instant": words("2026-11-20T08:00:00Z"),
    "boolean": words("true false"),
    "positiveInt": words("1 2147483647 0"),
    "unsignedInt": words("0 1 2147483647"),
    "Coding": words("http://loinc.org|8867-4"),
}
_CODINGS: Final = st.sampled_from(
    ({"system": LOINC, "code": "8867-4"}, {"system": "http://example.org/codes", "code": "b"}, {})
)
_STRUCTURES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "Coding": _CODINGS,
    "CodeableConcept": st.builds(lambda codings: {"coding": codings}, st.lists(_CODINGS, max_size=2)),
    "Period": st.sampled_from(({"start": "2020"}, {"end": "2027-01-01"}, {"start": "2027", "end": "2020"})),
    "Meta": st.sampled_from(
        (
            {"tag": [{"code": "x"}]},
            {"profile": ["http://x"]},
            {"security": [{"system": "http://x"}]},
            {"versionId": "1"},
        )
    ),
    "positiveInt": st.sampled_from((1, 0, -1, 2147483647, 10**20)),
    "unsignedInt": st.sampled_from((0, 1, -1, 10**20)),
    "decimal": st.sampled_from((24, 0.5, 0, -1, 1e308)),
    "boolean": st.booleans(),
}


def _text_for(parameter: Parameter) -> Texts:
    return mostly(_WORTH.get(parameter.name, _OF_KIND.get(parameter.kind, VALUES)), VALUES)


@st.composite
def _pairs(draw: st.DrawFn, operation: Operation) -> list[tuple[str, str]]:
    """Most of what is needed, some of the rest, and now and then what nobody knows."""
    chosen = [one for one in operation.parameters if one.required or draw(st.integers(0, 2)) == 1]
    found = [(one.name, draw(_text_for(one))) for one in chosen if not seldom(draw)]
    if operation.name == "lastn":
        found.append(("patient", "anna"))
    return found + (draw(st.lists(st.tuples(VALUES, VALUES), max_size=1)) if seldom(draw) else [])


@st.composite
def _inputs(draw: st.DrawFn, operation: Operation) -> dict[str, Any]:
    """A Parameters resource with the same, each value under the name of its type or of another."""
    found = []
    for one in operation.parameters:
        if not (one.required or draw(st.integers(0, 2)) == 1):
            continue
        kind = (
            draw(words("String Uri Code Date Integer Decimal Boolean Coding Meta Period x"))
            if seldom(draw)
            else one.kind
        )
        if one.kind in ("Resource", "ValueSet", "CodeSystem"):
            known = st.builds(made, st.just(one.kind), st.integers(0, 2**32)) if one.kind != "Resource" else RESOURCES
            found.append({"name": one.name, "resource": draw(mostly(known, ODD))})
        else:
            usual = _STRUCTURES.get(one.kind, _text_for(one))
            found.append({"name": one.name, f"value{kind[:1].upper()}{kind[1:]}": draw(mostly(usual, JSON))})
    if seldom(draw):
        found.append(draw(st.one_of(JSON, st.builds(lambda name, part: {"name": name, "part": part}, VALUES, JSON))))
    return {"resourceType": "Parameters", "parameter": found}


@st.composite
def operations(draw: st.DrawFn) -> Request:
    operation = draw(st.sampled_from(OPERATIONS))
    kind = draw(TYPES if "*" in operation.types else st.sampled_from(operation.types))
    things = [place for place in PLACES if place.startswith(f"{kind}/")] or list(PLACES)
    levels = {"system": "", "type": f"/{kind}", "instance": f"/{draw(st.sampled_from(things))}"}
    level = draw(st.sampled_from(sorted(levels) if seldom(draw) else sorted(operation.levels)))
    target = f"/fhir{levels[level]}/${operation.name}"
    asked = query(draw(_pairs(operation)))
    if draw(st.booleans()):
        return Request("GET", f"{target}?{asked}", draw(st.sampled_from(WHO)))
    document = draw(mostly(_inputs(operation), st.one_of(RESOURCES, ODD)))
    return draw(sent("POST", f"{target}?{asked}" if seldom(draw) else target, document, FHIR[1]))
