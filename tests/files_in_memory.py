"""Tests write their files into memory where Linux offers room there: each commit of a store on a disk waits for that disk,
and tests commit a hundred thousand times.

What is shown stays shown: a process that is killed leaves in memory what it leaves on a disk. Whoever sets TMPDIR, or says
--basetemp, decides where files go. https://www.kernel.org/doc/html/latest/filesystems/tmpfs.html
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

import pytest

MEMORY: Final = Path("/dev/shm")
ENOUGH: Final = 2 * 2**30


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """After the folder of the run was made, whose PostgreSQL waits for no disk. Workers and servers inherit it."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    if shutil.disk_usage(MEMORY).free >= ENOUGH:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
