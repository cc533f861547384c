"""One server owns a data file."""

import subprocess
import sys

import pytest

from fhir_facade.adapters.data_lock import lock_path, sole_server
from fhir_facade.errors import Conflict, Unavailable


def test_a_second_server_is_refused(tmp_path):
    data = tmp_path / "data" / "facade.sqlite"

    with (
        sole_server(data),
        pytest.raises(Conflict, match=r"a server is running on .*; stop it first"),
        sole_server(data),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()

    with (
        pytest.raises(Unavailable, match=r"data folder .* cannot be used: Not a directory"),
        sole_server(tmp_path / "file" / "data" / "facade.sqlite"),
    ):
        pass


def test_who_is_patient_gets_it_when_the_one_before_ends(tmp_path):
    data = tmp_path / "facade.sqlite"
    holder = (
        "import sys, fcntl; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read(1)"
    )
    command = [sys.executable, "-c", holder, str(lock_path(data))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        other.stdin.close()

        with sole_server(data, patience_s=60):
            pass


def test_it_can_be_had_again_after_the_block(tmp_path):
    data = tmp_path / "facade.sqlite"
    with sole_server(data):
        pass

    with sole_server(data):
        pass
