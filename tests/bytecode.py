"""Where Python is told to write no bytecode, each of the hundreds of processes that tests start would compile anew all
that it imports, which is half of what the start of a server costs: here it is compiled once, for this run and those after.

https://docs.python.org/3/using/cmdline.html#envvar-PYTHONPYCACHEPREFIX
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Nothing is written beside the source."""
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / "build" / "bytecode")
