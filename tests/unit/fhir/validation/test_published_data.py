"""Every resource of the shared Synthea patients (https://synthea.mitre.org) is valid; skipped where they are absent."""

import bz2
from pathlib import Path

import msgspec
import pytest

from fhir_facade.fhir.validation import validate

SYNTHEA = Path(__file__).parents[5] / "shared" / "data" / "synthea"
FILES = sorted(SYNTHEA.glob("*.json.bz2"))


@pytest.mark.skipif(not FILES, reason="../shared/data/synthea is not there")
def test_published_patients_raise_no_false_alarm() -> None:
    faults = [
        (path.name, issue.expression, issue.diagnostics)
        for path in FILES
        for entry in msgspec.json.decode(bz2.decompress(path.read_bytes()))["entry"]
        for issue in validate(entry["resource"], type=entry["resource"]["resourceType"])
        if issue.severity == "error"
    ]

    assert faults == []
