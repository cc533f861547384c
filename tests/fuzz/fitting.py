"""Every search parameter of every type, with values and modifiers that fit its kind. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from typing import Final

from fhir_facade.fhir.definitions import resource_types, search_parameters
from fhir_facade.fhir.query import parents
from tests.fuzz.seeds import PLACES
from tests.fuzz.values import NASTY, query
from tests.fuzz.wire import Request

MODIFIERS: Final = [
    ":missing",
    ":exact",
    ":contains",
    ":text",
    ":not",
    ":above",
    ":below",
    ":in",
    ":not-in",
    ":identifier",
    ":of-type",
    ":iterate",
    ":Patient",
    ":recurse",
    ":",
    "::",
    ":nonsense",
    ":missing:exact",
    ":Patient.name",
    ".name",
    ".subject.name",
    ":Patient.",
    ".",
    "..",
]
PREFIXES: Final = ["eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap", "EQ"]
_FITTING: Final[dict[str, tuple[str, ...]]] = {
    "string": ("Müller", "a", "mull", "%", "_", "a b", "İ", "e\u0301"),
    "token": ("http://loinc.org|8867-4", "8867-4", "http://loinc.org|", "|x", "true", "female", "active", "final", "ß"),
    "date": (
        "2026-11-20",
        "2026",
        "2026-11-20T08:15:30.123+01:00",
        "0001",
        "9999-12-31T23:59:59Z",
        "2026-11-20T08:15Z",
    ),
    "number": ("0.25", "0", "1e-3", "100", "-1.50", "1E10"),
    "quantity": (
        "72.5",
        "72.5|http://unitsofmeasure.org|/min",
        "5.4||g",
        "1e2|http://unitsofmeasure.org|mg",
        "0|http://x|y",
    ),
    "reference": (
        "Patient/anna",
        "anna",
        "http://elsewhere/Patient/1",
        "Observation/rate",
        "urn:uuid:x",
        "http://example.org/set|1",
    ),
    "uri": ("http://example.org/set", "urn:oid:1.2.3", "http://example.org/set|1", "http://example.org/"),
    "composite": (
        "8480-6$107",
        "http://loinc.org|8480-6$gt100",
        "8867-4$2026",
        "a$b",
        "8480-6$107$1",
        "Patient/anna$a",
    ),
    "special": ("52.5|13.4|10|km", "52.5|13.4", "a", "list"),
}
_OF_PLACES: Final = (":above", ":below")
_FITTING_MODIFIERS: Final[dict[str, tuple[str, ...]]] = {
    "string": (":exact", ":contains", ":missing", ":text"),
    "token": (":not", ":text", ":in", ":not-in", ":above", ":below", ":of-type", ":missing"),
    "reference": (
        ":Patient",
        ":identifier",
        ":missing",
        ".name",
        ":Patient.name",
        ":Patient.organization.name",
        ".code",
        *_OF_PLACES,
    ),
    "uri": (":above", ":below", ":missing"),
}
_ORDERED: Final = frozenset(("date", "number", "quantity"))


def fitting(kind: str, name: str, chance: random.Random) -> tuple[str, str]:
    """A parameter with a modifier and a value that it may have."""
    of = search_parameters(kind)[name].kind
    modifier = chance.choice(("", "", *_FITTING_MODIFIERS.get(of, (":missing",))))
    if modifier == ":missing":
        return name + modifier, chance.choice(("true", "false"))
    if of == "reference" and modifier in _OF_PLACES:
        return name + modifier, _place(search_parameters(kind)[name].targets, chance)
    prefix = chance.choice(PREFIXES[:-1]) if of in _ORDERED and chance.random() < 0.7 else ""
    return name + modifier, ",".join(
        prefix + value for value in chance.choices(_FITTING[of], k=chance.choice((1, 1, 2)))
    )


def _place(targets: Collection[str], chance: random.Random) -> str:
    """Something that may be a part of its like, where the parameter leads to any: one that is there, or not."""
    known = [place for place in PLACES if place.partition("/")[0] in targets and place.partition("/")[0] in parents()]
    others = [f"{target}/x" for target in sorted(targets) if target in parents()]
    return chance.choice((*known, *known, *others, "Patient/anna"))


def sweep(seed: int) -> Iterator[Request]:
    """Every search parameter of every type once, most with a modifier and a value that fit, some with any."""
    chance = random.Random(seed)
    for kind in resource_types():
        for name in sorted(search_parameters(kind)):
            pair = fitting(kind, name, chance)
            if chance.random() < 0.3:
                value = chance.choice(("", *PREFIXES)) + chance.choice(NASTY)
                pair = (name + chance.choice(("", "", *MODIFIERS)), value)
            asked = query([pair])
            yield Request("GET", f"/fhir/{kind}?{asked}&_count=2", "system")
