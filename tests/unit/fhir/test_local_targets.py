"""Which references have to lead somewhere."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_facade.fhir.extract import extract
from fhir_facade.fhir.extract.local import local_targets

COMPOSITION = {"resourceType": "Composition", "id": "c", "subject": {"reference": "Patient/1"}}


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        pytest.param({"resourceType": "Observation"}, set(), id="none"),
        pytest.param(
            {"resourceType": "Observation", "subject": {"reference": "Patient/1/_history/2"}}, {"Patient/1"}, id="here"
        ),
        pytest.param(
            {"resourceType": "Observation", "subject": {"reference": "Patient/1/_history/x"}},
            {"Patient/1/_history/x"},
            id="in a version that no store gives",
        ),
        pytest.param(
            {"resourceType": "Observation", "subject": {"reference": "http://example.org/Patient/1"}},
            set(),
            id="elsewhere",
        ),
        pytest.param(
            {"resourceType": "Observation", "note": [{"authorReference": {"reference": "Patient/1"}}]},
            set(),
            id="that no search parameter reads",
        ),
        pytest.param(
            {"resourceType": "Bundle", "type": "document", "entry": [{"resource": COMPOSITION}]},
            set(),
            id="within a Bundle",
        ),
    ],
)
def test_targets_are_those_here_that_search_parameters_read(resource: dict[str, Any], found: set[str]) -> None:
    assert local_targets(extract(resource), resource["resourceType"]) == found
