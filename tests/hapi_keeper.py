"""Runs PostgreSQL or HAPI for one test run: `python -m tests.hapi_keeper postgres|hapi|hapi_unchecked FOLDER`.

Writes `FOLDER/<service>.json`, closes its standard output, and stops the service when the lock `FOLDER/alive` is free.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.hapi_server import ROOT, postgres_tool, psql
from tests.ports import free_port

QUICK_START = "-Xmx1g -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
QUICK_AND_UNSAFE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "listen_addresses": "127.0.0.1",
}
NO_SETTINGS: Mapping[str, str] = {}
Stop = Callable[[], None]


def main(service: str, folder: Path) -> None:
    starts = {"postgres": start_postgres, "hapi": start_hapi, "hapi_unchecked": start_unchecked_hapi}
    state, stop = starts[service](folder)
    publish(folder / f"{service}.json", state)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with (folder / "alive").open() as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        stop()
    if not any(folder.glob("*.json")):
        shutil.rmtree(folder, ignore_errors=True)


def publish(path: Path, state: dict[str, str]) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(state))
    draft.rename(path)


def start_postgres(folder: Path, chosen: Mapping[str, str] = QUICK_AND_UNSAFE) -> tuple[dict[str, str], Stop]:
    """A cluster of its own: the server refuses to run as root, so root becomes the system user `postgres`."""
    user = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    home, password, port = folder / "postgres", secrets.token_hex(16), free_port()
    home.mkdir()
    (home / "password").write_text(password)
    for path in (home, home / "password"):
        os.chown(path, user.pw_uid, user.pw_gid)
        path.chmod(0o700)
    rights: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}

    def run(tool: str, *arguments: str) -> None:
        env = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        subprocess.run(
            [str(postgres_tool(tool)), *arguments], check=True, cwd=home, env=env, stdout=sys.stderr, **rights
        )

    data = str(home / "data")
    run("initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C", "--auth=scram-sha-256", "--no-sync",
        f"--pwfile={home / 'password'}")  # fmt: skip
    settings = " ".join(f"-c {name}={value}" for name, value in chosen.items())
    options = f"-p {port} -c unix_socket_directories={home} {settings}"
    run("pg_ctl", "-D", data, "-w", "-s", "-l", str(home / "log"), "-o", options, "start")

    def stop() -> None:
        run("pg_ctl", "-D", data, "-m", "immediate", "-s", "stop")
        shutil.rmtree(home, ignore_errors=True)
        (folder / "postgres.json").unlink()

    return {"url": f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"}, stop


def start_unchecked_hapi(folder: Path) -> tuple[dict[str, str], Stop]:
    """A HAPI of its own that does not mind where references lead."""
    keys = ("HAPI_FHIR_ENFORCE_REFERENTIAL_INTEGRITY_ON_WRITE", "HAPI_FHIR_ENFORCE_REFERENTIAL_INTEGRITY_ON_DELETE")
    return start_hapi(folder, name="hapi_unchecked", settings=dict.fromkeys(keys, "false"))


def start_hapi(
    folder: Path, java_opts: str = QUICK_START, *, name: str = "hapi", settings: Mapping[str, str] = NO_SETTINGS
) -> tuple[dict[str, str], Stop]:
    """HAPI in a fresh database of the run's cluster, told to say a random text about itself."""
    admin = str(json.loads((folder / "postgres.json").read_text())["url"])
    psql(admin, f"CREATE DATABASE {name}")
    database, canary = admin.removesuffix("/postgres") + f"/{name}", secrets.token_hex(16)
    env = {
        **os.environ,
        **settings,
        "JAVA_OPTS": java_opts,
        "FHIR_FACADE_HAPI_DATABASE_URL": database,
        "HAPI_FHIR_IMPLEMENTATION_DESCRIPTION": canary,
        "HAPI_FHIR_EXPUNGE_ENABLED": "true",  # both together: tests can begin with an empty store
        "HAPI_FHIR_ALLOW_MULTIPLE_DELETE": "true",
    }
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "hapi" / "start"), "--port", "0"], env=env, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    lines = (line for line in server.stdout if line.startswith('{"url"'))
    said = next(lines, None)
    if said is None:
        sys.exit("hapi/start ended before the server answered")

    def stop() -> None:
        (folder / f"{name}.json").unlink()
        server.terminate()
        server.wait()

    ready = json.loads(said)
    return {"url": ready["url"], "pid": str(ready["pid"]), "postgres_url": database, "canary": canary}, stop


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
