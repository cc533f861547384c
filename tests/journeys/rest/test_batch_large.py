"""Ten thousand creates in one batch, sent to a real server: its memory follows the bytes, others are answered meanwhile,
and a caller who goes away leaves nothing half done."""

from __future__ import annotations

import http.client
import json
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.bench.bundles import MIB, Peaks
from tests.facade import Served, facade_env, served
from tests.patience import PATIENCE_S

ENTRIES = 10_000
MARGIN_MIB = 24
"""For the entries that are under way, and for what Python and SQLite keep for the next time."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what memory is held")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("large")
    with served(facade_env(folder / "data"), folder / "log", module="fhir_facade") as running:
        yield running


@pytest.fixture(scope="module")
def headers(server: Served) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.token()}", "Content-Type": "application/fhir+json"}


def basic(number: int, mark: str) -> Any:
    """A kilobyte with little to index: it is about the Bundle."""
    padding = [{"url": "urn:padding", "valueString": "x" * 900}]
    resource = {"resourceType": "Basic", "code": {"text": mark}, "extension": padding}
    if number % 100 == 1:
        return {"resource": {**resource, "status": "nonsense"}, "request": {"method": "POST", "url": "Basic"}}
    if number % 100 == 2:
        url = f"Basic/{mark}-{number}"
        return {"resource": {**resource, "id": f"{mark}-{number}"}, "request": {"method": "PUT", "url": url}}
    return {"resource": resource, "request": {"method": "POST", "url": "Basic"}}


def batch(amount: int, mark: str) -> bytes:
    entries = [basic(number, mark) for number in range(amount)]
    return json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}).encode()


def connected(server: Served) -> http.client.HTTPConnection:
    address = urlsplit(server.url)
    return http.client.HTTPConnection(str(address.hostname), address.port, timeout=PATIENCE_S)


def posted(server: Served, body: bytes, headers: dict[str, str]) -> bytes:
    with closing(connected(server)) as connection:
        connection.request("POST", "/fhir", body, headers | {"Prefer": "return=representation"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.getheader("transfer-encoding") == "chunked"
        return answer.read()


def beside(server: Served, headers: dict[str, str], ended: threading.Event, seen: list[int]) -> None:
    """Somebody else, who reads."""
    with closing(connected(server)) as connection:
        while not ended.is_set():
            connection.request("GET", "/fhir/Basic/nothing", headers=headers)
            answer = connection.getresponse()
            answer.read()
            seen.append(answer.status)


def test_memory_follows_the_bytes_and_others_are_answered(server: Served, headers: dict[str, str]) -> None:
    posted(server, batch(500, "first"), headers)
    body, ended, seen = batch(ENTRIES, "many"), threading.Event(), list[int]()
    peaks = Peaks([server.process.pid])
    threads = [
        threading.Thread(target=peaks.look),
        threading.Thread(target=beside, args=(server, headers, ended, seen)),
    ]
    for thread in threads:
        thread.start()

    answer = posted(server, body, headers)

    peaks.end()
    ended.set()
    for thread in threads:
        thread.join()
    statuses = Counter(each["response"]["status"][:3] for each in json.loads(answer)["entry"])
    assert statuses == {"201": ENTRIES - 100, "422": 100}
    assert set(seen) == {404}
    assert len(seen) > ENTRIES / 100
    assert peaks.rises[0] < len(body) / MIB + MARGIN_MIB < (len(body) + len(answer)) / MIB + MARGIN_MIB


def test_a_caller_who_goes_away_leaves_every_entry_whole(server: Served, headers: dict[str, str]) -> None:
    mark = uuid.uuid4().hex
    connection = connected(server)
    connection.request("POST", "/fhir", batch(1500, mark), headers | {"X-Request-ID": mark})
    connection.getresponse().read(1)
    connection.close()

    def counted(statement: str, *values: Any) -> int:
        path = Path(server.env["FHIR_FACADE_DATA_DIR"]) / "facade.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=PATIENCE_S)) as rows:
            return int(rows.execute(statement, values).fetchone()[0])

    lines = "SELECT count(*) FROM audit WHERE request_id = ? AND outcome = ?"
    until(lambda: counted(lines, mark, "success") + counted(lines, mark, "failed") == 1500)
    stored = "SELECT count(*) FROM fhir_resource WHERE type = 'Basic' AND instr(body, ?) > 0"
    assert counted(stored, mark.encode()) == counted(lines, mark, "success") == 1485


def until(true: Callable[[], bool], *, pauses: Sequence[float] = (0.05,) * int(PATIENCE_S * 20)) -> None:
    for pause in pauses:
        if true():
            return
        time.sleep(pause)
    raise AssertionError("it did not become true")
