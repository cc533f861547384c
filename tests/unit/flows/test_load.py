"""Files that are imported: how far it is, in bytes of the files."""

import bz2
import gzip
import json

import pytest

from fhir_facade.flows.load import CHUNK, load_files
from tests.facade import embedded_facade

PATIENTS = [{"resourceType": "Patient", "id": f"p{number}"} for number in range(2 * CHUNK + 1)]
LINES = "".join(json.dumps(patient) + "\n" for patient in PATIENTS).encode()
COLLECTION = json.dumps(
    {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient} for patient in PATIENTS]}
).encode()
TRANSACTION = json.dumps(
    {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": PATIENTS[0], "request": {"method": "PUT", "url": "Patient/p0"}}],
    }
).encode()


@pytest.fixture
async def told(tmp_path):
    """Loads one file; the result, its size, and what was told until its end."""

    async def load(name, content):
        file, steps = tmp_path / name, []
        file.write_bytes(content)
        async with embedded_facade(tmp_path / "data") as facade:
            (result,) = [each async for each in load_files(facade.ports, [file], steps.append)]
        return result, file.stat().st_size, steps

    return load


def _bent(archive: bytes) -> bytes:
    return archive[:20] + bytes(20) + archive[40:]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.gz", b"no json"),
        ("broken.gz", gzip.compress(LINES)[:50]),
        ("broken.gz", _bent(gzip.compress(LINES))),
        ("broken.bz2", _bent(bz2.compress(LINES))),
        ("deep.json", b'{"entry":[{"resource":' + b"[" * 100_000),
    ],
    ids=["garbage", "cut archive", "bent gzip", "bent bzip2", "deep"],
)
async def test_a_file_that_is_refused_is_done_too(told, name, content):
    result, size, steps = await told(name, content)

    assert result.refused
    assert sum(steps) == size


async def test_a_refusal_names_the_line_of_the_file_wherever_it_was_refused(told):
    """Empty lines count, as they do for whoever opens the file there; so do those before the last few hundred."""
    lines = LINES.splitlines()
    lines[CHUNK + 10 : CHUNK + 10] = [b"", b"{no json", b'{"resourceType": "Patient", "id": "x", "gender": "odd"}']

    result, _, _ = await told("lines.ndjson", b"\n".join(lines))

    assert [reason.partition(": ")[0] for reason in result.refused] == [f"line {CHUNK + 12}", f"line {CHUNK + 13}"]
    assert "gender" in result.refused[1]
    assert sum(result.counts.values()) == len(PATIENTS)


@pytest.mark.parametrize("kind", ["collection", "batch"])
async def test_a_refusal_names_the_entry_of_the_bundle_counted_from_one(told, kind):
    entries = [
        {
            "resource": {"resourceType": "Patient", "id": f"p{number}"} | wrong,
            "request": {"method": "PUT", "url": f"Patient/p{number}"},
        }
        for number, wrong in enumerate([{}, {"gender": "odd"}, {}, {"gender": 1}])
    ]

    result, _, _ = await told("b.json", json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode())

    assert [reason.partition(": ")[0] for reason in result.refused] == ["entry 2", "entry 4"]


async def test_a_resource_over_several_lines_is_one_resource(told):
    result, _, _ = await told("patient.json", json.dumps(PATIENTS[0], indent=2).encode())

    assert (result.refused, result.counts) == ([], {"Patient created": 1})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lines.ndjson", LINES),
        ("lines.ndjson.gz", gzip.compress(LINES)),
        ("lines.ndjson.bz2", bz2.compress(LINES)),
        ("bundle.json", COLLECTION),
    ],
    ids=["lines", "lines in gzip", "lines in bzip2", "collection"],
)
async def test_a_large_file_tells_how_far_it_is(told, name, content):
    result, size, steps = await told(name, content)

    assert sum(result.counts.values()) == len(PATIENTS)
    assert sum(steps) == size
    assert steps[0] > size / 4
    assert steps[1] > size / 4
    assert min(steps) >= 0


async def test_a_transaction_happens_whole_and_is_done_at_once(told):
    _, size, steps = await told("transaction.json", TRANSACTION)

    assert steps == [size]
