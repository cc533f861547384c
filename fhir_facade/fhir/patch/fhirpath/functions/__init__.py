"""The functions of FHIRPath that a path of a patch may call. https://hl7.org/fhirpath/N1/#functions

Not there: what leaves the resource (`resolve`, `memberOf`, `conformsTo` …), and `replaceMatches`, for which there is no
engine whose time is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fhir_facade.fhir.patch.fhirpath.functions.collections import COLLECTIONS
from fhir_facade.fhir.patch.fhirpath.functions.conversions import CONVERSIONS
from fhir_facade.fhir.patch.fhirpath.functions.function import Function
from fhir_facade.fhir.patch.fhirpath.functions.numbers import NUMBERS
from fhir_facade.fhir.patch.fhirpath.functions.projections import PROJECTIONS
from fhir_facade.fhir.patch.fhirpath.functions.texts import TEXTS

FUNCTIONS: Final[Mapping[str, Function]] = {**COLLECTIONS, **PROJECTIONS, **TEXTS, **NUMBERS, **CONVERSIONS}
ARITIES: Final[Mapping[str, range]] = {name: function.arity for name, function in FUNCTIONS.items()}
