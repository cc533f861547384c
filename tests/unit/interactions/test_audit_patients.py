"""When a search itself says which patient every match is about, so that no match has to be read for the audit."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhir_facade.fhir.query import parse_query
from fhir_facade.interactions.audit import patient_of_all, patients_claimed
from fhir_facade.values import FhirRequest, Interaction

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def said(type_name: str, *params: tuple[str, str]) -> str | None:
    return patient_of_all(type_name, parse_query(type_name, params, now=NOW).query.criteria)


@pytest.mark.parametrize("value", ["p1", "Patient/p1"])
def test_one_patient_of_records_with_one_owner_is_all_of_theirs(value: str) -> None:
    assert said("Observation", ("code", "1-8"), ("patient", value)) == "p1"


@pytest.mark.parametrize(
    ("type_name", "param"),
    [
        ("Observation", ("patient", "p1,p2")),
        ("Observation", ("patient:identifier", "urn:x|p1")),
        ("Observation", ("patient:missing", "false")),
        ("Observation", ("patient", "https://else.example/Patient/p1")),
        ("Observation", ("patient.name", "Eve")),
        ("Observation", ("status", "final")),
        ("Appointment", ("patient", "p1")),
        ("Patient", ("_id", "p1")),
        ("Organization", ("name", "x")),
    ],
    ids=lambda part: part if isinstance(part, str) else "=".join(part),
)
def test_everything_else_leaves_it_to_the_matches(type_name: str, param: tuple[str, str]) -> None:
    assert said(type_name, param) is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"no json", id="no JSON"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff{}", id="no text"),
        pytest.param(b'{"subject":' + b"[" * 5000 + b"]" * 5000 + b"}", id="too deep"),
        pytest.param(b'{"resourceType":"Observation","subject":{"reference":5}}', id="a reference that is a number"),
        pytest.param(b'{"resourceType":"Observation","subject":"Patient/p1"}', id="a text"),
        pytest.param(b'{"resourceType":"Observation","subject":{"reference":"http://x.example/Patient/p1"}}', id="far"),
        pytest.param(b'{"resourceType":"Observation","subject":{"reference":"Patient?name=Eve"}}', id="a condition"),
    ],
)
def test_a_body_that_names_nobody_claims_nobody(body: bytes) -> None:
    assert patients_claimed(FhirRequest(Interaction.CREATE, "Observation", body=body)) == frozenset()


def test_a_body_claims_whom_it_is_about() -> None:
    """A new Patient has no id yet, whatever it is sent with."""
    body = b'{"resourceType":"Observation","status":"x","subject":{"reference":"Patient/p1"}}'
    assert patients_claimed(FhirRequest(Interaction.CREATE, "Observation", body=body)) == {"p1"}
    patient = b'{"resourceType":"Patient","id":"p1"}'
    assert patients_claimed(FhirRequest(Interaction.CREATE, "Patient", body=patient)) == frozenset()
