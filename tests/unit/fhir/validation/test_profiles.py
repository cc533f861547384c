"""Profiles by their address: what is known is looked at, what is not is never agreed to."""

from __future__ import annotations

import pytest

from fhir_facade.fhir.validation import validate
from fhir_facade.fhir.validation.profiles import is_known, profile_issues
from tests.unit.fhir.samples import BLOOD_PRESSURE, DROP, HEART_RATE, PATIENT, TRANSACTION, bent

HL7 = "http://hl7.org/fhir/StructureDefinition"
OURS = "https://fhir-facade.org/fhir/StructureDefinition/wearable-observation"


@pytest.mark.parametrize(
    ("resource", "profile"),
    [
        pytest.param(PATIENT, f"{HL7}/Patient", id="its type"),
        pytest.param(PATIENT, f"{HL7}/Resource", id="any resource"),
        pytest.param(PATIENT, f"{HL7}/DomainResource|4.0.1", id="any domain resource"),
        pytest.param(HEART_RATE, f"{HL7}/heartrate", id="vital sign"),
        pytest.param(BLOOD_PRESSURE, f"{HL7}/vitalsigns", id="any vital sign"),
    ],
)
def test_what_keeps_to_a_profile_has_no_issue(resource: dict, profile: str) -> None:
    assert profile_issues(resource, profile) == []
    assert is_known(profile)


@pytest.mark.parametrize(
    ("resource", "profile", "code", "text"),
    [
        pytest.param(PATIENT, "http://example.org/x", "not-supported", "not known here", id="foreign"),
        pytest.param(PATIENT, f"{HL7}/Patient|5.0.0", "not-supported", "not known here", id="another version"),
        pytest.param(PATIENT, f"{HL7}/Observation", "structure", "Patient is no Observation", id="another type"),
        pytest.param(PATIENT, f"{HL7}/bodyweight", "structure", "Patient is no Observation", id="vital sign"),
        pytest.param(TRANSACTION, f"{HL7}/DomainResource", "structure", "no DomainResource", id="no domain resource"),
        pytest.param(HEART_RATE, f"{HL7}/bodyweight", "invariant", "29463-7", id="another vital sign"),
        pytest.param(
            bent(HEART_RATE, performer=DROP), OURS, "invariant", "Observation.performer is required", id="ours"
        ),
    ],
)
def test_what_does_not_keep_to_a_profile_is_an_error(resource: dict, profile: str, code: str, text: str) -> None:
    found = [issue for issue in profile_issues(resource, profile) if text in issue.diagnostics]

    assert [(issue.code, issue.severity) for issue in found] == [(code, "error")]


def test_an_extension_of_ours_is_known_and_is_for_extensions() -> None:
    url = "https://fhir-facade.org/fhir/StructureDefinition/score-detail"

    assert is_known(url)
    assert [issue.code for issue in profile_issues(HEART_RATE, url)] == ["structure"]


def test_a_profile_of_ours_that_is_claimed_holds_at_the_gate() -> None:
    claiming = bent(HEART_RATE, identifier=DROP, performer=DROP, meta={"profile": [OURS, "http://example.org/x"]})

    issues = validate(claiming, type="Observation")

    assert {issue.expression for issue in issues} >= {"Observation.identifier", "Observation.performer"}
    assert validate(bent(PATIENT, meta={"profile": [OURS]}), type="Patient") == ()
