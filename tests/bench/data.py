"""Patients and vital-sign Observations made from numbers alone, and the requests that the benchmark sends.

The same seed makes the same bytes, so every server holds and answers the same data. https://hl7.org/fhir/R4/observation.html
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
FIRST_DAY = datetime(2026, 1, 1, 6, 30, tzinfo=UTC)
EVERY = timedelta(hours=36)
PAGE = 20
RANGE_DAYS = 40


@dataclass(frozen=True, slots=True)
class Sign:
    """A vital sign with believable bounds in tenths of its unit."""

    code: str
    display: str
    unit: str
    ucum: str
    low: int
    high: int


SIGNS = (
    Sign("8867-4", "Heart rate", "beats/minute", "/min", 520, 1080),
    Sign("9279-1", "Respiratory rate", "breaths/minute", "/min", 110, 210),
    Sign("8310-5", "Body temperature", "Cel", "Cel", 359, 382),
    Sign("29463-7", "Body weight", "kg", "kg", 540, 960),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is stored before anything is measured."""

    patients: int = 100
    readings: int = 30  # per patient and vital sign

    @property
    def observations(self) -> int:
        return self.patients * self.readings * len(SIGNS)


Resource = dict[str, Any]


def patient(number: int) -> Resource:
    return {
        "resourceType": "Patient",
        "id": patient_id(number),
        "identifier": [{"system": "urn:oid:2.999.1", "value": f"P{number:05}"}],
        "active": True,
        "name": [{"use": "official", "family": f"Family{number}", "given": [f"Given{number}"]}],
        "gender": "female" if number % 2 else "male",
        "birthDate": f"{1940 + number % 60}-{1 + number % 12:02}-{1 + number % 28:02}",
    }


def patient_id(number: int) -> str:
    return f"bench-p{number}"


def observation_id(patient: int, sign: int, reading: int) -> str:
    return f"bench-o{patient}-{sign}-{reading}"


def observation(patient: int, sign: int, reading: int, *, salt: str = "") -> Resource:
    """One reading. `salt` changes the value and a note, nothing else: a new version for an update."""
    chosen, chance = SIGNS[sign], random.Random(f"{patient}/{sign}/{reading}/{salt}")
    at = FIRST_DAY + reading * EVERY + timedelta(seconds=chance.randrange(3600))
    value = chance.randint(chosen.low, chosen.high)
    return {
        "resourceType": "Observation",
        "id": observation_id(patient, sign, reading),
        "identifier": [{"system": "urn:oid:2.999.2", "value": f"R{patient}-{sign}-{reading}"}],
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs", "display": "Vital Signs"}]}],
        "code": {"coding": [{"system": LOINC, "code": chosen.code, "display": chosen.display}], "text": chosen.display},
        "subject": {"reference": f"Patient/{patient_id(patient)}", "display": f"Given{patient} Family{patient}"},
        "effectiveDateTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "issued": (at + timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "performer": [{"reference": f"Patient/{patient_id(patient)}"}],
        "valueQuantity": {"value": value / 10, "unit": chosen.unit, "system": UCUM, "code": chosen.ucum},
        "interpretation": [{"coding": [{"system": INTERPRETATION, "code": "N", "display": "Normal"}]}],
        "note": [{"text": f"taken at rest by a home device{f', {salt}' if salt else ''}"}],
        "referenceRange": [{"low": _bound(chosen, chosen.low), "high": _bound(chosen, chosen.high)}],
    }


def _bound(sign: Sign, tenths: int) -> Resource:
    return {"value": tenths / 10, "unit": sign.unit, "system": UCUM, "code": sign.ucum}


def encoded(resource: Resource) -> bytes:
    return json.dumps(resource, separators=(",", ":")).encode()


def without_id(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "id"}


def _places(size: Size) -> Iterator[tuple[int, int, int]]:
    """Every (patient, sign, reading), in an order that jumps between patients as real traffic does."""
    for reading in range(size.readings):
        for sign in range(len(SIGNS)):
            for number in range(size.patients):
                yield number, sign, reading


def stored_bundles(size: Size, entries: int = 200) -> Iterator[bytes]:
    """Everything that is there before measuring, as transactions of PUTs: the same ids on every server."""
    resources = [patient(number) for number in range(size.patients)]
    yield _transaction(_put(resource) for resource in resources)
    batch = [observation(*place) for place in _places(size)]
    for start in range(0, len(batch), entries):
        yield _transaction(_put(resource) for resource in batch[start : start + entries])


def _put(resource: Resource) -> Resource:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def _post(resource: Resource, number: int) -> Resource:
    full_url = f"urn:uuid:00000000-0000-4000-8000-{number:012}"
    request = {"method": "POST", "url": resource["resourceType"]}
    return {"fullUrl": full_url, "resource": without_id(resource), "request": request}


def _transaction(entries: Iterable[Resource]) -> bytes:
    return encoded({"resourceType": "Bundle", "type": "transaction", "entry": list(entries)})


# --- requests: (method, path below the base, body) -------------------------------------------------------------------

Request = tuple[str, str, bytes]


def reads(size: Size, amount: int = 2000) -> list[Request]:
    return [("GET", f"/Observation/{observation_id(*place)}", b"") for place in _sample(size, amount)]


def creates(size: Size, amount: int = 1000) -> list[Request]:
    resources = (without_id(observation(*place, salt="new")) for place in _sample(size, amount))
    return [("POST", "/Observation", encoded(resource)) for resource in resources]


def updates(size: Size, run: int, amount: int = 500) -> list[Request]:
    """Each resource appears with two values that no earlier run sent, so that every update makes a version."""
    sample = list(_sample(size, amount))
    changed = [observation(*place, salt=f"run {run} {half}") for half in (1, 2) for place in sample]
    return [("PUT", f"/Observation/{resource['id']}", encoded(resource)) for resource in changed]


def searches(size: Size, *, offset: bool) -> list[Request]:
    """One patient, one code, forty days, newest first. `offset` is HAPI's own way to a page without a stored search."""
    found = []
    since = FIRST_DAY - timedelta(days=1)
    until = since + timedelta(days=RANGE_DAYS)
    dates = f"date=ge{since:%Y-%m-%d}&date=lt{until:%Y-%m-%d}"
    for sign in SIGNS:
        for number in range(size.patients):
            what = f"patient=Patient/{patient_id(number)}&code={quote(f'{LOINC}|{sign.code}', safe='')}&{dates}"
            page = f"_sort=-date&_count={PAGE}{'&_offset=0' if offset else ''}"
            found.append(("GET", f"/Observation?{what}&{page}", b""))
    random.Random(7).shuffle(found)
    return found


def mixed(size: Size) -> list[Request]:
    """One of each way to search, for every patient in turn: string, date, token, reference, quantity, composite, chain,
    reverse chain, with what is referred to."""
    found = [request for number in range(size.patients) for request in mixed_of(number)]
    random.Random(13).shuffle(found)
    return found


def mixed_of(number: int) -> list[Request]:
    """Those of one patient, in this order."""
    sign, whose = SIGNS[number % len(SIGNS)], f"Patient/{patient_id(number)}"
    code, day = quote(f"{LOINC}|{sign.code}", safe=""), FIRST_DAY + timedelta(days=number % RANGE_DAYS)
    above = f"gt{(sign.low + 4 * sign.high) / 50:g}"
    unit = quote(f"|{UCUM}|{sign.ucum}", safe="")
    paths = [
        f"/Patient?family=Family{number}",
        f"/Observation?date=ge{day:%Y-%m-%d}&date=lt{day + timedelta(days=1):%Y-%m-%d}",
        f"/Observation?identifier={quote(f'urn:oid:2.999.2|R{number}-0-0', safe='')}",
        f"/Observation?subject={whose}&category=vital-signs",
        f"/Observation?patient={whose}&value-quantity={above}{unit}",
        f"/Observation?patient={whose}&code-value-quantity={sign.code}${above}",
        f"/Observation?patient.family=Family{number}&code={code}",
        f"/Patient?_has:Observation:patient:identifier={quote(f'urn:oid:2.999.2|R{number}-1-1', safe='')}",
        f"/Observation?patient={whose}&code={code}&_include=Observation:subject",
    ]
    return [("GET", f"{path}&_count={PAGE}", b"") for path in paths]


def everything(size: Size, amount: int = 200) -> list[Request]:
    """The first page of all that is there about a patient."""
    numbers = random.Random(17).choices(range(size.patients), k=amount)
    return [("GET", f"/Patient/{patient_id(number)}/$everything?_count=50", b"") for number in numbers]


def imports(size: Size, bundles: int = 20, entries: int = 100) -> list[Request]:
    sample = list(_sample(size, bundles * entries))
    parts = [sample[start : start + entries] for start in range(0, len(sample), entries)]
    return [
        ("POST", "", _transaction(_post(observation(*p, salt="in"), i) for i, p in enumerate(part))) for part in parts
    ]


class Data(Protocol):
    """What every server holds before anything is measured, and what it is asked then."""

    @property
    def patients(self) -> int: ...

    @property
    def observations(self) -> int: ...

    def stored(self) -> Iterator[bytes]:
        """Transactions of PUTs: the same ids on every server."""

    def requests(self, operation: str, *, run: int, offset: bool) -> list[Request]:
        """The updates of one `run` repeat nothing of another. `offset`: pages as HAPI gives them best."""


@dataclass(frozen=True, slots=True)
class Made:
    """`Data` of the numbers alone."""

    size: Size

    @property
    def patients(self) -> int:
        return self.size.patients

    @property
    def observations(self) -> int:
        return self.size.observations

    def stored(self) -> Iterator[bytes]:
        return stored_bundles(self.size)

    def requests(self, operation: str, *, run: int, offset: bool) -> list[Request]:
        if operation == "update":
            return updates(self.size, run)
        return searches(self.size, offset=offset) if operation == "search" else _FIXED[operation](self.size)


_FIXED: dict[str, Callable[[Size], list[Request]]] = {
    "read": reads,
    "create": creates,
    "import": imports,
    "mixed": mixed,
    "everything": everything,
}


def _sample(size: Size, amount: int) -> Iterator[tuple[int, int, int]]:
    places = list(_places(size))
    chance = random.Random(11)
    if amount <= len(places):
        yield from chance.sample(places, amount)
    else:
        yield from chance.choices(places, k=amount)
