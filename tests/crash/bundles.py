"""Transactions of every kind of entry, and the record that they are about.

Each kind is a row of KINDS: what is stored before, and the entries. Every resource carries three identifiers: that of
its case, its own, and one that names the state it is in, by which a search finds it in no other.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.crash.lives import Case

Resource = dict[str, Any]
Entry = dict[str, Any]

CASE, OWN, STATE = "urn:case", "urn:own", "urn:state"
TYPES = ("Patient", "Observation", "Condition", "Encounter")
CALM, HIGH = 80, 140
VERY_HIGH = "heart-rate-very-high"


@dataclass(frozen=True, slots=True)
class Kind:
    """`stored`: what is there before; `entries`: what is asked for; both for the number of a repetition."""

    stored: Callable[[Case, int], list[Resource]]
    entries: Callable[[Case, int], list[Entry]]


def identifiers(case: Case, name: str, state: str) -> list[dict[str, str]]:
    values = ((CASE, case.prefix), (OWN, case.name(name)), (STATE, f"{case.name(name)}.{state}"))
    return [{"system": system, "value": value} for system, value in values]


def patient(case: Case, name: str, state: str = "before") -> Resource:
    return {"resourceType": "Patient", "id": case.name(name), "identifier": identifiers(case, name, state)}


def condition(case: Case, name: str, state: str = "before") -> Resource:
    return {
        "resourceType": "Condition",
        "id": case.name(name),
        "identifier": identifiers(case, name, state),
        "subject": {"reference": f"Patient/{case.name('ward')}"},
        "code": {"text": state},
    }


def encounter(case: Case, name: str, subject: str) -> Resource:
    return {
        "resourceType": "Encounter",
        "id": case.name(name),
        "identifier": identifiers(case, name, "after"),
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": subject},
    }


def heart_rate(case: Case, name: str, subject: str, value: int, state: str = "before") -> Resource:
    unit = {"unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}
    category = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {
        "resourceType": "Observation",
        "id": case.name(name),
        "identifier": identifiers(case, name, state),
        "status": "final",
        "category": [{"coding": [{"system": category, "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": subject},
        "effectiveDateTime": f"{case.clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "valueQuantity": {"value": value, **unit},
    }


def put(resource: Resource) -> Entry:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def post(resource: Resource, **more: str) -> Entry:
    without_id = {name: value for name, value in resource.items() if name != "id"}
    return {"resource": without_id, "request": {"method": "POST", "url": resource["resourceType"]} | more}


def bundle(entries: Iterable[Entry], kind: str = "transaction") -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries)}).encode()


# --- the kinds ------------------------------------------------------------------------------------------------


def _nothing(case: Case, number: int) -> list[Resource]:
    return []


def _family(case: Case, number: int) -> list[Entry]:
    """Two new resources of which one names the other before either has an id."""
    url = f"urn:uuid:0e3f1d6c-7d3a-4f6b-9b51-{number:012}"
    child = heart_rate(case, f"child{number}", url, CALM, "after")
    return [post(child), {"fullUrl": url, **post(patient(case, f"parent{number}", "after"))}]


def _patched(case: Case, number: int) -> list[Entry]:
    name = f"patched{number}"
    patch = [
        {"op": "replace", "path": "/valueQuantity/value", "value": CALM + 1},
        {"op": "replace", "path": "/identifier", "value": identifiers(case, name, "after")},
    ]
    data = base64.b64encode(json.dumps(patch).encode()).decode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}
    return [{"resource": binary, "request": {"method": "PATCH", "url": f"Observation/{case.name(name)}"}}]


def _who(case: Case, name: str) -> str:
    return f"identifier={OWN}|{case.name(name)}"


def _deletion(url: str) -> Entry:
    return {"request": {"method": "DELETE", "url": url}}


def _ward(case: Case) -> str:
    return f"Patient/{case.name('ward')}"


def _sick(case: Case, number: int) -> str:
    """Each alert has a patient of its own."""
    return f"Patient/{case.name(f'sick{number}')}"


def _on_condition(name: str, url: Callable[[Case, int], str]) -> Kind:
    """An update of a stored Condition, named by its id or by a condition on it."""

    def entries(case: Case, number: int) -> list[Entry]:
        after = condition(case, f"{name}{number}", "after")
        return [{"resource": after, "request": {"method": "PUT", "url": url(case, number)}}]

    return Kind(lambda case, number: [condition(case, f"{name}{number}")], entries)


def _alarm(case: Case, number: int) -> Resource:
    return heart_rate(case, f"alarm{number}", _sick(case, number), HIGH)


KINDS: dict[str, Kind] = {
    "create": Kind(_nothing, _family),
    "update": _on_condition("updated", lambda case, n: f"Condition/{case.name(f'updated{n}')}"),
    "update-by-condition": _on_condition("met", lambda case, n: f"Condition?{_who(case, f'met{n}')}"),
    "update-as-create": Kind(_nothing, lambda case, n: [put(encounter(case, f"visit{n}", _ward(case)))]),
    "update-of-nothing": Kind(
        lambda case, n: [condition(case, f"same{n}")], lambda case, n: [put(condition(case, f"same{n}"))]
    ),
    "patch": Kind(lambda case, n: [heart_rate(case, f"patched{n}", _ward(case), CALM)], _patched),
    "delete": Kind(
        lambda case, n: [patient(case, f"left{n}")], lambda case, n: [_deletion(f"Patient/{case.name(f'left{n}')}")]
    ),
    "delete-by-condition": Kind(
        lambda case, n: [condition(case, f"over{n}")],
        lambda case, n: [_deletion(f"Condition?{_who(case, f'over{n}')}")],
    ),
    "create-unless-there": Kind(
        _nothing, lambda case, n: [post(patient(case, f"once{n}", "after"), ifNoneExist=_who(case, f"once{n}"))]
    ),
    "create-of-what-is-there": Kind(
        lambda case, n: [patient(case, f"known{n}")],
        lambda case, n: [post(patient(case, f"known{n}", "after"), ifNoneExist=_who(case, f"known{n}"))],
    ),
    "reference-by-condition": Kind(
        _nothing, lambda case, n: [post(encounter(case, f"asked{n}", f"Patient?{_who(case, 'ward')}"))]
    ),
    "alert-begins": Kind(
        lambda case, n: [patient(case, f"sick{n}")],
        lambda case, n: [post(heart_rate(case, f"high{n}", _sick(case, n), HIGH, "after"))],
    ),
    "alert-ends": Kind(
        lambda case, n: [patient(case, f"sick{n}"), _alarm(case, n)],
        lambda case, n: [put(_alarm(case, n) | {"status": "entered-in-error"})],
    ),
    "read": Kind(_nothing, lambda case, n: [{"request": {"method": "GET", "url": _ward(case)}}]),
}
RICH = tuple(kind for kind in KINDS if kind != "read")
"""One of everything. A read is answered after all is written, so that it adds a step and no more."""
SMALL = ("update", "delete", "alert-begins")

APART = ("update", "update-as-create", "patch", "delete", "create-unless-there", "alert-begins", "alert-ends")
"""Entries that need no other."""


@dataclass(frozen=True, slots=True)
class Story:
    """A transaction made of these kinds of entries."""

    kinds: tuple[str, ...]

    def stored(self, case: Case) -> list[Resource]:
        found = (kind.stored(case, number) for number, kind in self._numbered())
        return [patient(case, "ward"), *(resource for some in found for resource in some)]

    def entries(self, case: Case) -> list[Entry]:
        return [entry for number, kind in self._numbered() for entry in kind.entries(case, number)]

    def patients(self, case: Case) -> list[str]:
        """Those who may have an alert."""
        return [case.name(f"sick{number}") for number, name in enumerate(self.kinds) if name.startswith("alert")]

    def _numbered(self) -> list[tuple[int, Kind]]:
        return [(number, KINDS[name]) for number, name in enumerate(self.kinds)]
