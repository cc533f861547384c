"""Every kind of principal, every type of R4, every interaction, every open and closed operation, and whose records:
the policy against the expectation of tests/data/access, one by one.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, get_args

import pytest

from fhir_facade.access.check import Check
from fhir_facade.access.policy import Allow, Ask, decide
from fhir_facade.access.rights import engines, operations
from fhir_facade.access.scopes import parse_scopes
from fhir_facade.fhir.definitions.tables import resource_types
from fhir_facade.values import Interaction, PatientId, Principal, PrincipalKind
from tests.unit.access.expected import CONTEXTS, Asker, letters, reach, rules, types

ENGINES = ("alert-engine", "sync", "score", "care", "emergency", "enrol", "import")
OWN, IN_CARE, FOREIGN = "own", "in-care", "foreign"
CARE = frozenset({OWN, IN_CARE})
KINDS = [kind for kind in get_args(PrincipalKind) if kind != "anonymous"]
READS, WRITES = (
    (Interaction.READ, Interaction.SEARCH_TYPE),
    (Interaction.CREATE, Interaction.UPDATE, Interaction.DELETE),
)


def askers(kind: PrincipalKind) -> Iterator[Asker]:
    """One kind with every context of scopes: all letters, one letter, one type, and other patients in context."""
    if kind == "engine":
        yield from (Asker("engine", engine=name) for name in (*ENGINES, "made-up"))
        return
    for context in CONTEXTS:
        yield from (Asker(kind, context, text, "*", OWN, CARE) for text in ("cruds", *"cruds"))
        yield Asker(kind, context, "cruds", "Observation", OWN, CARE)
        yield Asker(kind, context, "cruds", "*", None, CARE)
        yield Asker(kind, context, "cruds", "*", FOREIGN, CARE)
        yield Asker(kind, context, "cruds", "*", OWN, frozenset())


@cache
def principal(asker: Asker) -> Principal:
    scope = f"{asker.context}/{asker.type}.{asker.letters}" if asker.context else ""
    context = None if asker.patient is None else PatientId(asker.patient)
    return Principal(asker.who, patient=context, scopes=parse_scopes(scope).fhir, name=asker.engine)


def decided(asker: Asker, who: Principal, interaction: Interaction, type_name: str | None, operation: str = "") -> str:
    care = frozenset(PatientId(each) for each in asker.care)
    answer = decide(who, Ask(interaction, type_name, operation=operation, circle=care))
    return "open" if isinstance(answer, Allow) else answer.kind


def test_the_expectation_has_a_line_for_each_type_and_each_interaction_there_is() -> None:
    alone = {*rules()["interactions"], *rules()["whole-server"], "operation"}

    assert sorted(types()) == sorted(resource_types())
    assert alone == {interaction.value for interaction in Interaction}
    assert set(rules()["operations"]) == set(operations())
    assert {*rules()["engines"], "import"} == set(engines()) == set(ENGINES)


@pytest.mark.parametrize("kind", KINDS)
def test_each_interaction_on_each_type_is_open_where_the_expectation_says_so(kind: PrincipalKind) -> None:
    surprises = []
    for asker in askers(kind):
        who = principal(asker)
        for type_name, (name, letter) in product(types(), rules()["interactions"].items()):
            expected = "open" if letter in letters(asker, type_name) else "forbidden"
            if decided(asker, who, Interaction(name), type_name) != expected:
                surprises.append(f"{name} {type_name} should be {expected} to {asker}")

    assert not surprises


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_server_is_asked_by_those_who_may_search_something(kind: PrincipalKind) -> None:
    for asker in askers(kind):
        finds = any("s" in letters(asker, type_name) for type_name in types())
        for name, needs in rules()["whole-server"].items():
            expected = "open" if finds or needs == "nothing" else "forbidden"
            assert decided(asker, principal(asker), Interaction(name), None) == expected, (name, asker)


@pytest.mark.parametrize("kind", KINDS)
def test_each_operation_is_open_on_its_types_for_whoever_has_all_its_letters(kind: PrincipalKind) -> None:
    surprises = []
    for asker in askers(kind):
        who = principal(asker)
        for (name, rule), type_name in product(rules()["operations"].items(), types()):
            there = type_name in rule["on"] or rule["on"] == ["*"]
            expected = "open" if there and set(rule["needs"]) <= letters(asker, type_name) else "forbidden"
            if decided(asker, who, Interaction.OPERATION, type_name, name) != expected:
                surprises.append(f"${name} on {type_name} should be {expected} to {asker}")

    assert not surprises


@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_on_the_whole_server_is_for_those_who_find_everything_there(kind: PrincipalKind) -> None:
    stored = [type_name for type_name, line in types().items() if line.about != "never stored"]
    for asker, name in product(askers(kind), rules()["operations"]):
        all_of_it = all("s" in letters(asker, type_name) and reach(asker, type_name) is None for type_name in stored)
        expected = "open" if all_of_it and rules()["operations"][name].get("whole-server") else "forbidden"
        assert decided(asker, principal(asker), Interaction.OPERATION, None, name) == expected, (name, asker)


@pytest.mark.parametrize("kind", KINDS)
def test_every_other_operation_is_closed_everywhere(kind: PrincipalKind) -> None:
    places = ("Patient", "Observation", "Group", "Organization", None)
    for asker, name, type_name in product(askers(kind), rules()["closed"]["operations"], places):
        assert decided(asker, principal(asker), Interaction.OPERATION, type_name, name) == "forbidden", (
            name,
            type_name,
            asker,
        )


def test_nobody_without_a_token_gets_anywhere_but_to_the_capability_statement() -> None:
    asker = Asker("anonymous")
    for interaction, type_name in product(Interaction, (*types(), None)):
        expected = "open" if interaction is Interaction.CAPABILITIES else "unauthenticated"
        assert decided(asker, principal(asker), interaction, type_name, "meta") == expected, (interaction, type_name)


@pytest.mark.parametrize("name", ["Unicorn", "observation", "Observation ", "Resource", "DomainResource", "", "*"])
def test_what_is_no_type_is_closed_to_everybody(name: str) -> None:
    for kind in KINDS:
        for asker, interaction in product(askers(kind), rules()["interactions"]):
            assert decided(asker, principal(asker), Interaction(interaction), name) == "forbidden", (asker, interaction)


# --- whose records -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """Whom a record is about, and whom an extension of it names besides."""

    owners: tuple[str, ...] = ()
    naming: str | None = None

    def of(self, type_name: str) -> dict[str, Any]:
        path, found = types()[type_name].path, {"resourceType": type_name, "id": next(iter(self.owners), "x")}
        if path and self.owners:
            value: Any = {path[-1]: [{"reference": f"Patient/{patient}"} for patient in self.owners]}
            for step in reversed(path[:-1]):
                value = {step: [value]}
            found |= value
        named = {"url": "http://x.example/y", "valueReference": {"reference": f"Patient/{self.naming}"}}
        return found | {"extension": [named]} if self.naming else found

    def about(self, type_name: str) -> frozenset[str]:
        """A Patient is about itself alone; a shared record about nobody, whatever its id is."""
        line = types()[type_name]
        return frozenset(self.owners[:1] if line.about == "id" else self.owners if line.path else ())


RECORDS = (
    Record((OWN,)),
    Record((IN_CARE,)),
    Record((FOREIGN,)),
    Record((OWN, FOREIGN)),
    Record(),
    Record((OWN,), OWN),
    Record((OWN,), FOREIGN),
    Record((), FOREIGN),
)


def leaves(type_name: str, reached: frozenset[str] | None, record: Record) -> bool:
    """Those see a record who reach all whom it is about; one that may be about nobody, all whom it names."""
    if reached is None:
        return True
    if types()[type_name].about == "id":
        return (record.owners or ("x",))[0] in reached
    about = record.about(type_name)
    if types()[type_name].personal:
        return bool(about) and about <= reached
    return about | ({record.naming} - {None}) <= reached


def stays(type_name: str, reached: frozenset[str] | None, record: Record) -> bool:
    """A record may be touched by those who see it, one of a person only where it is about somebody."""
    owned = types()[type_name].about == "shared" or bool(record.about(type_name))
    return leaves(type_name, reached, record) and (reached is None or owned)


def becomes(type_name: str, reached: frozenset[str] | None, record: Record) -> bool:
    """And may be written so when it names nobody else."""
    return stays(type_name, reached, record) and (reached is None or {record.naming} <= {None, *reached})


def checks(asker: Asker, interaction: Interaction) -> Iterator[tuple[str, frozenset[str] | None, Check]]:
    """Each type on which the interaction is open, for whose records, and what the policy checks."""
    who, care = principal(asker), frozenset(PatientId(each) for each in asker.care)
    for type_name in types():
        answer = decide(who, Ask(interaction, type_name, circle=care))
        if isinstance(answer, Allow):
            yield type_name, reach(asker, type_name), answer.check


@pytest.mark.parametrize("interaction", READS)
@pytest.mark.parametrize("kind", KINDS)
def test_records_leave_for_those_who_reach_all_whom_they_are_about(
    kind: PrincipalKind, interaction: Interaction
) -> None:
    surprises = []
    for asker in askers(kind):
        for (type_name, reached, check), record in product(checks(asker, interaction), RECORDS):
            if check.may_leave(record.of(type_name)) != leaves(type_name, reached, record):
                surprises.append(f"{type_name} of {record} to {asker}")

    assert not surprises


@pytest.mark.parametrize("interaction", WRITES)
@pytest.mark.parametrize("kind", KINDS)
def test_records_are_written_by_those_who_reach_all_whom_they_are_about_and_name(
    kind: PrincipalKind, interaction: Interaction
) -> None:
    surprises = []
    for asker in askers(kind):
        for (type_name, reached, check), record in product(checks(asker, interaction), RECORDS):
            before = None if interaction is Interaction.CREATE else record.of(type_name)
            after = None if interaction is Interaction.DELETE else record.of(type_name)
            expected = stays if after is None else becomes
            if (check.may_write(before, after) is None) != expected(type_name, reached, record):
                surprises.append(f"{type_name} of {record} by {asker}")

    assert not surprises


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_foreign_is_refused_for_a_write_exactly_like_what_is_absent(kind: PrincipalKind) -> None:
    for asker, interaction in product(askers(kind), (Interaction.UPDATE, Interaction.DELETE)):
        for type_name, reached, check in checks(asker, interaction):
            foreign = Record((FOREIGN,)).of(type_name)
            if types()[type_name].path and reached is not None and FOREIGN not in reached:
                assert check.may_write(foreign, None) == check.may_write(None, None), (interaction, type_name)
                assert check.may_write(foreign, foreign) == check.may_write(None, foreign), (interaction, type_name)
