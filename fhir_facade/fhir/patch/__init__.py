"""The three ways to patch a resource: JSON Patch, FHIRPath Patch and JSON Merge Patch.

https://hl7.org/fhir/R4/http.html#patch
"""

from fhir_facade.fhir.patch.apply import PATCH_FORMATS, apply_patch

__all__ = ["PATCH_FORMATS", "apply_patch"]
