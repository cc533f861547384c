"""Criteria that are drawn together with what they mean, said in plain Python on the JSON: nothing of the grammar is used.

https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import strategies as st

from tests.unit.adapters.embedded.oracle.world import (
    AMOUNTS,
    CODES,
    DATES,
    GRAMS,
    IDS,
    NAMES,
    PRINTED,
    PROFILES,
    SYSTEMS,
    UCUM,
    Asked,
    Resource,
    World,
)

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
def profiles(draw: st.DrawFn) -> Asked:
    """By the address alone, with any version."""
    text = draw(st.sampled_from([*PROFILES, "http://o/none"]))

    def means(resource: Resource, _: World) -> bool:
        named = resource.get("meta", {}).get("profile", ())
        return any(text in (own, own.partition("|")[0]) for own in named)

    return Asked("_profile", text, means)


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
        low = datetime.fromisoformat(text).astimezone(UTC)
        return low, low + (timedelta(milliseconds=1) if "." in text else timedelta(seconds=1))
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

End = tuple[Fraction | float, int]
"""A number, and whether it is meant itself (0) or only what lies below (-1) or above it (1), however close."""
Ends = tuple[End, End]


def amount(place: Resource) -> Resource | None:
    """The quantity that tells the unit, of what is measured there."""
    return place.get("valueQuantity") or place.get("valueSampledData", {}).get("origin")


def ends(place: Resource) -> Ends:
    """Where it begins and where it ends, in its unit; one end is open where it is compared."""
    if "valueSampledData" in place:
        samples = [(Fraction(sample), 0) for sample in place["valueSampledData"]["data"].split()]
        return min(samples), max(samples)
    number, comparator = Fraction(str(place["valueQuantity"]["value"])), place["valueQuantity"].get("comparator")
    lowest, highest, own = (-math.inf, 0), (math.inf, 0), (number, 0)
    return {
        "<": (lowest, (number, -1)),
        "<=": (lowest, own),
        ">=": (own, highest),
        ">": ((number, 1), highest),
    }.get(comparator, (own, own))


AMOUNT_TESTS: dict[str, Callable[[Ends, Fraction, Fraction], bool]] = {
    "": lambda own, number, slack: (number - slack, 0) <= own[0] and own[1] < (number + slack, 0),
    "ne": lambda own, number, slack: not ((number - slack, 0) <= own[0] and own[1] < (number + slack, 0)),
    "gt": lambda own, number, _: own[1] > (number, 0),
    "ge": lambda own, number, _: own[1] >= (number, 0),
    "lt": lambda own, number, _: own[0] < (number, 0),
    "le": lambda own, number, _: own[0] <= (number, 0),
    "sa": lambda own, number, _: own[0] > (number, 0),
    "eb": lambda own, number, _: own[1] < (number, 0),
    "ap": lambda own, number, slack: (
        own[0] <= (number + max(slack, number / 10), 0) and own[1] >= (number - max(slack, number / 10), 0)
    ),
}


def amount_test(prefix: str, text: str, unit: str | None, *, coded: bool) -> Callable[[Resource], bool]:
    """In grams where codes of UCUM are asked for, exactly, else in the unit as it is coded or printed, if there is one.
    Equality means what the digits that are written leave open."""
    number, slack = Fraction(text), Fraction(1, 2 * 10 ** (len(text.partition(".")[2])))

    def test(place: Resource) -> bool:
        quantity = amount(place)
        if quantity is None:
            return False
        code = quantity.get("code")
        if coded and unit is not None:
            if code is None:
                return False
            low, high = (
                (end * GRAMS[code] / GRAMS[unit], side) if isinstance(end, Fraction) else (end, side)
                for end, side in ends(place)
            )
            return AMOUNT_TESTS[prefix]((low, high), number, slack)
        named = unit is None or unit in (code, quantity.get("unit"))
        return named and AMOUNT_TESTS[prefix](ends(place), number, slack)

    return test


@st.composite
def amounts(draw: st.DrawFn) -> tuple[str, Callable[[Resource], bool]]:
    prefix, text = draw(st.sampled_from(sorted(AMOUNT_TESTS))), draw(st.sampled_from(AMOUNTS))
    unit, coded = draw(st.sampled_from([*sorted(GRAMS), *sorted(GRAMS), PRINTED, None])), draw(st.booleans())
    coded = coded and unit in GRAMS
    asked = "" if unit is None else f"|{UCUM if coded else ''}|{unit}"
    return f"{prefix}{text}{asked}", amount_test(prefix, text, unit, coded=coded)


PLACES: dict[str, Callable[[Resource], list[Resource]]] = {
    "": lambda resource: [resource],
    "component-": lambda resource: resource.get("component", []),
    "combo-": lambda resource: [resource, *resource.get("component", [])],
}


@st.composite
def quantities(draw: st.DrawFn) -> Asked:
    (text, test), begin = draw(amounts()), draw(st.sampled_from(sorted(PLACES)))
    return Asked(f"{begin}value-quantity", text, lambda r, _: any(test(place) for place in PLACES[begin](r)))


@st.composite
def composites(draw: st.DrawFn) -> Asked:
    """Both parts of the same component, or of the resource itself; R4 defines them of quantities, not of samples."""
    (text, test), code, begin = draw(amounts()), draw(st.sampled_from(CODES)), draw(st.sampled_from(sorted(PLACES)))

    def means(resource: Resource, _: World) -> bool:
        return any(
            "valueQuantity" in place and test(place) and any(c["code"] == code for c in codings(place, "code"))
            for place in PLACES[begin](resource)
        )

    return Asked(f"{begin}code-value-quantity", f"{code}${text}", means)
