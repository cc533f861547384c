"""OperationOutcome: what happened, in the words FHIR clients read.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from fhir_facade.errors import FacadeError, Issue


def operation_outcome(issues: Iterable[Issue]) -> bytes:
    """The issues as one OperationOutcome. FHIR asks for at least one issue; without any it says that all is well."""
    listed = [_issue(issue) for issue in issues] or [_issue(_informational("All OK."))]
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": listed})


def outcome_of(error: FacadeError) -> bytes:
    """The OperationOutcome that tells a caller about an error."""
    return operation_outcome(error.issues)


def informational(diagnostics: str) -> bytes:
    """An OperationOutcome for something that went well, as `Prefer: return=OperationOutcome` asks for."""
    return operation_outcome((_informational(diagnostics),))


def _informational(diagnostics: str) -> Issue:
    return Issue("informational", diagnostics, severity="information")


def _issue(issue: Issue) -> dict[str, Any]:
    shown: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.diagnostics}
    if issue.expression is not None:
        shown["expression"] = [issue.expression]
    return shown
