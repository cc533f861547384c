"""`fhir-facade simulator`: the wearable vendor to try a connection with, docs/vendor-simulator.md."""

from __future__ import annotations

from fhir_facade.simulator.__main__ import serve as simulator

__all__ = ["simulator"]
