"""HAPI FHIR as the store of resources: generated requests over one pooled session, bytes in and bytes out."""

from fhir_facade.adapters.hapi.session import request_id
from fhir_facade.adapters.hapi.store import HapiStore, open_store
