"""Patches of three kinds: JSON Patch, FHIRPath Patch and merge patch, each part of them there or not."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from tests.fuzz.resources import ODD, TYPES
from tests.fuzz.seeds import PLACES
from tests.fuzz.values import JSON, VALUES, words
from tests.fuzz.wire import Request
from tests.fuzz.writes import CONDITIONS, FHIR, sent

_PATHS: Final = st.one_of(
    words(
        "/ /status /code/coding/0 /name/0/family /name/- /name/-1 /name/99999999999 /id /meta /resourceType /a~1b /~2 status // /valueQuantity/value"
    ),
    VALUES,
)
_STEPS: Final = st.fixed_dictionaries(
    {"op": words("add remove replace move copy test x")},
    optional={"path": _PATHS, "from": _PATHS, "value": JSON, "x": JSON},
)
_EXPRESSIONS: Final = st.one_of(
    words("""Patient Patient.name Patient.name[0].family Observation.status Observation.component.where(code.text='a') Patient.name[-1]
    Patient.name[99999999999999999999] Patient.name.where(use='a'or$index>0).first() descendants().where($this='a').single()
    (1).repeat($this+1) name.where(family.matches('(a+)+$')) Patient.birthDate.extension Patient.name|Patient.name[0] %resource Patient.name.given.first() a.b(c Patient.. 'x' Patient.name[0 Patient.contact.name"""),
    VALUES,
)


@st.composite
def fhirpath_patches(draw: st.DrawFn) -> Any:
    """A Parameters resource of operations, each part of it there or not."""
    part = st.one_of(
        st.fixed_dictionaries({"name": st.just("type"), "valueCode": words("add insert delete replace move x")}),
        st.fixed_dictionaries({"name": st.just("path"), "valueString": _EXPRESSIONS}),
        st.fixed_dictionaries(
            {"name": st.just("name"), "valueString": words("status name birthDate id x resourceType")}
        ),
        st.fixed_dictionaries(
            {"name": st.just("index"), "valueInteger": st.sampled_from((0, 1, -1, 10**20, "0", 0.5))}
        ),
        st.fixed_dictionaries(
            {"name": st.just("value")},
            optional={"valueString": VALUES, "valueCode": VALUES, "valueDate": VALUES, "part": JSON},
        ),
        st.fixed_dictionaries(
            {
                "name": st.just("value"),
                "part": st.lists(st.builds(lambda n, v: {"name": n, "valueString": v}, VALUES, VALUES), max_size=2),
            }
        ),
        st.fixed_dictionaries({"name": words("source destination"), "valueInteger": st.sampled_from((0, 1, -1, 99))}),
        JSON,
    )
    operations = st.builds(lambda parts: {"name": "operation", "part": parts}, st.lists(part, max_size=5))
    return {"resourceType": "Parameters", "parameter": draw(st.lists(st.one_of(operations, JSON), max_size=3))}


@st.composite
def patches(draw: st.DrawFn) -> Request:
    """JSON Patch, FHIRPath Patch and merge patch on something that is there, or on what a condition finds."""
    kind, document = draw(
        st.one_of(
            st.tuples(st.just("application/json-patch+json"), st.one_of(st.lists(_STEPS, max_size=4), JSON)),
            st.tuples(st.just(FHIR[1]), st.one_of(fhirpath_patches(), ODD)),
            st.tuples(
                words("application/merge-patch+json application/json"),
                st.one_of(
                    ODD,
                    st.dictionaries(words("status name code id meta resourceType text contained"), JSON, max_size=3),
                ),
            ),
        )
    )
    where = draw(
        st.one_of(st.sampled_from(PLACES), st.builds(lambda kind, asked: f"{kind}?{asked}", TYPES, CONDITIONS))
    )
    return draw(sent("PATCH", f"/fhir/{where}", document, kind))
