"""The official R4 definitions as one compressed table, and typed access to it (https://hl7.org/fhir/R4/downloads.html)."""
