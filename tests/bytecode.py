"""Where Python is told to write no bytecode, each of the hundreds of processes that tests start would compile anew all
that it imports, which is half of what the start of a server costs: here they compile it once for the whole run.

https://docs.python.org/3/using/cmdline.html#envvar-PYTHONPYCACHEPREFIX
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.hapi_server import RUN_FOLDER


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """It goes with the folder of the run, and nothing is written beside the source."""
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(os.environ[RUN_FOLDER]) / "bytecode")
