"""The commands as processes: before the first start, beside a running server, and when something is wrong."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import httpx
import pytest

from fhir_facade.adapters.state.postgres import PostgresState
from fhir_facade.flows.launch.verify import TRUST
from fhir_facade.interactions.naming import ALL
from fhir_facade.rows.access import NamingType
from tests.facade import facade_env, run_command, served
from tests.parted import run
from tests.patience import PATIENCE_S

PATIENT = {"resourceType": "Patient", "id": "anna", "name": [{"text": "Anna Example"}], "birthDate": "1980-05-17"}
PASSWORD = "correct horse battery"


@pytest.fixture
def env(tmp_path):
    return facade_env(tmp_path / "data")


@pytest.fixture
def patients(tmp_path):
    file = tmp_path / "patients.ndjson"
    file.write_text(json.dumps(PATIENT) + "\n")
    return str(file)


def sentence(told):
    """What a failed command says; it never shows a trace."""
    assert told.returncode != 0
    assert "Traceback" not in told.stderr
    return told.stderr


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def patient(url, token):
    return httpx.get(f"{url}/fhir/Patient/anna", headers=bearer(token), timeout=PATIENCE_S)


def test_what_was_made_before_the_first_start_is_there_after_it(env, patients, tmp_path):
    said = run_command(env, "import", patients).stdout
    run_command(env, "user", "add", "--username", "anna", "--role", "patient", "--patient", "anna",
                "--password-stdin", stdin=PASSWORD)  # fmt: skip
    run_command(env, "client", "add", "--client-id", "app", "--type", "public", "--scope", "patient/*.rs",
                "--redirect-uri", "http://127.0.0.1:9000/")  # fmt: skip
    run_command(env, "keys", "rotate")
    token = run_command(env, "token", "--scope", "patient/*.rs", "--patient", "anna", "--user", "anna").stdout.strip()

    with served(env, tmp_path / "log") as server:
        found = patient(server.url, token)

    assert "1  Patient created" in said
    assert found.json()["name"] == PATIENT["name"]
    assert run_command(env, "user", "list").stdout == "anna\tpatient\tanna\tenabled\n"
    assert run_command(env, "client", "list").stdout == "app\tpublic\tpatient/*.rs\tenabled\n"


def test_what_a_command_does_beside_a_running_server_counts_there_within_a_second(env, patients, tmp_path):
    with served(env, tmp_path / "log") as server:
        server.command("import", patients)
        server.command("user", "add", "--username", "anna", "--role", "patient", "--patient", "anna",
                       "--password-stdin", stdin=PASSWORD)  # fmt: skip
        token = server.token("patient/*.rs", "--patient", "anna", "--user", "anna")
        before = patient(server.url, token).status_code
        server.command("user", "disable", "anna")
        believed_until = time.monotonic() + TRUST.total_seconds()
        while time.monotonic() < believed_until and patient(server.url, token).status_code == 200:
            pass
        after = patient(server.url, token).status_code

    assert (before, after) == (200, 401)


def test_keys_rotate_beside_a_running_server_and_what_was_sealed_still_opens(env, tmp_path):
    with served(env, tmp_path / "log") as server:
        page = f"{server.url}/oauth/jwks"
        keys = httpx.get(httpx.get(f"{server.url}/.well-known/openid-configuration").json()["jwks_uri"]).json()
        said = server.command("keys", "rotate").stdout
        again = server.command("keys", "rotate").stdout
        after = httpx.get(httpx.get(f"{server.url}/.well-known/openid-configuration").json()["jwks_uri"]).json()

    assert page
    assert said.startswith("key 2 of ")
    assert "1  signing_key sealed again" in said
    assert again.startswith("key 3 of ")
    assert after == keys


def test_a_backup_of_a_running_server_is_restored_elsewhere_with_everything(env, patients, tmp_path):
    elsewhere = facade_env(tmp_path / "elsewhere")
    with served(env, tmp_path / "log") as server:
        server.command("import", patients)
        token = server.token()
        said = server.command("backup", str(tmp_path / "backup.tar")).stdout

    restored = run_command(elsewhere, "restore", str(tmp_path / "backup.tar")).stdout
    with served(elsewhere, tmp_path / "log") as server:
        found = patient(server.url, token)

    assert "checked by restoring it" in said
    (kept,), (back,) = (re.findall(r"(\d+)  resources", text) for text in (said, restored))
    assert kept == back
    assert found.json()["name"] == PATIENT["name"]


def test_a_backup_over_hapi_says_what_is_not_in_it(env, tmp_path):
    hapi = env | {"FHIR_FACADE_STORE": "hapi", "FHIR_FACADE_HAPI_URL": "http://127.0.0.1:9/fhir"}
    run_command(hapi, "user", "add", "--username", "ada", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    run_command(hapi, "token", "--scope", "system/*.rs")

    said = run_command(hapi, "backup", str(tmp_path / "backup.tar")).stdout

    assert "1  accounts" in said
    assert "not in it: FHIR resources: they are in HAPI's database" in said
    assert "  resources" not in said


LOOKED = "INSERT INTO naming_type (type) VALUES ('*')"
IS_LOOKED = "SELECT count(*) FROM naming_type WHERE type = '*'"


def asked_of_rows(folder, statement):
    with contextlib.closing(sqlite3.connect(folder / "facade.sqlite", isolation_level=None)) as rows:
        return rows.execute(statement).fetchone()


async def is_looked_through(database_url):
    state = PostgresState(database_url)
    try:
        return bool(await state.present(NamingType, (ALL,)))
    finally:
        await state.close()


@pytest.mark.parametrize(("store", "looked"), [("hapi", 0), ("embedded", 1)])
def test_rows_without_their_records_have_these_looked_through_again(tmp_path, store, looked):
    """The file of an embedded store holds the records of the same moment; HAPI's may be newer."""
    behind = {"STORE": store, "HAPI_URL": "http://127.0.0.1:9/fhir"}
    env, elsewhere = (facade_env(tmp_path / name, **behind) for name in ("data", "elsewhere"))
    run_command(env, "user", "add", "--username", "ada", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    asked_of_rows(tmp_path / "data", LOOKED)
    run_command(env, "backup", str(tmp_path / "backup.tar"))

    run_command(elsewhere, "restore", str(tmp_path / "backup.tar"))

    assert asked_of_rows(tmp_path / "elsewhere", IS_LOOKED) == (looked,)


@pytest.mark.postgres
def test_rows_in_postgres_are_told_of_a_restore_once_they_answer(tmp_path, database_url):
    behind = {"STORE": "hapi", "HAPI_URL": "http://127.0.0.1:9/fhir", "DATABASE_URL": database_url}
    env, elsewhere = (facade_env(tmp_path / name, **behind) for name in ("data", "elsewhere"))
    run_command(env, "token", "--scope", "system/*.rs")
    run_command(env, "backup", str(tmp_path / "backup.tar"))
    restore = ("restore", str(tmp_path / "backup.tar"))
    away = elsewhere | {"FHIR_FACADE_DATABASE_URL": "postgresql://nobody:x@127.0.0.1:9/none"}

    assert "not taken up: restore the rows of the database" in sentence(run(away, *restore))
    assert asyncio.run(is_looked_through(database_url))
    run_command(elsewhere, *restore)

    assert not asyncio.run(is_looked_through(database_url))


@pytest.mark.hapi
def test_the_commands_work_over_hapi(env, patients, hapi_url):
    hapi = env | {"FHIR_FACADE_STORE": "hapi", "FHIR_FACADE_HAPI_URL": hapi_url}

    run_command(hapi, "import", patients)
    said = run_command(hapi, "import", patients).stdout
    run_command(hapi, "keys", "rotate")

    assert "1  Patient updated or unchanged" in said


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (("user", "add", "--username", "ada", "--role", "admin", "--password-stdin"), "", "expected on standard input"),
        (("user", "add", "--username", "ada", "--role", "king", "--password-stdin"), PASSWORD, "one of patient"),
        (("user", "disable", "nobody"), "", "no account nobody"),
        (("client", "disable", "nothing"), "", "no client nothing"),
        (("client", "add", "--client-id", "a", "--type", "backend", "--scope", "system/*.rs", "--jwks", "absent"), "",
         "absent cannot be read"),
        (("token", "--scope", "everything"), "", "everything"),
        (("backup", "backup.tar"), "", "there is no data in"),
        (("restore", "absent.tar"), "", "absent.tar does not exist"),
        (("simulator", "--now", "noon"), "", "noon is not a moment"),
        (("simulator", "--fault", "{}"), "", "{} is not a fault"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_a_sentence(env, tmp_path, words, stdin, said):
    assert said in sentence(run(env | {"PWD": str(tmp_path)}, *words, stdin=stdin))


def test_an_import_of_nothing_says_so(env, tmp_path):
    file = tmp_path / "empty.ndjson"
    file.touch()

    assert "no resource" in run_command(env, "import", str(file)).stdout


def test_a_refused_resource_is_named_and_the_import_fails(env, tmp_path):
    file = tmp_path / "mixed.ndjson"
    file.write_text(json.dumps(PATIENT) + "\n" + '{"resourceType":"Patient","birthDate":"yesterday"}\n')

    told = run(env, "import", str(file))

    assert "birthDate" in sentence(told)
    assert "1 refused" in told.stderr
    assert "1  Patient created" in told.stdout


def test_a_restore_overwrites_nothing(env, patients, tmp_path):
    run_command(env, "import", patients)
    run_command(env, "backup", str(tmp_path / "backup.tar"))

    assert "is not empty" in sentence(run(env, "restore", str(tmp_path / "backup.tar")))
    assert "exists; a backup never replaces a file" in sentence(run(env, "backup", str(tmp_path / "backup.tar")))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "many", "FHIR_FACADE_PORT: Input should be a valid integer"),
        ("HOST", "256.0.0.1", "cannot listen on 256.0.0.1"),
        ("DATABASE_URL", "postgresql://a:b@127.0.0.1:9/c", "the database cannot be used"),
        ("KEYS_FILE", "absent.json", "the key file absent.json cannot be read"),
        ("HAPI_URL", "hapi", "FHIR_FACADE_HAPI_URL: Value error, an address begins with http:// or https://"),
        ("PUBLIC_URL", "health.example.org", "FHIR_FACADE_PUBLIC_URL: Value error, an address begins with http://"),
        ("TRUSTED_PROXIES", "proxy", "FHIR_FACADE_TRUSTED_PROXIES: Value error, 'proxy' does not appear to be an IPv4"),
    ],
)
def test_a_setting_that_is_wrong_is_named_at_the_start(env, name, value, said):
    told = run(env | {"FHIR_FACADE_STORE": "hapi", f"FHIR_FACADE_{name}": value}, "serve")

    assert said in sentence(told)
    assert told.stderr.count("\n") == 1


def test_a_variable_that_is_no_setting_is_named_once_with_the_nearest_one_and_without_its_value(env, tmp_path):
    wrong = {"FHIR_FACADE_DATABSE_URL": "postgresql://a:hidden@h/n", "FHIR_FACADE_COLOUR": "hidden"}
    others = {"FHIR_FACADE_HAPI_DATABASE_URL": "hidden"}

    told = run_command(env | wrong | others, "settings")
    with served(env | wrong | others, tmp_path / "log") as server:
        log = server.log.read_text()

    for text in (told.stderr, log):
        (line,) = (line for line in text.splitlines() if "COLOUR" in line)
        assert "FHIR_FACADE_DATABSE_URL (is it FHIR_FACADE_DATABASE_URL?)" in line
        assert "HAPI_DATABASE_URL" not in text
        assert "hidden" not in text
    assert told.stderr.count("\n") == 1


def test_the_version_is_the_one_that_metadata_tells(env, tmp_path):
    told = run_command(env, "--version").stdout

    with served(env, tmp_path / "log") as server:
        software = httpx.get(f"{server.url}/fhir/metadata", timeout=PATIENCE_S).json()["software"]

    assert told == f"{software['name']} {software['version']}\n"


def test_the_keys_of_another_deployment_are_no_keys(env, tmp_path):
    run_command(env, "token", "--scope", "system/*.rs")
    run_command(env, "audit", "seal")
    run_command(env, "keys", "new", str(tmp_path / "others.json"))
    others = env | {"FHIR_FACADE_KEYS_FILE": str(tmp_path / "others.json")}

    assert "are not those that data is sealed with" in sentence(run(others, "serve"))

    assert "no key of the file opens" in run(others, "keys", "rotate").stderr  # who lost them for good says so
    run_command(others, "audit", "seal")
    with served(others, tmp_path / "log") as server:
        assert httpx.get(f"{server.url}/health", timeout=PATIENCE_S).status_code == 200


def test_a_port_that_is_taken_is_named_at_the_start(env):
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(env["FHIR_FACADE_PORT"])))
        other.listen()

        said = sentence(run(env, "serve"))

    assert f"cannot listen on 127.0.0.1:{env['FHIR_FACADE_PORT']}: Address already in use" in said


def test_a_data_folder_has_one_server(env, tmp_path):
    with served(env, tmp_path / "log"):
        said = sentence(run(env | {"FHIR_FACADE_PORT": "0"}, "serve"))
        restored = sentence(run(env, "restore", str(tmp_path / "backup.tar")))

    assert "a server is running on" in said
    assert "a server is running on" in restored


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything: run as another user to test a forbidden file")
def test_a_data_folder_that_may_not_be_read_is_named(env, tmp_path):
    run_command(env, "token", "--scope", "system/*.rs")
    (tmp_path / "data").chmod(0o000)

    said = sentence(run(env, "serve"))
    (tmp_path / "data").chmod(0o700)

    assert "cannot be used: Permission denied" in said


def test_a_key_file_open_to_others_and_a_damaged_data_file_are_named_with_the_cure(env, tmp_path):
    run_command(env, "token", "--scope", "system/*.rs")
    (tmp_path / "data" / "keys.json").chmod(0o644)
    keys = sentence(run(env, "serve"))
    (tmp_path / "data" / "keys.json").chmod(0o600)
    for name in ("facade.sqlite", "facade.sqlite-wal", "facade.sqlite-shm"):
        (tmp_path / "data" / name).unlink(missing_ok=True)
    (tmp_path / "data" / "facade.sqlite").write_text("no database " * 50)

    assert "chmod 600" in keys
    assert "facade.sqlite cannot be opened: file is not a database" in sentence(run(env, "serve"))


def test_a_server_says_once_where_it_is_and_that_hapi_is_down(env, tmp_path):
    hapi = env | {
        "FHIR_FACADE_STORE": "hapi", "FHIR_FACADE_HAPI_URL": "http://127.0.0.1:9/fhir", "FHIR_FACADE_LOG_LEVEL": "info",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "fhir_facade", "serve"], env=hapi, stderr=subprocess.PIPE, text=True
    )
    events = {}
    for line in process.stderr:
        entry = json.loads(line)
        events[entry["event"]] = entry
        if entry["event"] == "serve.listening":
            break
    health = httpx.get(f"{env['FHIR_FACADE_PUBLIC_URL']}/health", timeout=PATIENCE_S)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)

    assert events["serve.listening"]["fhir"] == f"{env['FHIR_FACADE_PUBLIC_URL']}/fhir"
    assert events["serve.store_down"]["error"].startswith("HAPI cannot be reached")
    assert health.status_code == 503
    assert process.returncode == 0


def test_a_simulator_tells_its_address_and_answers_there(env):
    process = subprocess.Popen(
        [sys.executable, "-m", "fhir_facade", "simulator", "--port", "0"],
        env=dict(env),
        stdout=subprocess.PIPE,
        text=True,
    )
    address = process.stdout.readline().removeprefix("vendor simulator: ").strip()
    people = httpx.get(address, timeout=PATIENCE_S).json()["accounts"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)

    assert [each["email"] for each in people][:1] == ["alex@example.com"]
    assert process.returncode in (0, -signal.SIGTERM)


def test_a_backup_holds_no_name_of_this_machine_and_is_for_its_owner_only(env, patients, tmp_path):
    run_command(env, "import", patients)

    run_command(env, "backup", str(tmp_path / "backup.tar"))

    assert (tmp_path / "backup.tar").stat().st_mode & 0o777 == 0o600
    assert str(tmp_path).encode() not in (tmp_path / "backup.tar").read_bytes()
    with sqlite3.connect(tmp_path / "data" / "facade.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM fhir_resource").fetchone() == (1,)
    connection.close()
