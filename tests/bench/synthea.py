"""Published synthetic records as the data of the benchmark: whole lives of people, as Synthea's transactions hold them.

What is stored beforehand has the ids of its `fullUrl`s, so that every server holds the same; `import` sends the
transactions nearly as they were published. https://github.com/synthetichealth/synthea
"""

from __future__ import annotations

import bz2
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.bench.data import LOINC, PAGE, Request, Resource, encoded, without_id

SEARCHED_DAYS = 3 * 365
LARGEST_IMPORT = 1_000_000  # bytes
READS, WRITES, PAGES = 2000, 1000, 200
MARK = "~copy~"
_URN = "urn:uuid:"


@dataclass(frozen=True, slots=True)
class _Reading:
    """An Observation with a number: what searches are made of."""

    id: str
    patient: str
    code: str
    day: date
    value: float
    unit: str
    system: str


class Synthea:
    """`Data` out of a folder with `*.json.bz2`, each patient `copies` times."""

    def __init__(self, folder: Path, copies: int = 1) -> None:
        self._published = [bz2.decompress(file.read_bytes()) for file in sorted(folder.glob("*.json.bz2"))]
        if not self._published:
            raise ValueError(f"{folder} holds no *.json.bz2: name a folder of Synthea's transactions")
        self._copies = copies

    @cached_property
    def _entries(self) -> list[list[Resource]]:
        return [json.loads(text)["entry"] for text in self._published]

    @cached_property
    def _shared(self) -> list[list[Resource]]:
        """Who treats, and where: of no patient."""
        return [entries for entries in self._entries if not _about_patient(entries)]

    @cached_property
    def _bundles(self) -> list[list[Resource]]:
        """The resources of each transaction, what others refer to first. Ids of what belongs to a patient have a MARK."""
        read, shared = self._entries, self._shared
        known = {key: place for entries in shared for entry in entries for key, place in _named(entry)}
        found = [[_stored(entry, known, "") for entry in entries] for entries in shared]
        for entries in filter(_about_patient, read):
            own = known | {entry["fullUrl"]: f"{_place(entry)}{MARK}" for entry in entries}
            found.append([_stored(entry, own, MARK) for entry in entries])
        return found

    @cached_property
    def _all(self) -> list[Resource]:
        return [resource for bundle in self._bundles for resource in bundle]

    @cached_property
    def _observations(self) -> list[Resource]:
        return [each for each in self._all if each["resourceType"] == "Observation"]

    @cached_property
    def _people(self) -> Mapping[str, Resource]:
        return {_address(each): each for each in self._all if each["resourceType"] == "Patient"}

    @cached_property
    def _readings(self) -> list[_Reading]:
        return [reading for each in self._observations if (reading := _reading(each)) is not None]

    @property
    def patients(self) -> int:
        return len(self._people) * self._copies

    @property
    def observations(self) -> int:
        return len(self._observations) * self._copies

    def stored(self) -> Iterator[bytes]:
        for bundle in self._bundles:
            entries = [{"resource": each, "request": {"method": "PUT", "url": _address(each)}} for each in bundle]
            text = encoded({"resourceType": "Bundle", "type": "transaction", "entry": entries})
            copies = self._copies if MARK.encode() in text else 1
            yield from (text.replace(MARK.encode(), _tail(copy).encode()) for copy in range(copies))

    def requests(self, operation: str, *, run: int, offset: bool) -> list[Request]:
        chance = random.Random(f"{operation} {run}")
        return [self._of_a_copy(asked, chance) for asked in self._requests(operation, chance, run, offset)]

    def _of_a_copy(self, request: Request, chance: random.Random) -> Request:
        method, path, body = request
        tail = _tail(chance.randrange(self._copies))
        return method, path.replace(MARK, tail), body.replace(MARK.encode(), tail.encode())

    def _requests(self, operation: str, chance: random.Random, run: int, offset: bool) -> list[Request]:
        match operation:
            case "read":
                return [("GET", f"/{_address(each)}", b"") for each in chance.choices(self._all, k=READS)]
            case "create":
                made = chance.choices(self._observations, k=WRITES)
                return [("POST", "/Observation", encoded(without_id(each))) for each in made]
            case "update":
                all_once = chance.sample(
                    self._observations, k=len(self._observations)
                )  # HAPI refuses two at once of one
                return [_update(each, f"{run} {n}") for n, each in enumerate(islice(cycle(all_once), WRITES))]
            case "search":
                return [self._search(reading, offset) for reading in chance.choices(self._readings, k=PAGES)]
            case "mixed":
                return [asked for reading in chance.choices(self._readings, k=PAGES) for asked in self._mixed(reading)]
            case "everything":
                people = chance.choices(list(self._people), k=PAGES)
                return [("GET", f"/{person}/$everything?_count=50", b"") for person in people]
        return [("POST", "", text) for text in self._imports]

    @cached_property
    def _imports(self) -> list[bytes]:
        """The smaller transactions as they were published, but for conditional references: HAPI takes them when its
        configuration says so."""
        small = [json.loads(text) for text in self._published if len(text) <= LARGEST_IMPORT]
        known = {key: place for bundle in self._shared for entry in bundle for key, place in _named(entry)}
        found = [bundle for bundle in small if _about_patient(bundle["entry"])]
        return [encoded(_resolved(bundle, known)) for bundle in found]

    def _search(self, reading: _Reading, offset: bool) -> Request:
        """One patient, one code, the years around one reading, newest first."""
        since, until = (reading.day + timedelta(days=days) for days in (-SEARCHED_DAYS // 2, SEARCHED_DAYS // 2))
        what = f"patient=Patient/{reading.patient}&code={_token(LOINC, reading.code)}&date=ge{since}&date=lt{until}"
        page = f"_sort=-date&_count={PAGE}{'&_offset=0' if offset else ''}"
        return "GET", f"/Observation?{what}&{page}", b""

    def _mixed(self, reading: _Reading) -> list[Request]:
        """String, date, token, reference, quantity, composite, chain, reverse chain, with what is referred to."""
        whose, code = f"Patient/{reading.patient}", _token(LOINC, reading.code)
        person = self._people[whose]
        family, number = person["name"][0]["family"], person["identifier"][0]
        above = f"gt{reading.value * 0.98:.4g}"
        paths = [
            f"/Patient?family={quote(family)}",
            f"/Observation?date=ge{reading.day}&date=lt{reading.day + timedelta(days=1)}",
            f"/Patient?identifier={_token(number['system'], number['value'])}",
            f"/Encounter?subject={whose}",
            f"/Observation?patient={whose}&value-quantity={above}{quote(f'|{reading.system}|{reading.unit}', safe='')}",
            f"/Observation?patient={whose}&code-value-quantity={reading.code}${above}",
            f"/Observation?patient.family={quote(family)}&code={code}",
            f"/Patient?_has:Encounter:patient:date=ge{reading.day}&family={quote(family)}",
            f"/DiagnosticReport?patient={whose}&_include=DiagnosticReport:encounter",
        ]
        return [("GET", f"{path}&_count={PAGE}", b"") for path in paths]


def _tail(copy: int) -> str:
    return f"-{copy}" if copy else ""


def _about_patient(entries: Sequence[Resource]) -> bool:
    return any(entry["resource"]["resourceType"] == "Patient" for entry in entries)


def _place(entry: Resource) -> str:
    return f"{entry['resource']['resourceType']}/{entry['fullUrl'].removeprefix(_URN)}"


def _named(entry: Resource) -> Iterator[tuple[str, str]]:
    """The conditional references that mean an entry, and its own `fullUrl`, with where it is stored."""
    yield entry["fullUrl"], _place(entry)
    kind = entry["resource"]["resourceType"]
    for identifier in entry["resource"].get("identifier", ()):
        yield f"{kind}?identifier={identifier['system']}|{identifier['value']}", _place(entry)


def _stored(entry: Resource, places: Mapping[str, str], mark: str) -> Resource:
    kind, id_ = _place(entry).split("/")
    return {**_resolved(entry["resource"], places), "resourceType": kind, "id": f"{id_}{mark}"}


def _resolved(value: Any, places: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_resolved(item, places) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: _resolved(item, places) for name, item in value.items()}
    if isinstance(text := found.get("reference"), str) and text in places:
        found["reference"] = places[text]
    return found


def _address(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _reading(resource: Resource) -> _Reading | None:
    quantity, at = resource.get("valueQuantity", {}), resource.get("effectiveDateTime", "")
    coding = resource["code"]["coding"][0]
    if "code" not in quantity or coding.get("system") != LOINC or len(at) < len("2026-11-21"):
        return None
    patient = resource["subject"]["reference"].removeprefix("Patient/")
    unit, system = quantity["code"], quantity["system"]
    return _Reading(
        resource["id"], patient, coding["code"], date.fromisoformat(at[:10]), quantity["value"], unit, system
    )


def _update(resource: Resource, salt: str) -> Request:
    """A note that no update before had, so that every one makes a version."""
    changed = {**resource, "note": [{"text": f"looked at again, {salt}"}]}
    return "PUT", f"/{_address(resource)}", encoded(changed)


def _token(system: str, code: str) -> str:
    return quote(f"{system}|{code}", safe="")
