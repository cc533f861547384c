"""`fhir-facade demo` as a process: what it prints is what is in the store, and what fails is named."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import msgspec
import pytest

from fhir_facade.cli.demo import FACADE_PORT, SIMULATOR_PORT
from fhir_facade.settings import environment_with
from tests.patience import PATIENCE_S

needs_proc = pytest.mark.skipif(
    not os.path.exists("/proc/self/task"), reason="needs Linux: the servers are found below /proc"
)
LOINC = "http://loinc.org"
PATIENT = "Patient/demo-patient"


def started(*words, **settings):
    environment = environment_with(settings) | {"COLUMNS": "80"}
    return subprocess.Popen(
        [sys.executable, "-m", "fhir_facade", "demo", *words],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """One demo for all tests: its output and the folder it left. Settings of the person's shell do not reach it."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    with taken(FACADE_PORT), taken(SIMULATOR_PORT):
        process = started("--once", "--data-dir", str(folder), STORE="hapi", HAPI_URL="http://127.0.0.1:9/fhir")
        output, problems = process.communicate(timeout=5 * PATIENCE_S)
    assert process.returncode == 0, output + problems
    return output, folder


@contextmanager
def taken(port):
    """Somebody listens there: we, or who was faster."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            other.bind(("127.0.0.1", port))
            other.listen()
        yield


def test_a_port_that_is_taken_is_no_obstacle(told):
    output, _ = told

    assert f"127.0.0.1:{FACADE_PORT}/" not in output
    assert f"127.0.0.1:{SIMULATOR_PORT}/" not in output


def resources(folder, type_name):
    """What the data file holds, read without the facade."""
    connection = sqlite3.connect(folder / "facade.sqlite")
    rows = connection.execute("SELECT body FROM fhir_resource WHERE type = ? AND deleted = 0", (type_name,)).fetchall()
    connection.close()
    return [msgspec.json.decode(body) for (body,) in rows]


def of_patient(found):
    return [each for each in found if (each.get("subject") or each.get("patient"))["reference"] == PATIENT]


def test_the_observations_are_counted_by_loinc_code_as_they_are_in_the_store(told):
    output, folder = told
    stored = [each["code"]["coding"][0] for each in of_patient(resources(folder, "Observation"))]
    counts = Counter(coding["code"] for coding in stored if coding["system"] == LOINC)
    printed = {code: int(count) for count, code in re.findall(r"^ +(\d+)  (\d+-\d) ", output, re.MULTILINE)}
    added_after = {"8302-2": 1, "85354-9": 1}

    assert printed == counts - Counter(added_after)
    assert set(counts) >= {"41950-7", "40443-4", "8867-4", "59408-5", "9279-1", "29463-7", "93832-4"}


def test_the_alerts_are_findings_with_work_in_the_store(told):
    output, folder = told
    issues = {f"DetectedIssue/{each['id']}" for each in of_patient(resources(folder, "DetectedIssue"))}
    tasks = resources(folder, "Task")
    printed = set(re.findall(r"DetectedIssue/[0-9a-f-]{36}", output))

    assert printed
    assert printed == issues
    assert {each["focus"]["reference"] for each in tasks} == issues
    assert re.search(r"live event: raised, \d+\.\d s after", output)
    assert "Oxygen saturation low: 89.6 % (rule: <= 91 %), new" in output


def test_the_score_is_the_observation_in_the_store(told):
    output, folder = told
    value, status, identity = re.search(r"([\d.]+) of 100, (\w+): Observation/([0-9a-f-]{36})", output).groups()
    (stored,) = [each for each in resources(folder, "Observation") if each["id"] == identity]
    missing = [part for part in stored["component"] if "dataAbsentReason" in part]

    assert (float(value), status) == (float(stored["valueQuantity"]["value"]), stored["status"])
    assert len(re.findall(r"^ +missing  ", output, re.MULTILINE)) == len(missing) == 5
    assert f"from {len(stored['derivedFrom'])} Observations" in output


def test_every_step_is_told_in_order_and_the_whole_in_time(told):
    output, _ = told

    assert re.findall(r"^(\d+)\. ", output, re.MULTILINE) == [str(number) for number in range(1, 10)]
    assert re.search(r"All 9 steps did what they say, in \d+ s\.", output)


def test_the_readme_shows_what_is_told(told):
    """But for its numbers, which depend on the day and on the machine."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = readme.split("    $ make demo\n")[1].split("\n\n")[0].splitlines()
    output = {without_numbers(line) for line in told[0].splitlines()}

    assert len(shown) > 10
    assert [line for line in shown if without_numbers(line) not in output] == []


def without_numbers(line):
    """A line up to an id that another run would not have, and each of its numbers a nought."""
    return re.sub(r"\d[\d.]*", "0", re.split(r": Observation/", line)[0].strip())


def test_passwords_are_made_for_each_demo_and_printed(told):
    output, folder = told
    passwords = re.findall(r"^(?:Patient|Doctor) +\S+ / (\S+)$", output, re.MULTILINE)

    assert len(set(passwords)) == 2
    assert all(len(password) >= 16 for password in passwords)
    assert not any(password.encode() in (folder / "facade.sqlite").read_bytes() for password in passwords)


def test_a_folder_that_exists_is_refused(tmp_path):
    data = tmp_path / "data"
    data.mkdir()

    process = started("--once", "--data-dir", str(data))
    output, problems = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 1
    assert "exists; the demo begins with a new folder" in problems
    assert "steps did what they say" not in output


@needs_proc
def test_a_step_that_fails_is_named_and_nothing_is_left_running():
    process = started("--once")
    for line in process.stdout:
        if line.startswith("2. "):
            break
    servers = children_of(process)
    for pid in servers:
        os.kill(pid, signal.SIGKILL)
    output, problems = process.communicate(timeout=PATIENCE_S)

    assert len(servers) == 2
    assert process.returncode == 1
    assert re.match(r"fhir-facade: step \d failed: ", problems)
    assert "Traceback" not in problems
    assert "steps did what they say" not in output


@needs_proc
def test_ctrl_c_ends_both_servers_and_removes_the_data():
    process = started()
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Serving on"):
            break
    text = "".join(lines)
    servers = children_of(process)
    folder = re.search(r"^Data +(\S+),", text, re.MULTILINE)[1]
    header, url = re.search(r"^curl -s -H '(Authorization: .*)' '(http\S+)'$", text, re.MULTILINE).groups()
    pasted = httpx.get(url, headers=dict([header.split(": ")]), timeout=PATIENCE_S)
    process.send_signal(signal.SIGINT)
    output, problems = process.communicate(timeout=PATIENCE_S)

    assert pasted.json()["entry"][0]["resource"]["valueQuantity"]["value"] == 89.6
    assert (process.returncode, problems) == (0, "")
    assert "Ending both servers" in output
    assert len(servers) == 2
    assert not any(os.path.exists(f"/proc/{pid}") for pid in servers)
    assert not Path(folder).exists()


def children_of(process):
    """The servers a demo started. Their ports tell nothing once they ended: anybody may have taken them."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
