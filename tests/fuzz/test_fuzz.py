"""Whatever is sent, the answer is a refusal or a result with its meaning, never a defect.

A short walk with every run of the tests, the same each time; `make fuzz` walks for half an hour, and elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.record import Record
from tests.fuzz.run import ask_again
from tests.fuzz.schema import run_schemathesis
from tests.fuzz.stage import Stage, opened_stage
from tests.fuzz.walk import SUBJECTS, page_links, walk
from tests.fuzz.wire import Answer, Request

EXAMPLES = 25
pytestmark = pytest.mark.xdist_group("fuzz")  # one server for all of them


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with opened_stage(tmp_path_factory.mktemp("fuzz")) as stage:
        yield stage


@pytest.fixture
def record(stage: Stage, tmp_path: Path) -> Record:
    """Of one test; what the server wrote before is read."""
    record = Record(tmp_path / "findings", stage.running.log)
    record.written()
    return record


@pytest.mark.parametrize("subject", [pytest.param(name, id=name.replace(" ", "-")) for name in SUBJECTS])
def test_no_request_is_a_defect(stage: Stage, record: Record, subject: str) -> None:
    walk(stage, record, SUBJECTS[subject], EXAMPLES, always_the_same=True)

    assert record.requests >= EXAMPLES
    assert list(record.findings.values()) == []
    assert record.written() == []


def test_no_bent_page_link_is_a_defect(stage: Stage, record: Record) -> None:
    stage.renew()

    walk(stage, record, page_links(stage), EXAMPLES, always_the_same=True)

    assert list(record.findings.values()) == []


def test_schemathesis_finds_nothing_on_the_operations_of_patients(stage: Stage, record: Record) -> None:
    always_the_same = ("--generation-deterministic", "--max-examples", "2", "--phases", "fuzzing")
    some = ("--include-path-regex", "^/(fhir/Patient|oauth/(token|revoke))")

    run_schemathesis(stage, record, "patient", 5, *always_the_same, *some)

    assert record.requests > 0
    assert list(record.findings.values()) == []


def test_a_kept_finding_is_asked_again_with_the_token_of_today(
    stage: Stage, record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = record.keep(Request("GET", "/fhir/Patient/anna", "system"), Answer(500), ["500: a defect"])

    code = ask_again(stage, record.path_of(kept))

    assert code == 0
    assert "200 {" in capsys.readouterr().out
