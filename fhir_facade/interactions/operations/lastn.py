"""`$lastn`: the last observations of a patient for each code, newest first.

https://hl7.org/fhir/R4/observation-operation-lastn.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from fhir_facade.errors import BadRequest, Issue, TooLarge
from fhir_facade.fhir.bundle import Found, searchset
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.extract.dates import MIN_US, interval
from fhir_facade.fhir.operations import Inputs
from fhir_facade.fhir.query import parse_query
from fhir_facade.interactions.audit import audit_lines, patients_asked_about, patients_of_stored, record_lines
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.matches import matches
from fhir_facade.interactions.pages import Asked, page_links
from fhir_facade.values import Criterion, FhirResponse, JsonObject, Match, Page, SearchQuery, StoredResource, TokenValue

MOST: Final = 5000
_SUBJECTS: Final = frozenset(("patient", "subject"))
_NOT_TRUE: Final = Match("status", "token", (TokenValue(None, "entered-in-error"),), modifier="not")

Key = tuple[str, str, str]
"""(subject, system, code); the system of a code that is only text is "text"."""


@dataclass(slots=True)
class Group:
    """The newest observations of one subject that are coded alike; those as old as the last one stay too."""

    keys: set[Key] = field(default_factory=set)
    kept: list[tuple[int, StoredResource]] = field(default_factory=list)

    def keep(self, most: int) -> None:
        if len(self.kept) > most:
            self.kept.sort(key=_order)
            oldest = self.kept[most - 1][0]
            self.kept = [entry for entry in self.kept if entry[0] >= oldest]


def _order(entry: tuple[int, StoredResource]) -> tuple[int, str]:
    return -entry[0], entry[1].id


async def lastn(call: Call, inputs: Inputs) -> FhirResponse:
    """A searchset, grouped by code. Observations that share a coding are of one group; ties are all returned, and what
    was entered in error only when `status` asks for it."""
    criteria = _criteria(call, inputs)
    most = inputs.whole("max") or 1
    groups: dict[Key, Group] = {}
    async for stored in matches(call, SearchQuery("Observation", criteria)):
        resource = parse_stored(stored.body)
        group = _group(groups, set(_keys(resource)))
        group.kept.append((moment_of(resource), stored))
        group.keep(most)
    found = list(_newest(groups))
    if len(found) > MOST:
        raise TooLarge(f"these are {len(found)} observations, at most {MOST} are answered: ask for fewer codes")
    about = patients_of_stored(found) or patients_asked_about("Observation", criteria)
    await record_lines(call.ports, audit_lines(call.ports, call.principal, call.request, about))
    return FhirResponse(200, _bundle(call, inputs, found))


def _criteria(call: Call, inputs: Inputs) -> tuple[Criterion, ...]:
    names = [name.partition(":")[0].partition(".")[0] for name, _ in inputs.criteria]
    shaping = [name for name in names if name.startswith("_") and name not in ("_id", "_lastUpdated", "_tag")]
    if shaping:
        issues = [Issue("not-supported", f"$lastn does not take {name}", name) for name in shaping]
        raise BadRequest(issues[0].diagnostics, issues=issues)
    if not _SUBJECTS.intersection(names):
        raise BadRequest("$lastn needs a patient (or subject), e.g. patient=Patient/1", expression="patient")
    asked = parse_query(
        "Observation", inputs.criteria, now=call.ports.clock.now(), base_url=call.ports.deployment.fhir_url
    )
    return asked.query.criteria if "status" in names else (*asked.query.criteria, _NOT_TRUE)


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


def _newest(groups: dict[Key, Group]) -> Iterator[StoredResource]:
    distinct = {id(group): group for group in groups.values()}
    for group in sorted(distinct.values(), key=lambda group: min(group.keys, default=("", "", ""))):
        yield from (stored for _, stored in sorted(group.kept, key=_order))


def moment_of(resource: JsonObject) -> int:
    """When it was observed, in microseconds: the end of a period, its beginning while it has no end."""
    period, timing = resource.get("effectivePeriod", {}), resource.get("effectiveTiming", {})
    texts = (
        *(resource.get("effectiveDateTime"), resource.get("effectiveInstant")),
        *(period.get("end") or period.get("start"), *timing.get("event", ())),
    )
    bounds = [interval(text) for text in texts if isinstance(text, str)]
    return max((bound[0] for bound in bounds if bound is not None), default=MIN_US)


def _bundle(call: Call, inputs: Inputs, found: list[StoredResource]) -> bytes:
    base = call.ports.deployment.fhir_url
    return searchset(
        [Found(stored.body, "match", f"{base}/{stored.ref}") for stored in found],
        links=page_links(call, Asked(inputs.said), Page(())),
        total=len(found),
        id=call.ports.ids.new(),
        now=call.ports.clock.now(),
    )
