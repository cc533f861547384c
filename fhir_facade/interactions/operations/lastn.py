"""`$lastn`: the last observations of a patient for each code, newest first.

https://hl7.org/fhir/R4/observation-operation-lastn.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeGuard

from fhir_facade.errors import BadRequest, Issue, TooLarge
from fhir_facade.fhir.bundle import Found, searchset
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.extract.dates import MIN_US, SECOND_US, interval
from fhir_facade.fhir.operations import Inputs
from fhir_facade.fhir.query import parse_query
from fhir_facade.interactions.audit import audit_lines, patients_asked_about, patients_of_stored, record_lines
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.matches import AT_ONCE, NEWEST_FIRST, NOT_IN_ERROR, matches
from fhir_facade.interactions.pages import Asked, page_links
from fhir_facade.interactions.stored_codes import stored_codes
from fhir_facade.values import (
    Criterion,
    FhirResponse,
    JsonObject,
    Match,
    Page,
    SearchQuery,
    StoredResource,
)

MOST: Final = 5000
_SUBJECTS: Final = frozenset(("patient", "subject"))

LEAST: Final = 20
"""Observations that are read together at least where the newest are enough."""

Candidate = tuple[int, StoredResource, JsonObject]
"""(when it was observed, as stored, parsed)."""
Key = tuple[str, str, str]
"""(subject, system, code); the system of a code that is only text is "text"."""


@dataclass(slots=True)
class Group:
    """The newest observations of one subject that are coded alike; those as old as the last one stay too.

    It is cut back each time it has doubled, so that a long series costs no sort per observation.
    """

    keys: set[Key] = field(default_factory=set)
    kept: list[tuple[int, StoredResource]] = field(default_factory=list)
    room: int = LEAST

    def add(self, moment: int, stored: StoredResource, most: int) -> None:
        self.kept.append((moment, stored))
        if len(self.kept) > self.room:
            self.cut(most)
            self.room = 2 * max(len(self.kept), LEAST)

    def cut(self, most: int) -> None:
        self.kept.sort(key=_order)
        if len(self.kept) > most:
            oldest = self.kept[most - 1][0]
            self.kept = [entry for entry in self.kept if entry[0] >= oldest]


def _order(entry: tuple[int, StoredResource]) -> tuple[int, str]:
    return -entry[0], entry[1].id


async def lastn(call: Call, inputs: Inputs) -> FhirResponse:
    """A searchset, grouped by code. Observations that share a coding are of one group; ties are all returned, and what
    was entered in error only when `status` asks for it."""
    criteria = await _criteria(call, inputs)
    most = inputs.whole("max") or 1
    groups: dict[Key, Group] = {}
    seen: set[str] = set()
    async for moment, stored, resource in _candidates(call, criteria, most):
        if stored.id not in seen:
            seen.add(stored.id)
            _group(groups, set(_keys(resource))).add(moment, stored, most)
    found = list(_newest(groups, most))
    if len(found) > MOST:
        raise TooLarge(f"these are {len(found)} observations, at most {MOST} are answered: ask for fewer codes")
    about = patients_of_stored(found) or patients_asked_about("Observation", criteria)
    await record_lines(call.ports, audit_lines(call.ports, call.principal, call.request, about))
    return FhirResponse(200, _bundle(call, inputs, found))


async def _criteria(call: Call, inputs: Inputs) -> tuple[Criterion, ...]:
    names = [name.partition(":")[0].partition(".")[0] for name, _ in inputs.criteria]
    shaping = [name for name in names if name.startswith("_") and name not in ("_id", "_lastUpdated", "_tag")]
    if shaping:
        issues = [Issue("not-supported", f"$lastn does not take {name}", name) for name in shaping]
        raise BadRequest(issues[0].diagnostics, issues=issues)
    if not _SUBJECTS.intersection(names):
        raise BadRequest("$lastn needs a patient (or subject), e.g. patient=Patient/1", expression="patient")
    now, base_url = call.ports.clock.now(), call.ports.deployment.fhir_url
    stored = await stored_codes(call, "Observation", inputs.criteria)
    asked = parse_query("Observation", inputs.criteria, now=now, base_url=base_url, stored=stored)
    return asked.query.criteria if "status" in names else (*asked.query.criteria, NOT_IN_ERROR)


async def _candidates(call: Call, criteria: Sequence[Criterion], most: int) -> AsyncIterator[Candidate]:
    """All matches, or where one subject and codes are named the newest of each code: the rest cannot be among them."""
    for own, enough in _searches(criteria, most):
        moments: list[int] = []
        query = SearchQuery("Observation", own, sort=NEWEST_FIRST if enough else ())
        async for stored in matches(call, query, at_once=max(2 * most, LEAST) if enough else AT_ONCE):
            resource = parse_stored(stored.body)
            moment = moment_of(resource)
            if enough and len(moments) >= most and moment < min(moments[:most]) - SECOND_US:
                break
            moments.append(moment)
            yield moment, stored, resource


def _searches(criteria: Sequence[Criterion], most: int) -> Iterator[tuple[tuple[Criterion, ...], bool]]:
    """What is searched for, and whether the newest of it are enough."""
    codes = next((one for one in criteria if _names_codes(one)), None)
    subjects = [one for one in criteria if isinstance(one, Match) and one.name in _SUBJECTS]
    if codes is None or any(len(one.values) > 1 or one.modifier is not None for one in subjects):
        yield tuple(criteria), False
        return
    others = tuple(one for one in criteria if one is not codes)
    for value in codes.values:
        yield (*others, replace(codes, values=(value,))), True


def _names_codes(criterion: Criterion) -> TypeGuard[Match]:
    return isinstance(criterion, Match) and criterion.name == "code" and criterion.modifier is None


def _keys(resource: JsonObject) -> Iterator[Key]:
    subject = str(resource.get("subject", {}).get("reference", ""))
    code = resource.get("code", {})
    for coding in code.get("coding", ()):
        if "code" in coding:
            yield subject, coding.get("system", ""), coding["code"]
    if "coding" not in code:
        yield subject, "text", code.get("text", "").casefold()


def _group(groups: dict[Key, Group], keys: set[Key]) -> Group:
    """The group of these keys; groups that they connect become one."""
    found = {id(groups[key]): groups[key] for key in keys if key in groups}
    first, *others = found.values() or (Group(),)
    for other in others:
        keys |= other.keys
        first.kept += other.kept
    first.keys |= keys
    groups.update(dict.fromkeys(keys, first))
    return first


def _newest(groups: dict[Key, Group], most: int) -> Iterator[StoredResource]:
    distinct = {id(group): group for group in groups.values()}
    for group in sorted(distinct.values(), key=lambda group: min(group.keys, default=("", "", ""))):
        group.cut(most)
        yield from (stored for _, stored in group.kept)


def moment_of(resource: JsonObject) -> int:
    """When it was observed, in microseconds: where it begins, as `_sort=date` has it too."""
    period, timing = resource.get("effectivePeriod", {}), resource.get("effectiveTiming", {})
    texts = (
        *(resource.get("effectiveDateTime"), resource.get("effectiveInstant"), period.get("start")),
        *timing.get("event", ()),
    )
    bounds = [interval(text) for text in texts if isinstance(text, str)]
    return min((bound[0] for bound in bounds if bound is not None), default=MIN_US)


def _bundle(call: Call, inputs: Inputs, found: list[StoredResource]) -> bytes:
    base = call.ports.deployment.fhir_url
    return searchset(
        [Found(stored.body, "match", f"{base}/{stored.ref}") for stored in found],
        links=page_links(call, Asked(inputs.said), Page(())),
        total=len(found),
        id=call.ports.ids.new(),
        now=call.ports.clock.now(),
    )
