"""Searches and decisions against a brute-force oracle: an answer depends on visible records only.

The oracle knows nothing of tables, narrowing or hops. It says which records a principal may see; a search has to answer
as if the store held only those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import Allow, Ask, decide
from fhir_facade.access.scopes import parse_scopes
from fhir_facade.access.searches import search_within
from fhir_facade.fhir.match import matches, matches_query
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import (
    Interaction,
    Match,
    PatientId,
    Principal,
    PrincipalKind,
    Ref,
    ReferenceValue,
    Scope,
    SearchQuery,
)
from tests.unit.access.people import coded, ref

NOW = datetime(2026, 3, 10, tzinfo=UTC)
Resource = dict[str, Any]

# --- the world --------------------------------------------------------------------------------------------------

_PATIENTS = st.sampled_from(["a", "b", "c"])
_CODES = st.sampled_from(["x", "y"])
_STATUS = st.sampled_from(["planned", "finished"])


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _made(type_name: str, **elements: st.SearchStrategy[Any]) -> st.SearchStrategy[Resource]:
    """A resource without id; elements drawn as None are left out."""
    drawn = st.fixed_dictionaries(elements)
    return drawn.map(lambda own: {"resourceType": type_name} | {k: v for k, v in own.items() if v is not None})


def _ref(type_name: str, ids: list[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.sampled_from(ids).map(lambda id_: ref(f"{type_name}/{id_}"))


_TWO = ["0", "1"]
_SUBJECT = st.one_of(
    _PATIENTS.map(lambda id_: ref(f"Patient/{id_}")),
    st.sampled_from(
        [ref("Patient/a"), ref("Group/0"), ref("https://x.example/fhir/Patient/a"), {"display": "somebody"}]
    ),
)
_CATEGORY = _maybe(_CODES.map(lambda code: coded("http://x", code)))
_CODE = _CODES.map(lambda code: {"coding": [{"code": code}]})
_RECORDS = (
    _made(
        "Observation",
        subject=_SUBJECT,
        code=_CODE,
        category=_CATEGORY,
        encounter=_ref("Encounter", _TWO),
        device=_maybe(_ref("Device", _TWO)),
        performer=_maybe(st.lists(_ref("Practitioner", ["0"]) | _ref("Patient", ["a", "b"]), min_size=1, max_size=2)),
        derivedFrom=_maybe(st.just([ref("Observation/0"), ref("Observation/1")])),
    ),
    _made("Encounter", subject=_SUBJECT, status=_STATUS, appointment=st.lists(_ref("Appointment", _TWO), min_size=1)),
    _made("Device", patient=_maybe(_ref("Patient", ["a", "b"])), status=st.sampled_from(["active", "inactive"])),
    _made(
        "Appointment",
        status=st.sampled_from(["booked", "noshow"]),
        participant=st.lists(_ref("Patient", ["a", "b"]).map(lambda who: {"actor": who}), max_size=2),
    ),
    _made(
        "Coverage",
        beneficiary=_SUBJECT,
        subscriber=_maybe(_ref("Patient", ["a", "b"])),
        status=st.sampled_from(["active", "draft"]),
    ),
    _made("AppointmentResponse", actor=_SUBJECT, appointment=_ref("Appointment", _TWO)),
    _made("Task", **{"for": _maybe(_SUBJECT), "focus": _ref("Observation", _TWO), "code": _CODE}),
    _made(
        "Basic",
        subject=_SUBJECT,
        code=st.sampled_from(["alert-guard", "x"]).map(lambda code: {"coding": [{"system": "s", "code": code}]}),
    ),
    _made("Group", member=st.lists(_SUBJECT.map(lambda who: {"entity": who}), max_size=2)),
)


@st.composite
def worlds(draw: st.DrawFn) -> list[Resource]:
    """Three patients, a practitioner and two records of each type that refer to each other across patients."""
    gender = st.sampled_from(["male", "female"])
    people = [{"resourceType": "Patient", "id": id_, "gender": draw(gender)} for id_ in ("a", "b", "c")]
    staff = [{"resourceType": "Practitioner", "id": "0", "gender": draw(gender)}]
    return people + staff + [draw(record) | {"id": id_} for record in _RECORDS for id_ in _TWO]


@dataclass(frozen=True)
class World:
    """A store without any access control."""

    resources: list[Resource]

    def search(self, query: SearchQuery) -> list[str]:
        found = (r for r in self.resources if matches_query(r, query, resolve=self._resolve, referrers=self._referrers))
        return [f"{r['resourceType']}/{r['id']}" for r in found]

    def of(self, name: str) -> Resource:
        return next(r for r in self.resources if f"{r['resourceType']}/{r['id']}" == name)

    def _resolve(self, wanted: Ref) -> Resource | None:
        return next((r for r in self.resources if (r["resourceType"], r["id"]) == (wanted.type, wanted.id)), None)

    def _referrers(self, type_name: str, name: str, target: Ref) -> Iterator[Resource]:
        pointing = Match(name, "reference", (ReferenceValue(target.type, target.id),))
        return (r for r in self.resources if r["resourceType"] == type_name and matches(r, pointing))


# --- who asks, and the oracle -----------------------------------------------------------------------------------

_TYPES = [
    "*", "Patient", "Practitioner", "Observation", "Encounter", "Device", "Appointment", "AppointmentResponse", "Task",
    "Basic", "Group", "Coverage",
]  # fmt: skip
_ABOUT: dict[str, Callable[[Resource], list[Any]]] = {
    "Observation": lambda r: [r.get("subject")],
    "Encounter": lambda r: [r.get("subject")],
    "Device": lambda r: [r.get("patient")],
    "Appointment": lambda r: [p["actor"] for p in r["participant"]],
    "AppointmentResponse": lambda r: [r["actor"]],
    "Task": lambda r: [r.get("for")],
    "Basic": lambda r: [r.get("subject")],
    "Coverage": lambda r: [r["beneficiary"]],
}


_EVERYDAY: list[tuple[PrincipalKind, str]] = [
    ("patient", "patient/*.rs"),
    ("patient", "patient/Patient.rs patient/Observation.rs?category=http://x|x"),
    ("practitioner", "user/*.rs"),
    ("practitioner", "patient/*.rs"),
    ("proxy", "patient/*.rs"),
    ("staff", "user/*.rs"),
    ("practitioner", "user/Patient.rs patient/Observation.rs"),
    ("backend", "patient/*.rs"),
]


@st.composite
def principals(draw: st.DrawFn) -> Principal:
    """Half of them everyday tokens, half of them any mixture of scopes."""
    if draw(st.booleans()):
        kind, text = draw(st.sampled_from(_EVERYDAY))
        return Principal(kind, patient=PatientId("a"), scopes=parse_scopes(text).fhir)
    kind = draw(st.sampled_from(["patient", "proxy", "practitioner", "staff", "admin", "backend"]))
    contexts = st.sampled_from(["patient", "user", "system"])
    letters = st.sets(st.sampled_from("rs"), min_size=1).map(frozenset)
    plain = st.builds(Scope, contexts, st.sampled_from(_TYPES), letters)
    granular = st.builds(
        Scope, contexts, st.just("Observation"), letters, _CODES.map(lambda code: (("category", f"http://x|{code}"),))
    )
    wide = st.builds(Scope, contexts, st.just("*"), st.just(frozenset("rs")))
    scopes = draw(st.lists(wide | plain | granular, min_size=1, max_size=3))
    return Principal(kind, patient=draw(_maybe(_PATIENTS.map(PatientId))), scopes=tuple(scopes))


def oracle(principal: Principal, circle: frozenset[PatientId], letter: str, resource: Resource) -> bool:
    """May the principal see this record, by this letter? Said record by record and scope by scope."""
    kind = resource["resourceType"]
    if kind == "Basic" and resource["code"]["coding"][0]["code"] == "alert-guard":
        return False
    for scope in principal.scopes:
        if scope.type not in ("*", kind) or letter not in scope.letters:
            continue
        codes = [part["coding"][0]["code"] for part in resource.get("category", [])]
        if scope.params and scope.params[0][1].removeprefix("http://x|") not in codes:
            continue
        if _reaches(principal, scope.context, circle, resource):
            return True
    return False


def _reaches(principal: Principal, context: str, circle: frozenset[PatientId], resource: Resource) -> bool:
    kind, who = resource["resourceType"], principal.kind
    if (who, context) == ("backend", "system"):
        return True
    if kind == "Group" or context == "system" or (who, context) in {("backend", "user"), ("admin", "patient")}:
        return False
    if kind == "Practitioner":
        return True
    if who == "admin":
        return False
    own = {principal.patient} if principal.patient else set()
    reach = own if who in ("patient", "backend") else circle if context == "user" else own & circle
    if kind == "Patient":
        return resource["id"] in reach
    about = [part["reference"] for part in _ABOUT[kind](resource) if part and "reference" in part]
    if kind == "Device" and not about:
        return True
    patients = [text.removeprefix("Patient/") for text in about]
    return bool(patients) and all(patient in reach for patient in patients)


_ASKED = (
    ("Observation", "code", "x"),
    ("Observation", "category", "x"),
    ("Observation", "patient", "b"),
    ("Observation", "subject", "Patient/a"),
    ("Observation", "performer", "Patient/b"),
    ("Observation", "code:not", "x"),
    ("Observation", "encounter:missing", "true"),
    ("Observation", "encounter.status", "planned"),
    ("Observation", "encounter.subject:Patient.gender", "male"),
    ("Observation", "subject:Patient.gender", "male"),
    ("Observation", "patient.gender", "male"),
    ("Observation", "performer:Practitioner.gender", "male"),
    ("Observation", "performer:Patient.gender", "male"),
    ("Observation", "derived-from:Observation.code", "x"),
    ("Observation", "derived-from:Observation.encounter.status", "planned"),
    ("Observation", "device:Device.status", "active"),
    ("Observation", "subject:Group._id", "0"),
    ("Observation", "_filter", "not (code eq x)"),
    ("Observation", "_filter", "code eq x or subject:Patient.gender eq male"),
    ("Observation", "_filter", "code eq x and (encounter.status eq planned or category eq x)"),
    ("Patient", "gender", "male"),
    ("Patient", "_filter", "gender eq male or _has:Observation:patient:code eq x"),
    ("Patient", "_filter", "gender ne male or _has:Basic:patient:code eq x"),
    ("Patient", "_id", "a,b"),
    ("Patient", "_has:Observation:patient:code", "x"),
    ("Patient", "_has:Observation:subject:category", "x"),
    ("Patient", "_has:Observation:subject:encounter.status", "planned"),
    ("Patient", "_has:Observation:performer:code", "x"),
    ("Patient", "_has:Appointment:patient:status", "booked"),
    ("Patient", "_has:Device:patient:status", "active"),
    ("Patient", "_has:Basic:patient:code", "x"),
    ("Patient", "_has:Coverage:beneficiary:status", "active"),
    ("Patient", "_has:Coverage:subscriber:status", "active"),
    ("Patient", "_has:Group:member:_id", "0"),
    ("Practitioner", "gender", "male"),
    ("Practitioner", "_has:Observation:performer:code", "x"),
    ("Encounter", "status", "planned"),
    ("Encounter", "appointment.status", "booked"),
    ("Encounter", "_has:Observation:encounter:code", "x"),
    ("Device", "status", "active"),
    ("Device", "patient.gender", "male"),
    ("Device", "_has:Observation:device:code", "x"),
    ("Appointment", "status", "booked"),
    ("AppointmentResponse", "appointment.status", "booked"),
    ("Task", "code", "x"),
    ("Task", "focus:Observation.code", "x"),
    ("Task", "focus:Observation.derived-from:Observation.code", "x"),
    ("Basic", "code", "x"),
    ("Group", "member", "Patient/a"),
)
_CIRCLES = st.frozensets(_PATIENTS.map(PatientId), max_size=2)
_MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_MANY
@given(worlds(), principals(), _CIRCLES)
def test_a_search_answers_as_if_the_store_held_only_what_the_caller_may_see(
    world: list[Resource], principal: Principal, circle: frozenset[PatientId]
) -> None:
    everything = World(world)
    visible = World([r for r in world if oracle(principal, circle, "s", r)])
    for type_name, *asked in _ASKED:
        query = parse_query(type_name, [(asked[0], asked[1])], now=NOW).query
        limited = search_within(principal, query, circle=circle)
        if isinstance(limited, Deny):
            continue
        allow = decide(principal, Ask(Interaction.SEARCH_TYPE, type_name, circle=circle))
        leaving = [name for name in everything.search(limited) if allow.check.may_leave(everything.of(name))]
        assert leaving == visible.search(query), (type_name, asked)


@_MANY
@given(worlds(), principals(), _CIRCLES, st.sampled_from(_TYPES[1:]))
def test_a_read_shows_exactly_what_the_oracle_lets_leave(
    world: list[Resource], principal: Principal, circle: frozenset[PatientId], type_name: str
) -> None:
    answer = decide(principal, Ask(Interaction.READ, type_name, circle=circle))
    shown = [r for r in world if isinstance(answer, Allow) and answer.check.may_leave(r)]

    assert [r for r in shown if r["resourceType"] == type_name] == [
        r for r in world if r["resourceType"] == type_name and oracle(principal, circle, "r", r)
    ]
    assert all(oracle(principal, circle, "r", r) for r in shown)


@_MANY
@given(worlds(), principals(), _CIRCLES, st.sampled_from(_TYPES[1:]))
def test_what_is_narrowed_and_about_one_patient_needs_no_second_look(
    world: list[Resource], principal: Principal, circle: frozenset[PatientId], type_name: str
) -> None:
    answer = search_within(principal, SearchQuery(type_name), circle=circle)
    if isinstance(answer, Deny) or type_name == "Appointment":
        return

    found = World(world).search(answer)

    assert all(oracle(principal, circle, "s", World(world).of(name)) for name in found)
