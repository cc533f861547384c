"""The resources that the oracle searches: few values, so that searches meet them.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

Resource = dict[str, Any]
World = list[Resource]
Means = Callable[[Resource, World], bool]
UCUM = "http://unitsofmeasure.org"


@dataclass(frozen=True)
class Asked:
    """One parameter of a search and whether a resource of a world satisfies it."""

    name: str
    text: str
    means: Means

    def __repr__(self) -> str:
        return f"{self.name}={self.text}"


IDS = ["0", "1", "2"]
DATES = [
    "2019",
    "2020-02",
    "2020-02-29",
    "2020-12-31",
    "2020-02-29T10:30:00Z",
    "2020-02-29T23:30:00-02:00",
    "2021-01-01",
    "2020-02-29T10:30:00.000Z",
    "2020-02-29T10:30:00.500Z",
]
CODES = ["a", "b"]
SYSTEMS = ["urn:x", "urn:y"]
NAMES = ["Ada", "Adam", "Bo", "bo", "Zoe Ada", "Müller"]
GRAMS = {"g": Fraction(1), "mg": Fraction(1, 1000), "kg": Fraction(1000)}
PRINTED = "grams"
AMOUNTS = ["0.5", "0.50", "1", "2", "2.0", "500", "1500", "2000"]


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def made(kind: str, **elements: st.SearchStrategy[Any]) -> st.SearchStrategy[Resource]:
    drawn = st.fixed_dictionaries(elements)
    return drawn.map(
        lambda own: {"resourceType": kind} | {name: value for name, value in own.items() if value is not None}
    )


CODING = st.fixed_dictionaries({"code": st.sampled_from(CODES)}, optional={"system": st.sampled_from(SYSTEMS)})
CONCEPT = st.fixed_dictionaries({"coding": st.lists(CODING, min_size=1, max_size=2)})
AMOUNT = {"value": st.sampled_from(AMOUNTS).map(float)}
CODED = {"system": st.just(UCUM), "code": st.sampled_from(sorted(GRAMS))}
UNCODED = {"unit": st.sampled_from([*sorted(GRAMS), PRINTED])}
COMPARATOR = {"comparator": st.sampled_from(["<", "<=", ">=", ">"])}
QUANTITY = st.one_of(
    st.fixed_dictionaries(AMOUNT | CODED, optional={"unit": st.just(PRINTED)}),
    st.fixed_dictionaries(AMOUNT | UNCODED),
    st.fixed_dictionaries(AMOUNT | COMPARATOR | CODED) | st.fixed_dictionaries(AMOUNT | COMPARATOR | UNCODED),
)
SAMPLED = st.fixed_dictionaries(
    {
        "origin": st.fixed_dictionaries({"value": st.just(0.0)} | CODED),
        "period": st.just(1),
        "dimensions": st.just(1),
        "data": st.lists(st.sampled_from(AMOUNTS), min_size=1, max_size=2).map(" ".join),
    }
)
VALUE = st.one_of(
    *(st.fixed_dictionaries({"valueQuantity": QUANTITY}) for _ in range(3)),
    st.fixed_dictionaries({"valueSampledData": SAMPLED}),
)
PATIENT = st.sampled_from(IDS).map(lambda id_: {"reference": f"Patient/{id_}"})
PERIOD = st.sampled_from([(0, 1), (0, 3), (1, 3), (2, 6), (0, None), (None, 3), (4, 6)]).map(
    lambda ends: {name: DATES[end] for name, end in zip(("start", "end"), ends, strict=True) if end is not None}
)
PROFILES = ["http://o/p", "http://o/p|1", "http://o/p|1.1", "http://o/pp"]
PATIENTS = made(
    "Patient",
    meta=maybe(st.fixed_dictionaries({"profile": st.lists(st.sampled_from(PROFILES), min_size=1, max_size=2)})),
    gender=maybe(st.sampled_from(["male", "female"])),
    birthDate=maybe(st.sampled_from(DATES[:4])),
    name=maybe(st.lists(st.fixed_dictionaries({"family": st.sampled_from(NAMES)}), min_size=1, max_size=2)),
)
OBSERVATIONS = st.builds(
    lambda resource, value: resource | (value or {}),
    made(
        "Observation",
        status=st.sampled_from(["final", "amended"]),
        code=CONCEPT,
        subject=maybe(PATIENT),
        effectiveDateTime=maybe(st.sampled_from(DATES)),
        component=maybe(
            st.lists(
                st.builds(lambda code, value: {"code": code} | value, CONCEPT, VALUE),
                min_size=1,
                max_size=2,
            )
        ),
    ),
    maybe(VALUE),
)
ENCOUNTERS = made("Encounter", status=st.just("finished"), subject=maybe(PATIENT), period=maybe(PERIOD))


URLS = ["http://o/q", "http://o/q2"]
VERSIONS = ["1", "1.1"]
STATUSES = ["draft", "active"]
PROGRESS = ["in-progress", "completed"]
QUESTIONNAIRES = made(
    "Questionnaire",
    status=st.sampled_from(STATUSES),
    url=maybe(st.sampled_from(URLS)),
    version=maybe(st.sampled_from(VERSIONS)),
)
CANONICAL = st.sampled_from([f"{url}{version}" for url in URLS for version in ("", *(f"|{own}" for own in VERSIONS))])
RESPONSES = made("QuestionnaireResponse", status=st.sampled_from(PROGRESS), questionnaire=maybe(CANONICAL))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    kinds = {
        "Patient": PATIENTS,
        "Observation": OBSERVATIONS,
        "Encounter": ENCOUNTERS,
        "Questionnaire": QUESTIONNAIRES,
        "QuestionnaireResponse": RESPONSES,
    }
    return [draw(made_of) | {"id": id_} for made_of in kinds.values() for id_ in IDS]
