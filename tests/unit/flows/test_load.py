"""Files that are imported: how far it is, in bytes of the files."""

import bz2
import gzip
import json
import random
import tracemalloc

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

    async def load(name, content, **settings):
        file, steps = tmp_path / name, []
        file.write_bytes(content)
        async with embedded_facade(tmp_path / "data", **settings) as facade:
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


# --- more than fits ---------------------------------------------------------------------------------------------------


SMALL = {"max_body_bytes": 2000, "max_batch_bytes": 20_000}
ROOM = 12 * 2**20
"""More than a facade takes for itself meanwhile, and far less than what the bombs hold."""


def _long(number: int, length: int = 100) -> bytes:
    noise = random.Random(number).randbytes(length).hex()
    return json.dumps({"resourceType": "Patient", "id": f"p{number}", "name": [{"text": noise}]}).encode() + b"\n"


SHORT_LINES = b"{\n" * 500_000


def _bzip2(content: bytes) -> bytes:
    """As one stream; lines that are all the same, for which bzip2 takes long, as many, as several processors pack."""
    if content.startswith(SHORT_LINES):
        return bz2.compress(SHORT_LINES, 1) * (len(content) // len(SHORT_LINES))
    return bz2.compress(content, 1)


PACKED = [("gz", gzip.compress), ("bz2", _bzip2)]


@pytest.mark.parametrize(("suffix", "pack"), PACKED, ids=["gzip", "bzip2"])
@pytest.mark.parametrize(
    "content",
    [bytes(40_000_000), SHORT_LINES * 40, b'{"resourceType":"Patient"}\n' + b" " * 40_000_000],
    ids=["zeros", "short lines", "one line and blanks"],
)
async def test_a_bomb_is_refused_and_takes_no_room(told, suffix, pack, content):
    packed = pack(content)
    await told("one.ndjson", _long(1))  # what is loaded when it is needed first is no room that a bomb takes
    tracemalloc.start()

    result, size, steps = await told(f"bomb.ndjson.{suffix}", packed, **SMALL)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(result.refused) + result.untold >= 1
    assert peak < ROOM + len(packed)
    assert sum(steps) == size


async def test_a_line_that_is_too_long_is_passed_over_and_named(told):
    lines = [_long(1), _long(2, 30_000), b"\n", _long(3), _long(4, 1000)]

    result, _, _ = await told("lines.ndjson.gz", gzip.compress(b"".join(lines)), **SMALL)

    assert result.refused == [
        f"line {number}: longer than 2000 bytes, which FHIR_FACADE_MAX_BODY_BYTES allows" for number in (2, 5)
    ]
    assert result.counts == {"Patient created": 2}


@pytest.mark.parametrize("name", ["lines.ndjson", "lines.ndjson.gz", "lines.ndjson.bz2"])
async def test_lines_go_in_however_many_they_are(told, name):
    pack = dict(PACKED).get(name.rpartition(".")[2], bytes)
    lines = [_long(number) for number in range(500)]

    result, size, steps = await told(name, pack(b"".join(lines)), **SMALL)

    assert (result.refused, result.counts) == ([], {"Patient created": 500})
    assert sum(steps) == size
    assert len(steps) > 5


async def test_a_long_bundle_is_refused_with_the_way_out(told):
    entries = [{"resource": json.loads(_long(number))} for number in range(200)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}

    result, _, _ = await told("b.json", json.dumps(bundle, indent=1).encode(), **SMALL)

    (reason,) = result.refused
    assert "FHIR_FACADE_MAX_BATCH_BYTES" in reason
    assert "split it" in reason


@pytest.mark.parametrize("indent", [None, 1])
async def test_an_entry_that_is_too_long_is_named(told, indent):
    entries = [{"resource": json.loads(_long(number, length))} for number, length in ((1, 10), (2, 2000), (3, 10))]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}

    result, _, _ = await told("b.json", json.dumps(bundle, indent=indent).encode(), **SMALL)

    assert [reason.partition(",")[0] for reason in result.refused] == ["entry 2: longer than 2000 bytes"]
    assert result.counts == {"Patient created": 2}


async def test_what_comes_before_a_damage_is_imported_and_the_refusal_says_where_it_ends(told):
    packed = gzip.compress(b"".join(_long(number) for number in range(500)))

    result, _, _ = await told("cut.ndjson.gz", packed[: len(packed) // 2], **SMALL)

    (reason,) = result.refused
    assert "what is after line" in reason
    assert 0 < result.counts["Patient created"] < 500


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
