"""OperationOutcome; https://hl7.org/fhir/R4/operationoutcome.html."""

import inspect
import json
import re

import pytest

from fhir_facade import errors
from fhir_facade.errors import FacadeError, InvalidResource, Issue, NotFound
from fhir_facade.fhir.outcome import informational, operation_outcome, outcome_of

# https://hl7.org/fhir/R4/valueset-issue-type.html
ISSUE_TYPES = re.findall(
    r"\S+",
    """
    invalid structure required value invariant security login unknown expired forbidden suppressed processing
    not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly
    business-rule conflict transient lock-error no-store exception timeout incomplete throttled informational
    """,
)


def test_an_error_becomes_an_outcome_with_its_path() -> None:
    outcome = json.loads(outcome_of(InvalidResource("No status.", expression="Observation.status")))

    assert outcome == {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": "error", "code": "invalid", "diagnostics": "No status.", "expression": ["Observation.status"]}
        ],
    }


def test_every_issue_of_an_error_is_listed() -> None:
    issues = (Issue("required", "a"), Issue("code-invalid", "b", "X.y", "warning"))

    listed = json.loads(outcome_of(InvalidResource("two", issues=issues)))["issue"]

    assert [(one["code"], one["severity"]) for one in listed] == [("required", "error"), ("code-invalid", "warning")]


def test_an_issue_without_a_path_has_no_expression() -> None:
    assert "expression" not in json.loads(outcome_of(NotFound("Nothing here.")))["issue"][0]


def test_an_outcome_without_issues_says_that_all_is_well() -> None:
    assert json.loads(operation_outcome(()))["issue"] == [
        {"severity": "information", "code": "informational", "diagnostics": "All OK."}
    ]


def test_an_informational_outcome_is_no_error() -> None:
    assert json.loads(informational("Deleted."))["issue"][0]["severity"] == "information"


@pytest.mark.parametrize(
    "error",
    [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, FacadeError)],
    ids=lambda kind: kind.__name__,
)
def test_every_error_has_an_issue_type_of_r4(error: type[FacadeError]) -> None:
    assert error.code in ISSUE_TYPES
