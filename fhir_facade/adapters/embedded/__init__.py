"""The embedded store: all FHIR resources in one SQLite file, with the same meaning as HAPI."""

from fhir_facade.adapters.embedded.store import EmbeddedStore, EmbeddedUnit
from fhir_facade.adapters.embedded.write import Integrity

__all__ = ["EmbeddedStore", "EmbeddedUnit", "Integrity"]
