"""Searches that are drawn together with what they mean, said in plain Python on the JSON: nothing of the grammar is used.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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


# --- the world ----------------------------------------------------------------------------------------------------

IDS = ["0", "1", "2"]
DATES = [
    "2019",
    "2020-02",
    "2020-02-29",
    "2020-12-31",
    "2020-02-29T10:30:00Z",
    "2020-02-29T23:30:00-02:00",
    "2021-01-01",
]
CODES = ["a", "b"]
SYSTEMS = ["urn:x", "urn:y"]
NAMES = ["Ada", "Adam", "Bo", "bo", "Zoe Ada", "Müller"]
GRAMS = {"g": Fraction(1), "mg": Fraction(1, 1000), "kg": Fraction(1000)}
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
QUANTITY = st.fixed_dictionaries(
    {"value": st.sampled_from(AMOUNTS).map(float), "system": st.just(UCUM), "code": st.sampled_from(sorted(GRAMS))}
)
PATIENT = st.sampled_from(IDS).map(lambda id_: {"reference": f"Patient/{id_}"})
PERIOD = st.sampled_from([(0, 1), (0, 3), (1, 3), (2, 6), (0, None), (None, 3), (4, 6)]).map(
    lambda ends: {name: DATES[end] for name, end in zip(("start", "end"), ends, strict=True) if end is not None}
)
PATIENTS = made(
    "Patient",
    gender=maybe(st.sampled_from(["male", "female"])),
    birthDate=maybe(st.sampled_from(DATES[:4])),
    name=maybe(st.lists(st.fixed_dictionaries({"family": st.sampled_from(NAMES)}), min_size=1, max_size=2)),
)
OBSERVATIONS = made(
    "Observation",
    status=st.sampled_from(["final", "amended"]),
    code=CONCEPT,
    subject=maybe(PATIENT),
    effectiveDateTime=maybe(st.sampled_from(DATES)),
    valueQuantity=maybe(QUANTITY),
    component=maybe(
        st.lists(st.fixed_dictionaries({"code": CONCEPT, "valueQuantity": QUANTITY}), min_size=1, max_size=2)
    ),
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


# --- tokens, strings, references ------------------------------------------------------------------------------------


def codings(resource: Resource, element: str) -> list[Resource]:
    return resource[element]["coding"] if element in resource else []


@st.composite
def codes(draw: st.DrawFn, element: str = "code") -> Asked:
    code, system, negated = (
        draw(st.sampled_from(CODES)),
        draw(st.sampled_from([None, "", *SYSTEMS])),
        draw(st.booleans()),
    )
    text = code if system is None else f"{system}|{code}"

    def has(resource: Resource, _: World) -> bool:
        return any(
            one["code"] == code and system in (None, one.get("system", "")) for one in codings(resource, element)
        )

    return Asked(f"{element}:not" if negated else element, text, (lambda r, w: not has(r, w)) if negated else has)


@st.composite
def values(draw: st.DrawFn, name: str, element: str, possible: list[str]) -> Asked:
    wanted = draw(st.lists(st.sampled_from(possible), min_size=1, max_size=2))
    return Asked(name, ",".join(wanted), lambda r, _: r.get(element) in wanted)


@st.composite
def missing(draw: st.DrawFn, name: str, element: str) -> Asked:
    wanted = draw(st.booleans())
    return Asked(f"{name}:missing", str(wanted).lower(), lambda r, _: (element not in r) is wanted)


FOLDED = str.maketrans("ü", "u")


@st.composite
def families(draw: st.DrawFn) -> Asked:
    text, modifier = (
        draw(st.sampled_from([*NAMES, "a", "ad", "muller"])),
        draw(st.sampled_from(["", ":exact", ":contains"])),
    )
    folded = text.lower().translate(FOLDED)
    test: Callable[[str], bool] = {
        "": lambda own: own.lower().translate(FOLDED).startswith(folded),
        ":exact": lambda own: own == text,
        ":contains": lambda own: folded in own.lower().translate(FOLDED),
    }[modifier]
    return Asked(f"family{modifier}", text, lambda r, _: any(test(name["family"]) for name in r.get("name", ())))


@st.composite
def subjects(draw: st.DrawFn) -> Asked:
    id_ = draw(st.sampled_from([*IDS, "none"]))
    name, text = draw(
        st.sampled_from(
            [("subject", f"Patient/{id_}"), ("patient", id_), ("subject:Patient", id_), ("patient._id", id_)]
        )
    )
    return Asked(name, text, lambda r, w: subject_of(r, w, must_exist="." in name) == id_)


def subject_of(resource: Resource, world: World, *, must_exist: bool = True) -> str | None:
    id_ = resource.get("subject", {}).get("reference", "/").split("/")[1]
    there = any(other["resourceType"] == "Patient" and other["id"] == id_ for other in world)
    return id_ if there or not must_exist else None


# --- dates ------------------------------------------------------------------------------------------------------------

Span = tuple[datetime, datetime]
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def span(text: str) -> Span:
    """From (inclusive) and to (exclusive)."""
    if "T" in text:
        low = datetime.fromisoformat(text)
        return low.astimezone(UTC), low.astimezone(UTC) + timedelta(seconds=1)
    year, month, day = (*map(int, text.split("-")), *[0] * (3 - len(text.split("-"))))
    low = datetime(year, month or 1, day or 1, tzinfo=UTC)
    days = 1 if day else calendar.monthrange(year, month)[1] if month else 366 if calendar.isleap(year) else 365
    return low, low + timedelta(days=days)


COMPARED: dict[str, Callable[[Span, Span], bool]] = {
    "": lambda own, asked: asked[0] <= own[0] and own[1] <= asked[1],
    "ne": lambda own, asked: not (asked[0] <= own[0] and own[1] <= asked[1]),
    "gt": lambda own, asked: own[1] > asked[1],
    "lt": lambda own, asked: own[0] < asked[0],
    "ge": lambda own, asked: own[1] > asked[1] or (asked[0] <= own[0] and own[1] <= asked[1]),
    "le": lambda own, asked: own[0] < asked[0] or (asked[0] <= own[0] and own[1] <= asked[1]),
    "sa": lambda own, asked: own[0] >= asked[1],
    "eb": lambda own, asked: own[1] <= asked[0],
}


def spans(resource: Resource) -> Iterator[Span]:
    for element in ("effectiveDateTime", "birthDate"):
        if element in resource:
            yield span(resource[element])
    if "period" in resource:
        period = resource["period"]
        yield (
            span(period["start"])[0] if "start" in period else FIRST,
            span(period["end"])[1] if "end" in period else LAST,
        )


@st.composite
def dates(draw: st.DrawFn, name: str) -> Asked:
    prefix, text = draw(st.sampled_from(sorted(COMPARED))), draw(st.sampled_from(DATES))
    return Asked(name, prefix + text, lambda r, _: any(COMPARED[prefix](own, span(text)) for own in spans(r)))


# --- quantities ---------------------------------------------------------------------------------------------------------


def amount_test(prefix: str, text: str, unit: str) -> Callable[[Resource], bool]:
    """In grams, exactly; equality means what the digits that are written leave open."""
    number = Fraction(text) * GRAMS[unit]
    slack = Fraction(1, 2 * 10 ** (len(text.partition(".")[2]))) * GRAMS[unit]
    tests: dict[str, Callable[[Fraction], bool]] = {
        "": lambda own: number - slack <= own < number + slack,
        "ne": lambda own: not number - slack <= own < number + slack,
        "gt": lambda own: own > number,
        "ge": lambda own: own >= number,
        "lt": lambda own: own < number,
        "le": lambda own: own <= number,
    }
    return lambda quantity: tests[prefix](Fraction(str(quantity["value"])) * GRAMS[quantity["code"]])


@st.composite
def amounts(draw: st.DrawFn) -> tuple[str, Callable[[Resource], bool]]:
    prefix = draw(st.sampled_from(["", "ne", "gt", "ge", "lt", "le"]))
    text, unit = draw(st.sampled_from(AMOUNTS)), draw(st.sampled_from(sorted(GRAMS)))
    return f"{prefix}{text}|{UCUM}|{unit}", amount_test(prefix, text, unit)


@st.composite
def quantities(draw: st.DrawFn) -> Asked:
    text, test = draw(amounts())
    return Asked("value-quantity", text, lambda r, _: "valueQuantity" in r and test(r["valueQuantity"]))


@st.composite
def composites(draw: st.DrawFn) -> Asked:
    """Both parts of the same component, or of the resource itself."""
    (text, test), code = draw(amounts()), draw(st.sampled_from(CODES))
    name = draw(st.sampled_from(["code-value-quantity", "component-code-value-quantity", "combo-code-value-quantity"]))

    def means(resource: Resource, _: World) -> bool:
        places = [] if name.startswith("component") else [resource]
        places += [] if name.startswith("code") else resource.get("component", [])
        return any(
            "valueQuantity" in place
            and test(place["valueQuantity"])
            and any(c["code"] == code for c in codings(place, "code"))
            for place in places
        )

    return Asked(name, f"{code}${text}", means)


# --- over references ------------------------------------------------------------------------------------------------------


@st.composite
def chains(draw: st.DrawFn) -> Asked:
    name, inner = draw(st.sampled_from(["patient", "subject:Patient"])), draw(OF_PATIENTS)

    def means(resource: Resource, world: World) -> bool:
        targets = (other for other in world if other["resourceType"] == "Patient")
        return any(other["id"] == subject_of(resource, world) and inner.means(other, world) for other in targets)

    return Asked(f"{name}.{inner.name}", inner.text, means)


@st.composite
def reverse_chains(draw: st.DrawFn) -> Asked:
    kind, inner = draw(
        OF_OBSERVATIONS.map(lambda own: ("Observation", own)) | OF_ENCOUNTERS.map(lambda own: ("Encounter", own))
    )

    def means(resource: Resource, world: World) -> bool:
        referring = (other for other in world if other["resourceType"] == kind)
        return any(subject_of(other, world) == resource["id"] and inner.means(other, world) for other in referring)

    return Asked(f"_has:{kind}:patient:{inner.name}", inner.text, means)


def names(response: Resource, questionnaire: Resource) -> bool:
    """Whether the response is to this questionnaire: by its url, and by its version where it says one."""
    url, _, version = response.get("questionnaire", "").partition("|")
    return url == questionnaire.get("url") and version in ("", questionnaire.get("version"))


@st.composite
def canonicals(draw: st.DrawFn) -> Asked:
    """Without a version, with any; ending in a bar, with none."""
    text = draw(CANONICAL | st.sampled_from([f"{url}|" for url in URLS]))

    def means(resource: Resource, _: World) -> bool:
        own = resource.get("questionnaire", "")
        return own == text.removesuffix("|") or own.partition("|")[0] == text

    return Asked("questionnaire", text, means)


@st.composite
def chains_by_url(draw: st.DrawFn) -> Asked:
    name, inner = draw(st.sampled_from(["questionnaire", "questionnaire:Questionnaire"])), draw(OF_QUESTIONNAIRES)

    def means(resource: Resource, world: World) -> bool:
        targets = (other for other in world if other["resourceType"] == "Questionnaire")
        return any(names(resource, other) and inner.means(other, world) for other in targets)

    return Asked(f"{name}.{inner.name}", inner.text, means)


@st.composite
def reverse_chains_by_url(draw: st.DrawFn) -> Asked:
    inner = draw(OF_RESPONSES)

    def means(resource: Resource, world: World) -> bool:
        referring = (other for other in world if other["resourceType"] == "QuestionnaireResponse")
        return any(names(other, resource) and inner.means(other, world) for other in referring)

    return Asked(f"_has:QuestionnaireResponse:questionnaire:{inner.name}", inner.text, means)


OF_QUESTIONNAIRES = values("status", "status", STATUSES) | values("url", "url", URLS) | missing("version", "version")
OF_RESPONSES = values("status", "status", PROGRESS) | canonicals() | missing("questionnaire", "questionnaire")
OF_PATIENTS = (
    values("gender", "gender", ["male", "female"])
    | missing("birthdate", "birthDate")
    | families()
    | dates("birthdate")
    | values("_id", "id", IDS)
)
OF_OBSERVATIONS = (
    codes()
    | values("status", "status", ["final", "amended"])
    | dates("date")
    | quantities()
    | composites()
    | subjects()
)
OF_ENCOUNTERS = dates("date") | missing("date", "period") | subjects()
ALL_OF = {
    "Patient": OF_PATIENTS | reverse_chains(),
    "Observation": OF_OBSERVATIONS | chains() | missing("subject", "subject"),
    "Encounter": OF_ENCOUNTERS | chains(),
    "Questionnaire": OF_QUESTIONNAIRES | reverse_chains_by_url(),
    "QuestionnaireResponse": OF_RESPONSES | chains_by_url(),
}


# --- order ------------------------------------------------------------------------------------------------------------


def families_of(resource: Resource) -> list[str]:
    return [name["family"].lower().translate(FOLDED) for name in resource.get("name", ())]


def moments_of(resource: Resource) -> list[datetime]:
    return [own[0] for own in spans(resource)]


SORTS: dict[str, dict[str, Callable[[Resource], list[Any]]]] = {
    "Patient": {
        "gender": lambda r: [r["gender"]] if "gender" in r else [],
        "family": families_of,
        "birthdate": moments_of,
        "_id": lambda r: [r["id"]],
    },
    "Observation": {
        "status": lambda r: [r["status"]],
        "date": moments_of,
        "code": lambda r: [one["code"] for one in codings(r, "code")],
        "value-quantity": lambda r: [r["valueQuantity"]["value"]] if "valueQuantity" in r else [],
        "subject": lambda r: [r["subject"]["reference"]] if "subject" in r else [],
    },
    "Encounter": {"date": moments_of, "_id": lambda r: [r["id"]]},
    "Questionnaire": {"status": lambda r: [r["status"]], "_id": lambda r: [r["id"]]},
    "QuestionnaireResponse": {"status": lambda r: [r["status"]], "_id": lambda r: [r["id"]]},
}


def ordered(resources: list[Resource], kind: str, sort: list[str]) -> list[str]:
    """Ascending by the least value, descending by the greatest (of dates the beginning counts), missing ones last,
    equal ones by id."""
    found = sorted(resources, key=lambda r: r["id"])
    for key in reversed(sort):
        name, descending = key.removeprefix("-"), key.startswith("-")
        pick = max if descending and name not in ("date", "birthdate") else min
        values_of = SORTS[kind][name]
        there = [r for r in found if values_of(r)]
        there.sort(key=lambda r: pick(values_of(r)), reverse=descending)
        found = there + [r for r in found if not values_of(r)]
    return [r["id"] for r in found]


@st.composite
def sorts(draw: st.DrawFn, kind: str) -> list[str]:
    names = draw(st.lists(st.sampled_from(sorted(SORTS[kind])), max_size=3, unique=True))
    return [draw(st.sampled_from(["", "-"])) + name for name in names]
