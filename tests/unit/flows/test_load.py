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


@pytest.mark.parametrize("content", [b"no json", gzip.compress(LINES)[:50]], ids=["garbage", "cut archive"])
async def test_a_file_that_is_refused_is_done_too(told, content):
    result, size, steps = await told("broken.gz", content)

    assert result.refused
    assert sum(steps) == size


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
