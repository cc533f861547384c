"""The official R4 definitions as one compressed table, and typed access to it (https://hl7.org/fhir/R4/downloads.html)."""

from __future__ import annotations

from fhir_facade.fhir.definitions.tables import (
    Component,
    Element,
    SearchParameter,
    children,
    compartment,
    element,
    is_resource_type,
    provenance,
    reference_targets,
    resource_types,
    search_parameters,
)

__all__ = [
    "Component",
    "Element",
    "SearchParameter",
    "children",
    "compartment",
    "element",
    "is_resource_type",
    "provenance",
    "reference_targets",
    "resource_types",
    "search_parameters",
]
