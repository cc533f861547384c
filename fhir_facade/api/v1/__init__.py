"""The convenience API under /api/v1: what people's devices and pages need, in plain JSON beside FHIR."""
