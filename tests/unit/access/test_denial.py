"""A Consent that denies wins: whom it keeps away, and whom not. Compared with a brute-force reading of the rules too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.access.care import Carer
from fhir_facade.access.denial import PATIENTS_AT_ONCE, denial_queries, denied
from fhir_facade.fhir.match import matches_query
from fhir_facade.values import PatientId
from tests.unit.access.people import A, ref

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DOC = Carer("Practitioner/doc", frozenset({"ward"}))
PRIVACY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
PAST, PRESENT = {"end": "2026-03-09"}, {"start": "2026-03-01", "end": "2026-03-31"}


def consent(provision: Any, **changed: Any) -> dict[str, Any]:
    elements = {"resourceType": "Consent", "status": "active", "scope": PRIVACY, "patient": ref("Patient/a")}
    return {**elements, "provision": provision, **changed}


def rule(type_: str, *actors: str, inside: list[Any] | None = None, **limits: Any) -> dict[str, Any]:
    named = {"actor": [{"role": {"text": "any"}, "reference": ref(actor)} for actor in actors]} if actors else {}
    return {"type": type_, **named, **({"provision": inside} if inside else {}), **limits}


@pytest.mark.parametrize(
    "provision",
    [
        pytest.param(rule("deny"), id="everybody"),
        pytest.param(rule("deny", "Practitioner/doc"), id="this practitioner"),
        pytest.param(rule("deny", "Practitioner/doc/_history/2"), id="a version of this practitioner"),
        pytest.param(rule("deny", "Organization/ward"), id="the institution where the practitioner works"),
        pytest.param(rule("deny", "Practitioner/other", "Practitioner/doc"), id="one of several"),
        pytest.param(rule("deny", period=PRESENT), id="this month"),
        pytest.param(rule("deny", period={"end": "someday"}), id="a time that cannot be read"),
        pytest.param(rule("deny", period="always"), id="a time that is no period"),
        pytest.param(rule("deny", **{"class": [{"code": "Observation"}]}), id="a part of the record"),
        pytest.param(rule("permit", inside=[rule("deny", "Practitioner/doc")]), id="an exception from a permission"),
        pytest.param(
            rule("permit", inside=[rule("permit", inside=[rule("deny", "Organization/ward")])]), id="deep inside"
        ),
        pytest.param(rule("deny", inside=[rule("permit", "Practitioner/other")]), id="an exception for somebody else"),
        pytest.param(rule("deny", inside=[rule("permit", period=PAST)]), id="an exception that is over"),
        pytest.param(
            rule("deny", inside=[rule("permit", "Practitioner/doc", purpose=[{"code": "ETREAT"}])]),
            id="an exception limited in a way that cannot be told",
        ),
        pytest.param(
            rule("deny", inside=[rule("permit", "Practitioner/doc"), rule("deny", "Organization/ward")]),
            id="exceptions that contradict each other",
        ),
    ],
)
def test_a_denial_keeps_away(provision: Any) -> None:
    assert denied([consent(provision)], DOC, NOW) == {A}


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(consent(rule("permit")), id="a permission"),
        pytest.param(consent(None), id="no rule"),
        pytest.param(consent({}), id="an empty rule"),
        pytest.param(consent(rule("deny", "Practitioner/other")), id="another practitioner"),
        pytest.param(consent(rule("deny", "Organization/clinic")), id="another institution"),
        pytest.param(consent(rule("deny", period=PAST)), id="a denial that is over"),
        pytest.param(consent(rule("deny", inside=[rule("permit", "Practitioner/doc")])), id="all but this one"),
        pytest.param(
            consent(rule("deny", inside=[rule("permit", "Organization/ward", period=PRESENT)])), id="all but the ward"
        ),
        pytest.param(
            consent(rule("permit", inside=[rule("deny", "Practitioner/other")])), id="an exception for another"
        ),
        pytest.param(consent(rule("deny"), status="inactive"), id="withdrawn"),
        pytest.param(consent(rule("deny"), status="draft"), id="draft"),
        pytest.param(consent(rule("deny"), scope={"coding": [{"code": "research"}]}), id="about research"),
        pytest.param(consent(rule("deny"), scope=None), id="about nothing"),
        pytest.param(consent(rule("deny"), resourceType="Basic"), id="another type"),
        pytest.param(consent(rule("deny"), patient=ref("https://x.example/Patient/a")), id="a patient elsewhere"),
    ],
)
def test_nothing_else_does(resource: dict[str, Any]) -> None:
    assert denied([resource], DOC, NOW) == frozenset()


def test_the_queries_find_denials_of_all_patients_in_few_searches() -> None:
    patients = [A, *(PatientId(f"p{number}") for number in range(PATIENTS_AT_ONCE))]
    queries = denial_queries(patients)

    assert len(queries) == 2
    assert any(matches_query(consent(rule("deny")), query) for query in queries)
    assert not any(matches_query(consent(rule("deny"), status="draft"), query) for query in queries)
    assert denial_queries([]) == ()


# --- the oracle -----------------------------------------------------------------------------------------------

_ACTORS = st.lists(st.sampled_from(["Practitioner/doc", "Practitioner/other", "Organization/ward"]), max_size=2)
_LEAVES = st.builds(lambda kind, actors: rule(kind, *actors), st.sampled_from(["deny", "permit"]), _ACTORS)
_RULES = st.recursive(
    _LEAVES,
    lambda inner: st.builds(
        lambda kind, actors, inside: rule(kind, *actors, inside=inside),
        st.sampled_from(["deny", "permit"]),
        _ACTORS,
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)


def verdicts(provision: dict[str, Any]) -> list[tuple[int, str]]:
    """Every rule that applies to the practitioner with its depth, said without regard to order or exceptions."""
    actors = [actor["reference"]["reference"] for actor in provision.get("actor", [])]
    if actors and not {"Practitioner/doc", "Organization/ward"} & set(actors):
        return []
    deeper = [(depth + 1, kind) for inside in provision.get("provision", []) for depth, kind in verdicts(inside)]
    return [(0, provision["type"]), *deeper]


@settings(max_examples=50, deadline=None)
@given(_RULES)
def test_whoever_gets_in_is_named_by_a_permission_at_least_as_deep_as_every_denial(provision: dict[str, Any]) -> None:
    applying = verdicts(provision)
    denials = [depth for depth, kind in applying if kind == "deny"]
    permissions = [depth for depth, kind in applying if kind == "permit"]

    kept_away = bool(denied([consent(provision)], DOC, NOW))

    if not denials:
        assert not kept_away
    elif not permissions or max(permissions) < max(denials):
        assert kept_away
