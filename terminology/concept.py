"""One code of a code system, with what the system says of it: https://hl7.org/fhir/R4/codesystem.html"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Resource = Mapping[str, Any]


class CannotExpand(ValueError):
    """A part of the value set is not known here, or asks for what is not built."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One code of a system. `above` are all codes it stands under, from the top; `parents` those right above it,
    `below` those right under it."""

    system: str
    code: str
    display: str | None = None
    definition: str | None = None
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    properties: tuple[Resource, ...] = ()
    designations: tuple[Resource, ...] = ()
    version: str | None = None
    parents: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.system, self.code

    @property
    def inactive(self) -> bool:
        says = {one.get("code"): one for one in self.properties}
        status = says.get("status", {}).get("valueCode")
        return says.get("inactive", {}).get("valueBoolean") is True or status in ("inactive", "retired", "deprecated")

    @property
    def abstract(self) -> bool:
        return any(
            one.get("code") in ("notSelectable", "abstract") and one.get("valueBoolean") for one in self.properties
        )
