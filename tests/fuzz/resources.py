"""Resources of every type as the R4 schema has them, valid as far as a schema can say, and the same with a part bent.

Made from a seed by `random`, not drawn piece by piece: a resource of a hundred elements takes no longer than its answer.
"""

from __future__ import annotations

import json
import random
from typing import Any, Final

from hypothesis import strategies as st

from fhir_facade.fhir.definitions import resource_types
from fhir_facade.fhir.validation.tables import asset
from tests.fuzz.seeds import PLACES, SEEDS
from tests.fuzz.values import JSON, NASTY, VALUES

_DEFINITIONS: Final[dict[str, Any]] = asset()["definitions"]
_CHECKS: Final[dict[str, Any]] = asset()["checks"]
_NESTED: Final = ("Patient", "Device", "Observation", "Binary", "Parameters")
DEEPEST: Final = 5
_MOMENTS: Final = (
    "2026-11-20T08:15:30.123+01:00",
    "2026-11-20T08:15:30Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:60Z",
)
_DATES: Final = ("2026", "2026-02", "2024-02-29", "0001", "9999-12-31")
_URIS: Final = (
    "http://loinc.org",
    "http://unitsofmeasure.org",
    "http://example.org/set",
    "urn:oid:1.2.3",
    "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9",
)
_PRIMITIVES: Final[dict[str, tuple[Any, ...]]] = {
    "base64Binary": ("aGVsbG8=", "AA=="),
    "boolean": (True, False),
    "canonical": ("http://example.org/set|1", "http://example.org/set", "http://example.org/set|1#a"),
    "code": ("8867-4", "a", "b c", "ß"),
    "currency": ("EUR", "USD"),
    "date": _DATES,
    "dateTime": (*_DATES, *_MOMENTS),
    "decimal": (0, 72.5, -1, 1e-9, 12345678901234567890.5, 0.000),
    "elementId": ("e1", "e2"),
    "id": ("anna", "x.y-1", "a" * 64),
    "instant": _MOMENTS,
    "integer": (0, -1, 2147483647, -2147483648),
    "markdown": ("*a*", "<script>", "a\nb"),
    "mimeType": ("text/plain", "application/fhir+json", "image/png; a=b"),
    "oid": ("urn:oid:1.2.3",),
    "positiveInt": (1, 2147483647),
    "string": ("a", "Müller", "İ", "e\u0301", "a" * 3000, "%_\\", "😀", "\u202e", "'\"", "a,b|c$d"),
    "time": ("23:59:60", "00:00:00.1"),
    "unsignedInt": (0, 2147483647),
    "uri": (*_URIS, "a", "Patient/anna"),
    "url": (*_URIS, "mailto:a@b"),
    "uuid": ("urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9",),
    "xhtml": ('<div xmlns="http://www.w3.org/1999/xhtml"><p>a &amp; b</p></div>',),
}


def made(kind: str, seed: int) -> dict[str, Any]:
    """A resource of this type; the same seed makes the same one."""
    chance = random.Random(seed)
    body = _object(kind, chance, 0)
    body.pop("implicitRules", None)
    return {**body, "resourceType": kind}


def _object(name: str, chance: random.Random, depth: int) -> dict[str, Any]:
    definition = _DEFINITIONS[name]
    members: dict[str, Any] = definition["properties"]
    checks: dict[str, Any] = _CHECKS.get(name, {})
    wanted = [*definition.get("required", ()), *(_one_of(each, chance) for each in definition.get("allOf", ()))]
    free = [member for member in members if member not in wanted and not _seldom(member, depth, chance)]
    some = chance.sample(free, min(len(free), chance.choice((1, 2, 4, 8)) if depth < DEEPEST else 1))
    chosen: dict[str, str] = {}
    for member in [*wanted, *some]:
        chosen.setdefault(checks.get(member, {}).get("choice", member), member)  # of value[x] only one
    found = {
        member: _value(members[member], chance, depth, checks.get(member, {}).get("targets"))
        for member in chosen.values()
        if member in members
    }
    return _consistent({member: value for member, value in found.items() if value not in ({}, [], None, [{}])})


def _consistent(found: dict[str, Any]) -> dict[str, Any]:
    """What an invariant asks for beside a member: a code of a quantity has a system, a value of an extension is alone."""
    if "code" in found and "value" in found:
        found["system"] = _URIS[1]
    if "url" in found and any(name.startswith("value") for name in found):
        found.pop("extension", None)
    return found


def _seldom(member: str, depth: int, chance: random.Random) -> bool:
    """Whether to leave out a member that most resources do not have, and that breaks a rule more often than not."""
    rare = member in ("extension", "modifierExtension", "contained", "implicitRules") or (member == "id" and depth > 0)
    return member.startswith("_") or (rare and chance.random() < 0.95)


def _one_of(either: dict[str, Any], chance: random.Random) -> str:
    """One of the members of which one is needed."""
    ways = [way["required"][0] for way in either.get("anyOf", ()) if "required" in way]
    plain = [way for way in ways if not way.startswith("_")]
    return chance.choice(plain or ways or [""])


def _value(schema: dict[str, Any], chance: random.Random, depth: int, targets: list[str] | None) -> Any:
    if "enum" in schema:
        return chance.choice(schema["enum"])
    if "items" in schema:
        return [_value(schema["items"], chance, depth, targets) for _ in range(chance.choice((1, 1, 2)))]
    name = schema["$ref"].removeprefix("#/definitions/").removesuffix("?")
    if name in _PRIMITIVES:
        return chance.choice(_PRIMITIVES[name])
    if name == "ResourceList":
        return None if depth else {**made(chance.choice(_NESTED), chance.randrange(2**32)), "id": "c"}
    if name == "Reference":
        return _reference(chance, targets)
    return None if depth > DEEPEST else _object(name, chance, depth + 1)


def _reference(chance: random.Random, targets: list[str] | None) -> dict[str, Any]:
    """To something that is there and may be meant, or else to nothing in particular."""
    fitting = [place for place in PLACES if not targets or place.partition("/")[0] in targets]
    return {"reference": chance.choice(fitting)} if fitting else {"display": "somebody"}


def _at_a_place(document: Any, chance: random.Random) -> tuple[Any, Any]:
    """A container somewhere in a document and one of its keys."""
    place: Any = document
    while True:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not (isinstance(place[key], dict | list) and place[key]) or chance.random() < 0.3:
            return place, key
        place = place[key]


def bent(document: dict[str, Any], seed: int, value: Any) -> dict[str, Any]:
    """A copy with one part replaced by the value, put under another name, doubled or taken away."""
    chance = random.Random(seed)
    copy: dict[str, Any] = json.loads(json.dumps(document))
    place, key = _at_a_place(copy, chance)
    way = chance.randrange(6)
    if way == 0 and isinstance(place, dict):
        place[f"_{key}"] = value
    elif way == 1 and isinstance(place, dict):
        place[chance.choice((*NASTY, "extension", "resourceType", "id", "contained", "reference"))] = place.pop(key)
    elif way == 2:
        place[key] = [place[key], value]
    elif way == 3:
        del place[key]
    else:
        place[key] = value
    return copy


TYPES: Final = st.one_of(
    st.sampled_from(resource_types()), st.sampled_from(sorted({one["resourceType"] for one in SEEDS}))
)
_SEEDS: Final = st.integers(0, 2**32)
MADE: Final = st.builds(made, TYPES, _SEEDS)
SOUND: Final = st.one_of(st.sampled_from(SEEDS), MADE)
"""What should be accepted, or refused for a reason that no schema knows."""
BENT: Final = st.builds(bent, SOUND, _SEEDS, JSON)
RESOURCES: Final = st.one_of(SOUND, BENT, BENT)
ODD: Final = st.one_of(
    JSON, st.builds(lambda kind, rest: {"resourceType": kind, "x": rest}, st.one_of(TYPES, VALUES), JSON), RESOURCES
)
