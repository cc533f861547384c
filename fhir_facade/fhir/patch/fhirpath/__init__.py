"""FHIRPath on the places of a resource: what an expression finds can be changed. https://hl7.org/fhirpath/N1/

    parse(text) -> Expression             NotTaken: cannot be read, calls an unknown function, is too long or too deep
    evaluate(expression, focus) -> Items  NotTaken: cannot be evaluated; TooCostly: takes too long

An expression comes from a caller: it reaches nothing outside the resource, and its length, depth and work are bounded.
"""

from fhir_facade.fhir.patch.fhirpath.evaluate import evaluate
from fhir_facade.fhir.patch.fhirpath.focus import Budget, Focus, TooCostly
from fhir_facade.fhir.patch.fhirpath.functions import ARITIES
from fhir_facade.fhir.patch.fhirpath.items import Items
from fhir_facade.fhir.patch.fhirpath.syntax import Expression, Member, Path
from fhir_facade.fhir.patch.fhirpath.syntax import parse as _parse
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken

__all__ = ["Budget", "Expression", "Focus", "Items", "Member", "NotTaken", "Path", "TooCostly", "evaluate", "parse"]


def parse(text: str) -> Expression:
    """The tree of an expression over the functions that a patch may call."""
    return _parse(text, ARITIES)
