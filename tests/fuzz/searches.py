"""Searches of every kind, with modifiers, prefixes, chains and controls that fit or do not, and page links bent."""

from __future__ import annotations

import random
from functools import cache
from typing import Final

from hypothesis import strategies as st

from fhir_facade.fhir.definitions import resource_types, search_parameters
from tests.fuzz.fitting import MODIFIERS, PREFIXES, fitting
from tests.fuzz.seeds import ANNA
from tests.fuzz.stage import WHO
from tests.fuzz.values import HEADER_TEXTS, VALUES, Texts, anything, in_address, mostly, query, words
from tests.fuzz.wire import Request

FORM: Final = ("Content-Type", "application/x-www-form-urlencoded")
TYPES: Final = st.one_of(
    words("Patient Observation Encounter Condition Location RiskAssessment ValueSet List AuditEvent"),
    st.sampled_from(resource_types()),
)
_ANY_MODIFIER: Final = st.one_of(st.just(""), st.just(""), st.sampled_from(MODIFIERS))
_ANY_PREFIX: Final = st.one_of(st.just(""), st.sampled_from(PREFIXES))
_KNOWN: Final = (
    *(
        "true",
        "final",
        "female",
        "Müller",
        "2026-11-20",
        "2026",
        "72.5",
        "72.5|http://unitsofmeasure.org|/min",
        "Patient/anna",
        "anna",
    ),
    *(
        "http://loinc.org|8867-4",
        "8867-4",
        "http://loinc.org|",
        "Observation:subject",
        "Patient:organization",
        "*",
        "-date,code",
        "_id",
    ),
    *(
        "8480-6$107",
        "http://loinc.org|8480-6$gt100",
        "family eq Mueller",
        "text",
        "count",
        "data",
        "accurate",
        "none",
        "list",
        "$current-allergies",
    ),
    *(
        "2020-01-01",
        "1000",
        "0",
        "http://example.org/set",
        "RI|http://x|1",
        r'_id eq "\ud800"',
        "code eq x and (date gt 2020 or not (status eq final))",
    ),
)
WORTH: Final = st.one_of(st.sampled_from(_KNOWN), st.sampled_from(_KNOWN), VALUES)
_CONTROLS: Final = words("""_id _lastUpdated _tag _profile _security _source _text _content _list _has _type _sort _count _total _summary
    _elements _include _revinclude _include:iterate _revinclude:iterate _contained _containedType _filter _since _at _format _pretty
    _getpages _page _offset _totalMethod _has:Observation:patient:code _has:Observation:subject:_has:Encounter:patient:_id _has:x:y:z
    _has: _has:Observation: access_token near""")


@cache
def _parameters(kind: str) -> Texts:
    return st.sampled_from(sorted(search_parameters(kind)))


@st.composite
def _names(draw: st.DrawFn, kind: str) -> str:
    name = draw(st.one_of(_parameters(kind), _parameters(kind), _CONTROLS) if draw(st.integers(0, 9)) != 4 else VALUES)
    for _ in range(draw(st.integers(0, 3)) // 2):  # a chain now and then
        name += draw(st.one_of(st.just("."), words(":Patient. :Observation. :Organization. :x."))) + draw(
            st.one_of(
                words("name subject patient code organization partof date _id _has:Observation:patient:code"), _CONTROLS
            )
        )
    return name


@st.composite
def pairs(draw: st.DrawFn, kind: str) -> list[tuple[str, str]]:
    """The parameters of a search for a type."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            found.append(fitting(kind, draw(_parameters(kind)), random.Random(draw(st.integers(0, 2**32)))))
            continue
        name = draw(_names(kind)) + draw(_ANY_MODIFIER)
        values = draw(st.lists(st.builds(str.__add__, _ANY_PREFIX, WORTH), min_size=1, max_size=3))
        found.append((name, draw(mostly(st.just(","), words("$ |"))).join(values)))
    return found


@st.composite
def searches(draw: st.DrawFn) -> Request:
    """By GET and POST, of a type, a compartment or everything."""
    kind, caller = draw(TYPES), draw(st.sampled_from(WHO))
    asked = query(draw(pairs(kind)))
    place = draw(
        st.sampled_from(
            (f"/{kind}", f"/{kind}", f"/Patient/{ANNA}/{kind}", f"/Patient/{ANNA}/*", "", f"/{kind}/_history")
        )
    )
    if draw(st.booleans()):
        return Request("GET", f"/fhir{place}?{asked}", caller)
    return Request("POST", f"/fhir{place}/_search", caller, (FORM,), asked.encode())


@st.composite
def raw_queries(draw: st.DrawFn) -> Request:
    """Query strings that nobody encoded, as far as they fit on a request line."""
    text = draw(st.one_of(st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")), HEADER_TEXTS))
    line = "".join(char for char in text if char > " " and char != "\x7f")
    kind, caller = draw(TYPES), draw(st.sampled_from(WHO))
    return Request("GET", f"/fhir/{kind}?{draw(words('code= _id= = & date=gt'))}{line}", caller)


@st.composite
def addresses(draw: st.DrawFn) -> Request:
    """Any method on any path below the base."""
    segment = st.one_of(
        words(
            "Patient anna Observation rate _history 1 0 -1 _search metadata $validate $x * %2e%2e %00 %ff .. . _history;x patient"
        ),
        words(
            "$everything $meta $lastn $stats $expand $lookup $versions .well-known smart-configuration Binary file List team CareTeam"
        ),
        anything().map(in_address),
    )
    path = "/".join(draw(st.lists(segment, max_size=5)))
    method = draw(words("GET HEAD PUT POST PATCH DELETE OPTIONS TRACE BREW"))
    return Request(method, f"/fhir/{path}", draw(st.sampled_from(WHO)))


@st.composite
def bent_links(draw: st.DrawFn, links: tuple[str, ...]) -> Request:
    """A link to a next page, with one piece replaced, left out or sent by somebody else."""
    link = draw(st.sampled_from(links))
    at = draw(st.integers(0, len(link)))
    until = draw(st.integers(at, min(len(link), at + 8)))
    bent: Texts = st.one_of(st.just(""), VALUES.map(in_address), st.characters(codec="ascii").map(in_address))
    target = link[:at] + draw(bent) + link[until:] if draw(st.booleans()) else link
    return Request("GET", target if target.startswith("/") else f"/{target}", draw(st.sampled_from(WHO)))
