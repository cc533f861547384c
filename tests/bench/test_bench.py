"""The benchmark runs; how fast is no test."""

import bz2
import json

import msgspec
import pytest

from tests.bench import data, growth, report, run
from tests.bench.report import BARE, EMBEDDED, HAPI, JAVA, LOADER, OVER, POSTGRESQL, PYTHON, Cell, Run, Sample
from tests.bench.synthea import Synthea


def sampled(operation, concurrency, server, *speeds):
    return Cell(operation, concurrency, server, [Sample(speed, 1000 / speed, 5.0, {}, 0.2) for speed in speeds])


def a_run(*cells):
    return Run("two cores", 1, 4, 1.0, 2, cells=list(cells))


def test_a_tiny_run_measures_every_operation_and_writes_both_files(tmp_path, capsys):
    tiny = "--patients 2 --readings 3 --seconds 0.2 --rounds 1 --concurrency 2 --warm-up 0.1 --without-hapi"

    run.main([*tiny.split(), "--out", str(tmp_path)])

    made = msgspec.json.decode((tmp_path / "table.json").read_bytes(), type=Run)
    measured = {(cell.operation, cell.server) for cell in made.cells if cell.per_second > 0}
    assert measured == {(operation, server) for operation in run.OPERATIONS for server in (BARE, EMBEDDED)}
    assert (tmp_path / "table.md").read_text() in capsys.readouterr().out
    assert "HAPI is left out as asked" in (tmp_path / "table.md").read_text()


def test_a_ratio_is_taken_within_each_round():
    made = a_run(sampled("read", 32, EMBEDDED, 400, 40), sampled("read", 32, HAPI, 100, 10))

    assert made.ratio("read", 32, EMBEDDED, HAPI) == 4


def test_a_target_that_is_missed_says_so():
    made = a_run(sampled("read", 32, EMBEDDED, 300), sampled("read", 32, HAPI, 100), sampled("read", 32, OVER, 71))

    assert "| read at 32: embedded / HAPI alone | ≥ 4 | 3.00 | **missed** |" in report.markdown(made)
    assert "| read at 32: facade over HAPI / HAPI alone | ≥ 0.7 | 0.71 | holds |" in report.markdown(made)


def test_what_was_not_measured_is_no_target_that_holds():
    assert all(target.holds is None for target in report.targets(a_run()))


def test_processor_time_is_told_for_each_process():
    spent = {PYTHON: 0.5, JAVA: 1.25, POSTGRESQL: 0.25, LOADER: 0.05}
    made = a_run(Cell("read", 32, OVER, [Sample(500, 2.0, 5.0, spent, 0.2)]))

    assert "| read | 32 | 2.00 (0.50, 1.25, 0.25) | 0.05 |" in report.markdown(made)


def test_the_same_numbers_make_the_same_bytes():
    size = data.Size(2, 3)

    assert list(data.stored_bundles(size)) == list(data.stored_bundles(size))


@pytest.mark.parametrize("run_number", [1, 2])
def test_updates_never_send_a_value_twice(run_number):
    sent = data.updates(data.Size(2, 3), run_number, amount=10) + data.updates(
        data.Size(2, 3), run_number + 1, amount=10
    )

    assert len({body for _, _, body in sent}) == len(sent)


def test_growth_is_told_for_every_way_to_search(capsys):
    growth.main(["--sizes", "100", "200"])

    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows[2:]] == list(growth.ROWS)


@pytest.mark.parametrize(("ms", "matches", "told"), [(20, 10, 1.0), (2, 10, 0.1), (40, 1, 20.0)])
def test_growth_is_measured_by_the_matches(ms, matches, told):
    first, last = dict.fromkeys(growth.ROWS, growth.Found(2, 1)), dict.fromkeys(growth.ROWS, growth.Found(ms, matches))

    assert f"| {told:.2f} |" in growth.table([1, 2], [first, last])


@pytest.fixture
def lives(tmp_path):
    """Two transactions as Synthea publishes them: who treats, and one patient with a reading."""
    doctor = {"resourceType": "Practitioner", "identifier": [{"system": "urn:npi", "value": "9"}]}
    patient = {
        "resourceType": "Patient",
        "name": [{"family": "Roe"}],
        "identifier": [{"system": "urn:mrn", "value": "1"}],
        "generalPractitioner": [{"reference": "Practitioner?identifier=urn:npi|9"}],
    }
    reading = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": "urn:uuid:anna"},
        "effectiveDateTime": "2020-02-03T04:05:06Z",
        "valueQuantity": {"value": 60, "system": "http://unitsofmeasure.org", "code": "/min"},
    }
    for name, resources in {"a": {"house": doctor}, "b": {"anna": patient, "pulse": reading}}.items():
        entries = [
            {"fullUrl": f"urn:uuid:{id_}", "resource": each, "request": {"method": "POST", "url": each["resourceType"]}}
            for id_, each in resources.items()
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        (tmp_path / f"{name}.json.bz2").write_bytes(bz2.compress(json.dumps(bundle).encode()))
    return tmp_path


def test_published_records_are_stored_under_their_own_ids_as_often_as_asked(lives):
    stored = [json.loads(text)["entry"] for text in Synthea(lives, copies=2).stored()]

    assert [[entry["request"]["url"] for entry in entries] for entries in stored] == [
        ["Practitioner/house"],
        ["Patient/anna", "Observation/pulse"],
        ["Patient/anna-1", "Observation/pulse-1"],
    ]
    assert stored[2][0]["resource"]["generalPractitioner"] == [{"reference": "Practitioner/house"}]
    assert stored[2][1]["resource"]["subject"] == {"reference": "Patient/anna-1"}


@pytest.mark.parametrize("operation", run.OPERATIONS)
def test_published_records_are_asked_for_as_they_are_stored(lives, operation):
    asked = Synthea(lives, copies=2).requests(operation, run=1, offset=False)

    assert asked
    assert not any("~" in path or b"~" in body for _, path, body in asked)


def test_a_folder_without_records_says_what_it_should_hold(tmp_path):
    with pytest.raises(ValueError, match=r"\*\.json\.bz2"):
        Synthea(tmp_path)
