"""Vendor payloads become FHIR Observations: pure functions, one file per vendor, no network, no facade."""
