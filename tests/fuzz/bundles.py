"""Batches and transactions of whatever there is, right and wrong."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from tests.fuzz.patches import fhirpath_patches
from tests.fuzz.resources import ODD, RESOURCES, TYPES
from tests.fuzz.seeds import PLACES
from tests.fuzz.values import JSON, VALUES, mostly, seldom, words
from tests.fuzz.wire import Request
from tests.fuzz.writes import CONDITIONS, FHIR, sent

_URLS: Final = st.one_of(
    st.sampled_from(
        (
            *PLACES,
            "Patient",
            "Observation",
            "Patient?_id=anna",
            "metadata",
            "Patient/$everything",
            "Patient/anna/$everything",
            "Observation/$lastn",
            "http://elsewhere/Patient/p",
            "/Patient",
            "?",
            "",
        )
    ),
    st.builds(lambda kind, asked: f"{kind}?{asked}", TYPES, CONDITIONS),
    st.builds(lambda text: f"Observation?{text}", VALUES),
)
_ENTRIES: Final = st.fixed_dictionaries(
    {
        "request": st.fixed_dictionaries(
            {"method": mostly(words("GET PUT POST DELETE PATCH"), words("HEAD get x")), "url": _URLS},
            optional={
                name: st.one_of(VALUES, JSON) for name in ("ifMatch", "ifNoneExist", "ifNoneMatch", "ifModifiedSince")
            },
        )
    },
    optional={
        "resource": mostly(st.one_of(RESOURCES, fhirpath_patches()), ODD),
        "fullUrl": st.one_of(words("urn:uuid:a urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9 Patient/anna"), VALUES),
    },
)
_PURE_WRITES: Final = st.builds(
    lambda resource, way: {
        "fullUrl": "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9",
        "resource": resource,
        "request": {
            "method": way,
            "url": str(resource.get("resourceType")) + (f"/{resource.get('id')}" if way == "PUT" else ""),
        },
    },
    RESOURCES,
    words("POST PUT"),
)


@st.composite
def bundles(draw: st.DrawFn) -> Request:
    """Batches and transactions."""
    entries: list[Any] = draw(st.lists(st.one_of(_ENTRIES, _PURE_WRITES), max_size=4))
    if seldom(draw):
        entries.append(draw(JSON))
    kind = draw(mostly(words("batch transaction"), st.one_of(words("history collection searchset x"), JSON)))
    document = {"resourceType": "Bundle", "type": kind, "entry": draw(mostly(st.just(entries), JSON))}
    return draw(sent("POST", "/fhir", document, FHIR[1]))
