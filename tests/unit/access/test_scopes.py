"""SMART scopes: the whole string counts, meaning decides, the dialect comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.access.granular import granular_parameters
from fhir_facade.access.scopes import (
    NAMED_SCOPES,
    ScopeSet,
    covers,
    intersect,
    parse_scopes,
    serialise,
)
from fhir_facade.values import Scope


@pytest.mark.parametrize(
    "word",
    [
        pytest.param("patient/Observation.sr", id="letters out of order"),
        pytest.param("patient/Observation.", id="no letters"),
        pytest.param("patient/Observation.rr", id="letter twice"),
        pytest.param("patient/Observation.x", id="unknown letter"),
        pytest.param("patient/observation.rs", id="lower-case type"),
        pytest.param("patient/Unicorn.rs", id="type that R4 does not have"),
        pytest.param("patient/Obs*.rs", id="partial wildcard"),
        pytest.param("practitioner/Observation.rs", id="unknown context"),
        pytest.param("patient/Observation.read?category=a", id="parameters in the v1 dialect"),
        pytest.param("patient/Observation.rs?", id="question mark without parameter"),
        pytest.param("patient/Observation.rs?category", id="parameter without value"),
        pytest.param("patient/Observation.rs?category=", id="parameter with empty value"),
        pytest.param("patient/Observation.rs?category=a|b|c", id="value that is no token"),
        pytest.param("patient/Observation.rs?category=|", id="token without anything"),
        pytest.param("patient/Observation.rs?category=a,,b", id="empty alternative"),
        pytest.param("patient/Observation.rs?category=a&", id="trailing ampersand"),
        pytest.param("patient/Observation.rs?category:not=a", id="modifier"),
        pytest.param("patient/Observation.rs?subject.name=a", id="chain"),
        pytest.param("patient/Observation.rs?_has:Group:member:_id=a", id="reverse chain"),
        pytest.param("patient/Observation.rs?_filter=a", id="filter"),
        pytest.param("patient/Patient.rs?category=a", id="parameter the type does not have"),
        pytest.param("patient/*.rs?category=a", id="type parameter on a wildcard"),
        pytest.param("patient/Observation.rs?category=%zz", id="broken escape"),
        pytest.param("patient/Observation.rs?category=%ff", id="escape that is not UTF-8"),
        pytest.param("patient/Observation.rs?category=%00", id="control character"),
        pytest.param("patient/Observation.rs?category=a?b", id="second question mark"),
        pytest.param("patient/Observation%2ers", id="escaped dot"),
        pytest.param("xpatient/Observation.rs", id="leading text"),
        pytest.param("patient/Observation.rsx", id="trailing text"),
        pytest.param("launch/organization", id="launch context the server cannot give"),
        pytest.param("OPENID", id="wrong case of a named scope"),
    ],
)
def test_a_malformed_or_unknown_scope_grants_nothing_and_is_reported(word: str) -> None:
    scopes = parse_scopes(f"{word} openid")

    assert scopes == ScopeSet(launch=frozenset({"openid"}), refused=(word,))


@pytest.mark.parametrize(
    ("word", "scope"),
    [
        ("patient/Observation.rs", Scope("patient", "Observation", frozenset("rs"))),
        ("user/*.cruds", Scope("user", "*", frozenset("cruds"))),
        ("system/Patient.read", Scope("system", "Patient", frozenset("rs"))),
        ("patient/Observation.write", Scope("patient", "Observation", frozenset("cud"))),
        ("patient/*.*", Scope("patient", "*", frozenset("cruds"))),
        (
            "patient/Condition.rs?category=http://x|a&code=http://y|b",
            Scope("patient", "Condition", frozenset("rs"), (("category", "http://x|a"), ("code", "http://y|b"))),
        ),
        (
            "patient/*.rs?_security=http%3A%2F%2Fx%7CN%26R",
            Scope("patient", "*", frozenset("rs"), (("_security", "http://x|N&R"),)),
        ),
    ],
)
def test_both_dialects_wildcards_and_granular_parameters_are_understood(word: str, scope: Scope) -> None:
    assert parse_scopes(word).fhir == (scope,)


def test_the_v1_dialect_comes_back_as_v1_and_v2_as_v2() -> None:
    text = "launch/patient openid patient/Observation.read user/*.* patient/Condition.cruds patient/Encounter.rs"

    assert serialise(parse_scopes(text)) == text


def test_a_v1_scope_is_recognised_by_its_letters_not_by_the_end_of_a_value() -> None:
    text = "patient/Observation.rs?category=http://x.read"

    assert parse_scopes(text).v1 == frozenset()
    assert serialise(parse_scopes(text)) == text


def test_repeated_scopes_count_once() -> None:
    assert len(parse_scopes("patient/Patient.r patient/Patient.r openid openid").fhir) == 1


@pytest.mark.parametrize(
    ("requested", "allowed", "granted"),
    [
        pytest.param("patient/*.rs", "patient/Observation.rs openid", "patient/Observation.rs", id="wildcard asked"),
        pytest.param("patient/Observation.cruds", "patient/*.rs", "patient/Observation.rs", id="wildcard allowed"),
        pytest.param("patient/Observation.rs", "user/Observation.rs", "", id="other context"),
        pytest.param("patient/Observation.rs", "patient/Condition.rs", "", id="other type"),
        pytest.param("patient/Observation.c", "patient/Observation.rs", "", id="no letter in common"),
        pytest.param("patient/Observation.read", "patient/*.cruds", "patient/Observation.read", id="v1 stays v1"),
        pytest.param(
            "patient/Observation.*", "patient/*.read", "patient/Observation.read", id="v1 shrinks to a v1 word"
        ),
        pytest.param("patient/Observation.*", "patient/*.r", "patient/Observation.r", id="no v1 word left"),
        pytest.param(
            "patient/Observation.rs",
            "patient/Observation.rs?category=a patient/Observation.rs?category=b",
            "patient/Observation.rs?category=a patient/Observation.rs?category=b",
            id="granular allowance splits",
        ),
        pytest.param(
            "patient/Observation.rs?category=a",
            "patient/Observation.cruds",
            "patient/Observation.rs?category=a",
            id="granular request stays granular",
        ),
        pytest.param(
            "patient/Observation.rs?category=a patient/Observation.rs?category=b",
            "patient/Observation.rs?category=b patient/Observation.rs?category=a",
            "patient/Observation.rs?category=a patient/Observation.rs?category=b",
            id="what another scope covers is left out",
        ),
        pytest.param(
            "patient/Observation.rs?category=a&code=b",
            "patient/Observation.rs?code=b&category=a patient/*.rs",
            "patient/Observation.rs?category=a&code=b",
            id="order of parameters does not matter",
        ),
        pytest.param("launch openid fhirUser", "openid fhirUser profile", "fhirUser openid", id="named scopes"),
    ],
)
def test_the_intersection_is_by_meaning(requested: str, allowed: str, granted: str) -> None:
    assert serialise(intersect(parse_scopes(requested), parse_scopes(allowed))) == granted


@pytest.mark.parametrize(
    ("granted", "asked", "answer"),
    [
        pytest.param("patient/*.cruds", "patient/Observation.rs", True, id="narrower type and letters"),
        pytest.param("patient/Observation.rs", "patient/*.rs", False, id="wider type"),
        pytest.param("patient/Observation.rs", "patient/Observation.read", True, id="same in the other dialect"),
        pytest.param("patient/Observation.r patient/*.s", "patient/Observation.rs", True, id="letters from two scopes"),
        pytest.param("patient/Observation.rs?category=a", "patient/Observation.rs", False, id="granular is narrower"),
        pytest.param("patient/Observation.rs", "patient/Observation.rs?category=a", True, id="granular asked"),
        pytest.param("patient/Observation.rs", "user/Observation.rs", False, id="other context"),
        pytest.param("openid", "openid fhirUser", False, id="named scope missing"),
        pytest.param("openid", "", True, id="nothing asked"),
    ],
)
def test_covers_compares_meaning_not_text(granted: str, asked: str, answer: bool) -> None:
    assert covers(parse_scopes(granted), parse_scopes(asked)) is answer


def test_granular_parameters_are_an_explicit_list_per_type() -> None:
    assert granular_parameters("Observation") == ("_security", "_tag", "category", "code", "status")
    assert granular_parameters("*") == ("_security", "_tag")


_LETTERS = st.sets(st.sampled_from("cruds"), min_size=1).map(frozenset)
_CODES = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters=",|\\$\ufffd"),
    min_size=1,
    max_size=8,
).filter(str.isprintable)
_VALUES = st.one_of(_CODES, st.tuples(_CODES, _CODES).map("|".join), st.tuples(_CODES, _CODES).map(",".join))


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    type_name = draw(st.sampled_from(["*", "Patient", "Observation", "Condition"]))
    names = st.sampled_from(granular_parameters(type_name))
    params = draw(st.lists(st.tuples(names, _VALUES), max_size=2, unique=True))
    return Scope(draw(st.sampled_from(["patient", "user", "system"])), type_name, draw(_LETTERS), tuple(params))


@st.composite
def scope_sets(draw: st.DrawFn) -> ScopeSet:
    fhir = tuple(draw(st.lists(scopes(), max_size=4, unique=True)))
    plain = [scope for scope in fhir if scope.letters in (frozenset("rs"), frozenset("cud"), frozenset("cruds"))]
    v1 = draw(st.sets(st.sampled_from([s for s in plain if not s.params]))) if any(not s.params for s in plain) else ()
    return ScopeSet(fhir, frozenset(draw(st.sets(st.sampled_from(sorted(NAMED_SCOPES))))), frozenset(v1))


@given(scope_sets())
def test_what_is_written_is_read_back(scopes: ScopeSet) -> None:
    assert parse_scopes(serialise(scopes)) == scopes


@given(scope_sets(), scope_sets())
def test_an_intersection_is_inside_both_sides(one: ScopeSet, other: ScopeSet) -> None:
    both = intersect(one, other)

    assert covers(one, both)
    assert covers(other, both)


@given(scope_sets(), scope_sets())
def test_an_intersection_means_the_same_from_both_sides(one: ScopeSet, other: ScopeSet) -> None:
    there, back = intersect(one, other), intersect(other, one)

    assert covers(there, back)
    assert covers(back, there)


@given(scope_sets())
def test_a_set_meets_itself_completely(scopes: ScopeSet) -> None:
    assert covers(intersect(scopes, scopes), scopes)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    parsed = parse_scopes(text)

    assert parse_scopes(serialise(parsed)) == ScopeSet(parsed.fhir, parsed.launch, parsed.v1)
