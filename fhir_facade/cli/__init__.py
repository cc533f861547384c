"""The `fhir-facade` command: serve, and everything an operator does beside it."""
