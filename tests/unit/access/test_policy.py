"""Who may do what: the decision table, refusals first."""

from __future__ import annotations

import pytest

from fhir_facade.access import policy
from fhir_facade.access.check import Deny
from fhir_facade.access.compartment import type_rules
from fhir_facade.access.narrow import NOBODY
from fhir_facade.access.policy import Allow, Ask, decide, is_whole
from fhir_facade.access.rights import engines, operations, people
from fhir_facade.values import Interaction, Match, MissingValue, Principal, ReferenceValue, TokenValue
from tests.unit.access.people import NOBODY_YET, A, B, C, admin, anonymous, backend, engine, patient, practitioner

Do = Interaction


def verdict(principal: Principal, ask: Ask) -> str:
    answer = decide(principal, ask)
    return answer.kind if isinstance(answer, Deny) else "allowed"


@pytest.mark.parametrize("interaction", [i for i in Interaction if i is not Interaction.CAPABILITIES])
def test_nobody_without_a_token_gets_past_the_capability_statement(interaction: Interaction) -> None:
    assert verdict(anonymous(), Ask(interaction, "Organization", operation="validate")) == "unauthenticated"


def test_the_capability_statement_is_open_to_all() -> None:
    assert verdict(anonymous(), Ask(Do.CAPABILITIES)) == "allowed"


@pytest.mark.parametrize(
    ("principal", "ask"),
    [
        pytest.param(patient("patient/Observation.rs"), Ask(Do.READ, "Condition"), id="scope for another type"),
        pytest.param(patient("patient/Observation.s"), Ask(Do.READ, "Observation"), id="search does not give read"),
        pytest.param(patient("patient/Observation.r"), Ask(Do.SEARCH_TYPE, "Observation"), id="read gives no search"),
        pytest.param(patient("patient/Observation.c"), Ask(Do.UPDATE, "Observation"), id="create gives no update"),
        pytest.param(patient("patient/Observation.cru"), Ask(Do.DELETE, "Observation"), id="write gives no delete"),
        pytest.param(patient("patient/Observation.r"), Ask(Do.HISTORY_TYPE, "Observation"), id="history needs search"),
        pytest.param(patient("system/*.cruds"), Ask(Do.READ, "Observation"), id="system scope of a person"),
        pytest.param(practitioner("system/*.cruds"), Ask(Do.READ, "Observation"), id="system scope of a doctor"),
        pytest.param(admin("system/*.cruds"), Ask(Do.READ, "Observation"), id="system scope of an admin"),
        pytest.param(backend("user/*.cruds"), Ask(Do.READ, "Observation"), id="user scope of a service"),
        pytest.param(patient(""), Ask(Do.READ, "Patient"), id="no scopes at all"),
        pytest.param(patient(), Ask(Do.READ, "Group"), id="closed type"),
        pytest.param(practitioner(), Ask(Do.SEARCH_TYPE, "Bundle"), id="closed type for doctors"),
        pytest.param(backend("patient/*.cruds", context=A), Ask(Do.READ, "Person"), id="closed type in context"),
        pytest.param(backend(), Ask(Do.READ, "Parameters"), id="type that is never stored"),
        pytest.param(backend(), Ask(Do.READ, "Unicorn"), id="type that R4 does not have"),
        pytest.param(patient(), Ask(Do.CREATE, "MedicationRequest"), id="patients prescribe nothing"),
        pytest.param(patient(), Ask(Do.CREATE, "Patient"), id="patients make no patients"),
        pytest.param(patient(), Ask(Do.UPDATE, "Organization"), id="patients keep no directory"),
        pytest.param(backend("patient/*.cruds", context=A), Ask(Do.UPDATE, "Organization"), id="nor do their services"),
        pytest.param(practitioner(), Ask(Do.UPDATE, "Consent"), id="consent is the patient's"),
        pytest.param(practitioner(), Ask(Do.READ, "AuditEvent"), id="who looked is for the patient"),
        pytest.param(backend(), Ask(Do.CREATE, "AuditEvent"), id="the audit is written by nobody"),
        pytest.param(backend(), Ask(Do.DELETE, "AuditEvent"), id="the audit is deleted by nobody"),
        pytest.param(admin(), Ask(Do.READ, "Patient"), id="admins see no charts"),
        pytest.param(admin(), Ask(Do.SEARCH_TYPE, "Observation"), id="admins search no charts"),
        pytest.param(admin(), Ask(Do.READ, "Basic"), id="admins see no personal Basic"),
        pytest.param(patient(who=None), Ask(Do.READ, "Observation"), id="no patient in context"),
        pytest.param(backend("patient/*.rs"), Ask(Do.READ, "Observation"), id="service without patient in context"),
        pytest.param(patient(), Ask(Do.SEARCH_TYPE, "Binary"), id="Binary cannot be narrowed"),
        pytest.param(
            patient("patient/*.r"), Ask(Do.HISTORY_SYSTEM), id="a history of several types, none of them open"
        ),
        pytest.param(patient(), Ask(Do.HISTORY_TYPE, "Binary"), id="nor can its history"),
        pytest.param(patient("patient/*.r"), Ask(Do.SEARCH_SYSTEM), id="a search of several types, none of them open"),
        pytest.param(backend(), Ask(Do.OPERATION, "Patient", operation="expunge"), id="operation that is not open"),
        pytest.param(backend(), Ask(Do.OPERATION, "Patient"), id="operation without a name"),
        pytest.param(backend(), Ask(Do.OPERATION, None, operation="validate"), id="operation on the whole server"),
        pytest.param(backend(), Ask(Do.OPERATION, "Group", operation="everything"), id="operation on another type"),
        pytest.param(
            patient(), Ask(Do.OPERATION, None, operation="meta"), id="operation on the whole server for a person"
        ),
        pytest.param(
            patient("patient/Patient.r"), Ask(Do.OPERATION, "Patient", operation="everything"), id="letter missing"
        ),
        pytest.param(engine("sync"), Ask(Do.DELETE, "Observation"), id="sync deletes nothing"),
        pytest.param(engine("score"), Ask(Do.READ, "Communication"), id="the score reads no messages"),
        pytest.param(engine("nobody"), Ask(Do.READ, "Observation"), id="unknown engine"),
        pytest.param(engine("backend"), Ask(Do.READ, "Observation"), id="engine with the name of a row of people"),
        pytest.param(Principal("engine"), Ask(Do.READ, "Observation"), id="engine without a name"),
        pytest.param(
            Principal("patient", name="import"), Ask(Do.READ, "Observation"), id="person named like an engine"
        ),
    ],
)
def test_what_no_row_allows_is_forbidden(principal: Principal, ask: Ask) -> None:
    assert verdict(principal, ask) == "forbidden"


@pytest.mark.parametrize(
    ("principal", "ask"),
    [
        pytest.param(patient("patient/Observation.rs"), Ask(Do.VREAD, "Observation"), id="vread is read"),
        pytest.param(patient("patient/Observation.r"), Ask(Do.HISTORY_INSTANCE, "Observation"), id="instance history"),
        pytest.param(patient("user/*.u"), Ask(Do.PATCH, "Observation"), id="patch is update"),
        pytest.param(patient(), Ask(Do.SEARCH_TYPE, "Practitioner"), id="directory for patients"),
        pytest.param(patient(who=None), Ask(Do.READ, "Organization"), id="directory needs no patient"),
        pytest.param(patient(), Ask(Do.HISTORY_TYPE, "Organization"), id="history of a shared type"),
        pytest.param(patient(), Ask(Do.TRANSACTION), id="entries of a transaction ask for themselves"),
        pytest.param(patient(""), Ask(Do.BATCH), id="so do those of a batch"),
        pytest.param(patient(), Ask(Do.OPERATION, "Patient", operation="everything"), id="everything"),
        pytest.param(backend(), Ask(Do.OPERATION, None, operation="meta"), id="meta of the whole server"),
        pytest.param(practitioner(), Ask(Do.SEARCH_TYPE, "Observation"), id="doctor without patients finds nothing"),
        pytest.param(practitioner(), Ask(Do.CREATE, "MedicationRequest"), id="doctors prescribe"),
        pytest.param(admin(), Ask(Do.CREATE, "Organization"), id="admins keep the directory"),
        pytest.param(backend(), Ask(Do.HISTORY_SYSTEM), id="whole server"),
        pytest.param(backend(), Ask(Do.CREATE, "Group"), id="closed types for system scopes"),
        pytest.param(backend("patient/*.rs", context=A), Ask(Do.READ, "Observation"), id="service in a patient's name"),
        pytest.param(engine("sync"), Ask(Do.CREATE, "Observation"), id="sync"),
        pytest.param(engine("alert-engine"), Ask(Do.UPDATE, "Basic"), id="alert engine"),
        pytest.param(engine("import"), Ask(Do.DELETE, "Patient"), id="import"),
    ],
)
def test_what_a_row_and_the_scopes_allow_is_allowed(principal: Principal, ask: Ask) -> None:
    assert verdict(principal, ask) == "allowed"


@pytest.mark.parametrize(
    ("principal", "ask", "whole"),
    [
        pytest.param(backend(), Ask(Do.HISTORY_SYSTEM), True, id="the whole server for a system"),
        pytest.param(backend(), Ask(Do.HISTORY_TYPE, "Basic"), True, id="guards aside"),
        pytest.param(patient(), Ask(Do.HISTORY_TYPE, "Organization"), True, id="a shared type"),
        pytest.param(patient(), Ask(Do.HISTORY_TYPE, "Observation"), False, id="a type for a person"),
        pytest.param(patient(), Ask(Do.HISTORY_SYSTEM), False, id="the whole server for a person"),
        pytest.param(practitioner(), Ask(Do.HISTORY_SYSTEM), False, id="the whole server for a doctor"),
        pytest.param(backend("system/Observation.cruds"), Ask(Do.HISTORY_SYSTEM), False, id="for one type"),
        pytest.param(backend("system/*.rs?_security=x"), Ask(Do.HISTORY_SYSTEM), False, id="by label"),
        pytest.param(
            backend("system/Observation.rs?status=final"), Ask(Do.HISTORY_TYPE, "Observation"), False, id="by status"
        ),
    ],
)
def test_a_history_is_whole_or_put_together_of_what_may_be_seen(principal: Principal, ask: Ask, whole: bool) -> None:
    answer = decide(principal, ask)
    assert isinstance(answer, Allow)
    assert is_whole(answer) is whole


def narrow(principal: Principal, type_name: str, circle: frozenset = NOBODY_YET) -> tuple:
    answer = decide(principal, Ask(Do.SEARCH_TYPE, type_name, circle=circle))
    assert isinstance(answer, Allow)
    return answer.narrow


def of(*patients: str, name: str = "patient") -> Match:
    return Match(name, "reference", tuple(ReferenceValue("Patient", p) for p in patients))


def category(code: str) -> Match:
    return Match("category", "token", (TokenValue("http://x", code),))


UNASSIGNED = Match("patient", "reference", (MissingValue(True),), modifier="missing")


@pytest.mark.parametrize(
    ("principal", "type_name", "expected"),
    [
        pytest.param(patient(), "Observation", ((of("a"),),), id="own record"),
        pytest.param(patient(), "SupplyRequest", ((of("a", name="subject"),),), id="type with another owner parameter"),
        pytest.param(patient(), "Patient", ((Match("_id", "token", (TokenValue(None, "a"),)),),), id="patient by id"),
        pytest.param(patient(), "Organization", (), id="shared type"),
        pytest.param(patient(), "Device", ((of("a"),), (UNASSIGNED,)), id="own and unassigned devices"),
        pytest.param(practitioner(), "Observation", ((of("a", "b"),),), id="circle"),
        pytest.param(practitioner("patient/*.rs", picked=B), "Observation", ((of("b"),),), id="picked patient"),
        pytest.param(practitioner("patient/*.rs", picked=C), "Observation", (NOBODY,), id="picked, no longer in care"),
        pytest.param(practitioner("patient/*.rs"), "Observation", (NOBODY,), id="nobody picked"),
        pytest.param(backend(), "Observation", (), id="system scope"),
        pytest.param(backend("system/*.rs patient/*.rs", context=A), "Observation", (), id="the widest way counts"),
        pytest.param(
            patient("patient/Observation.rs?category=http://x|lab patient/Observation.rs?category=http://x|vital"),
            "Observation",
            ((of("a"), category("lab")), (of("a"), category("vital"))),
            id="granular scopes are alternatives",
        ),
        pytest.param(
            backend("system/Observation.rs?category=http://x|lab"),
            "Observation",
            ((category("lab"),),),
            id="granular system scope",
        ),
        pytest.param(patient("user/*.rs patient/*.rs"), "Observation", ((of("a"),),), id="two ways to the same"),
    ],
)
def test_searches_are_narrowed_to_the_reach_of_the_token(principal: Principal, type_name: str, expected: tuple) -> None:
    assert narrow(principal, type_name, frozenset({A, B})) == expected


def test_an_empty_circle_finds_nothing_instead_of_everything() -> None:
    assert narrow(practitioner(), "Observation") == (NOBODY,)
    assert narrow(practitioner(), "Device") == ((UNASSIGNED,),)


def test_guards_are_left_out_of_every_search_but_the_engines_own() -> None:
    without = Match("code", "token", (TokenValue(None, "alert-guard"),), modifier="not")

    assert narrow(backend(), "Basic") == ((without,),)
    assert narrow(patient(), "Basic") == ((of("a"), without),)
    assert narrow(engine("alert-engine"), "Basic") == ()


def test_a_decision_is_not_confused_by_another_token_of_the_same_person() -> None:
    wide, slim = patient("patient/*.cruds"), patient("patient/Observation.r")

    assert verdict(wide, Ask(Do.DELETE, "Observation")) == "allowed"
    assert verdict(slim, Ask(Do.DELETE, "Observation")) == "forbidden"
    assert verdict(patient("patient/*.cruds", B), Ask(Do.DELETE, "Observation")) == "allowed"
    assert narrow(patient("patient/*.cruds", B), "Observation") == ((of("b"),),)


def test_the_memory_of_rights_is_bounded_and_survives_being_full() -> None:
    for number in range(5000):
        who = Principal("patient", patient=A, scopes=patient(f"patient/Observation.rs?code={number}").scopes)
        assert narrow(who, "Observation")[0][1] == Match("code", "token", (TokenValue(None, str(number)),))


def test_every_row_names_types_of_r4_and_letters_of_smart() -> None:
    for actor in (*people().values(), *engines().values()):
        assert set(actor.letters) <= set(type_rules())
        assert set().union(*actor.letters.values()) <= set("cruds")
        assert set(actor.frozen) <= set(type_rules())
        assert actor.why


def test_no_row_opens_what_is_never_stored_and_only_systems_reach_closed_types() -> None:
    for actor in (*people().values(), *engines().values()):
        opened = {name for name, letters in actor.letters.items() if letters}
        assert not {name for name in opened if type_rules()[name].type_class == "transient"}
    for name in ("patient", "practitioner", "admin"):
        closed = {rule.type for rule in type_rules().values() if rule.type_class == "closed"}
        assert not any(people()[name].letters[type_name] for type_name in closed)


@pytest.mark.parametrize("principal", [patient("patient/Observation.s"), practitioner(), backend()])
def test_a_search_of_several_types_is_let_in_and_everything_that_leaves_is_judged(principal: Principal) -> None:
    answer = decide(principal, Ask(Do.SEARCH_SYSTEM))

    assert isinstance(answer, Allow)
    assert answer.narrow == ()
    assert answer.check.type is None
    foreign = {"resourceType": "Observation", "id": "x", "subject": {"reference": "Patient/z"}}
    assert answer.check.may_leave(foreign) is (principal.kind == "backend")


def test_open_operations_name_types_of_r4() -> None:
    assert all(rule.types <= {*type_rules(), "*"} and set(rule.letters) <= set("rsu") for rule in operations().values())


@pytest.mark.parametrize(
    ("type_name", "exact"),
    [
        ("Patient", True),
        ("Observation", True),
        ("Appointment", False),
        ("AuditEvent", False),
        ("Device", False),
        ("Organization", False),
    ],
)
def test_it_is_said_whether_the_narrowing_alone_is_the_whole_limit(type_name: str, exact: bool) -> None:
    answer = decide(patient(), Ask(Do.SEARCH_TYPE, type_name))

    assert isinstance(answer, Allow)
    assert answer.exact is exact


def test_names_of_operations_that_callers_make_up_are_not_remembered() -> None:
    policy.decide(backend(), Ask(Do.READ, "Patient"))
    before = kept_decisions()

    for number in range(100):
        policy.decide(backend(), Ask(Do.OPERATION, "Patient", operation=f"made-up-{number}"))

    assert kept_decisions() == before


def kept_decisions() -> int:
    return sum(own.cache_info().currsize for own in vars(policy).values() if hasattr(own, "cache_info"))
