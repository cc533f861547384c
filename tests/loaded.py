"""Loads the whole facade, as a process does once from which others are parted (`tests/parted.py`)."""

from __future__ import annotations

import gc
from importlib import import_module
from pkgutil import walk_packages

import fhir_facade

for _module in walk_packages(fhir_facade.__path__, "fhir_facade."):
    if not _module.name.endswith(("__main__", ".generate")):
        import_module(_module.name)
gc.freeze()
