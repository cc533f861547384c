"""The serve command in several processes: one server to everybody outside, whatever happens to one of them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.facade import facade_env, served
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, which spreads connections over processes")

WORKERS = 3
VITAL_SIGN = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    env = facade_env(folder / "data", WORKERS=str(WORKERS), LOG_LEVEL="info")
    with served(env, folder / "log", module="fhir_facade") as running:
        running.authorization = {"Authorization": f"Bearer {running.token()}"}
        yield running


def fresh(server):
    """A client that opens a connection of its own for each request, so that any process may get it."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=server.url, headers=server.authorization, limits=limits, timeout=PATIENCE_S)


def workers(server):
    return {
        int(pid) for pid in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    }


def runs(pid):
    """One that ended stays listed until whoever inherited it asks how, which no test can hasten."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(reached, otherwise):
    until = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < until, otherwise
        time.sleep(0.02)


def patient(id):
    return {"resourceType": "Patient", "id": id, "birthDate": "1970-01-01"}


def heart_rate(id, value):
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [VITAL_SIGN],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{id}"},
        "effectiveDateTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "valueQuantity": {"value": value, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    }


def told(server, event):
    """The lines of the log about an event."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


async def test_a_server_on_the_same_port_is_refused_though_workers_share_it(server, tmp_path):
    env = facade_env(tmp_path / "data", WORKERS="2", PORT=server.env["FHIR_FACADE_PORT"])

    second = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "fhir_facade", "serve"], env=env, capture_output=True, text=True
    )

    assert second.returncode == 1
    assert "Address already in use" in second.stderr


async def test_it_says_once_that_it_listens(server):
    async with asyncio.timeout(PATIENCE_S):  # /health is answered before
        while not told(server, "serve.listening"):
            await asyncio.sleep(0.02)
    assert [line["workers"] for line in told(server, "serve.listening")] == [WORKERS]
    assert len(workers(server)) == WORKERS


async def test_what_is_written_over_any_connection_is_read_over_any_other(server):
    async with fresh(server) as app:
        written = await asyncio.gather(*(app.post("/fhir/Patient", json=patient(None)) for _ in range(40)))
        ids = [answer.json()["id"] for answer in written]
        read = await asyncio.gather(*(app.get(f"/fhir/Patient/{each}") for each in ids))

    assert {answer.status_code for answer in written} == {201}
    assert len(set(ids)) == len(ids)
    assert {answer.status_code for answer in read} == {200}


async def test_readings_that_race_raise_one_alert(server):
    async with fresh(server) as app:
        await app.put("/fhir/Patient/racing", json=patient("racing"))
        posts = [app.post("/fhir/Observation", json=heart_rate("racing", 180 + beat)) for beat in range(12)]
        written = await asyncio.gather(*posts)
        found = (await app.get("/fhir/DetectedIssue", params={"patient": "Patient/racing"})).json()

    assert {answer.status_code for answer in written} == {201}
    assert len(found["entry"]) == 1


async def test_the_metrics_are_those_of_all_processes(server):
    def counted(text):
        name = 'fhir_facade_requests_total{interaction="vread"'
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    async with fresh(server) as app:
        await app.put("/fhir/Patient/counted", json=patient("counted"))
        for _ in range(20):
            await app.get("/fhir/Patient/counted/_history/1")
        seen = set()
        while seen != {20.0}:  # what a process counted is told to the others within half a second
            seen = {counted((await app.get("/metrics")).text) for _ in range(10)}
            assert max(seen) <= 20


async def test_a_process_that_dies_is_replaced_and_nobody_else_notices(server):
    before = workers(server)
    os.kill(min(before), signal.SIGKILL)
    while len(workers(server) - before) < 1 or min(before) in workers(server):
        await asyncio.sleep(0.05)

    async with fresh(server) as app:
        answers = await asyncio.gather(*(app.get("/health") for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert [line["exit_code"] for line in told(server, "serve.worker_ended")] == [-signal.SIGKILL]


def test_a_killed_server_takes_its_processes_along_and_can_be_started_again_at_once(tmp_path):
    env = facade_env(tmp_path / "data", WORKERS="2")
    with served(env, tmp_path / "log") as first:
        children = workers(first)
        first.kill()
        with served(env, tmp_path / "log") as second:
            again = workers(second)
        orphans = children | again
        wait_for(lambda: not any(map(runs, orphans)), "the processes of a killed server go on")

    assert len(children) == len(again) == 2


def test_a_worker_that_cannot_start_ends_the_server_with_a_sentence(tmp_path):
    env = facade_env(tmp_path / "data", WORKERS="2")
    program = (
        "import fhir_facade.cli.serving as serving\n"
        "from fhir_facade.cli.workers import Workers\n"
        "def work(worker): raise SystemExit('no memory')\n"
        "raise SystemExit(Workers(2, work, ready=lambda: print('ready')).run())\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert set(ended.stderr.splitlines()) == {"no memory"}
    assert ended.stdout == ""


def test_a_signal_that_comes_while_a_worker_is_being_parted_ends_it(tmp_path):
    program = (
        "import os, signal, time\n"
        "from fhir_facade.cli.workers import Workers\n"
        "os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))\n"
        f"def work(worker): signal.alarm(0); time.sleep({PATIENCE_S})\n"
        "raise SystemExit(Workers(1, work, ready=lambda: print('ready')).run())\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=PATIENCE_S / 2
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "")


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_in_order(tmp_path, sig):
    with served(facade_env(tmp_path / "data", WORKERS="2"), tmp_path / "log", module="fhir_facade") as running:
        children = workers(running)
        running.process.send_signal(sig)
        code = running.process.wait(PATIENCE_S)

    assert code == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    assert (tmp_path / "log").read_text() == ""
