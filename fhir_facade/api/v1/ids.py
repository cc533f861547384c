"""Ids in the addresses, queries and bodies of /api/v1. https://hl7.org/fhir/R4/datatypes.html#id"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path
from pydantic import Field

from fhir_facade.fhir.references import ID_FORM

ID: Final = f"^{ID_FORM}$"
FhirId = Annotated[str, Field(pattern=ID)]
PathId = Annotated[str, Path(pattern=ID)]
