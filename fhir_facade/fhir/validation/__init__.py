"""Validation of R4 resources: the official JSON schema, sharpened, and the rules a schema cannot say.

https://hl7.org/fhir/R4/validation.html
"""

from fhir_facade.fhir.validation.validate import validate

__all__ = ["validate"]
