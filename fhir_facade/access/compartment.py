"""Whose a resource is, by type: the table of `compartment.json` and its loader.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html; membership there by performer, author, asserter, recipient
or link is not ownership, so each type has the one parameter that says whom the record is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

import msgspec

TypeClass = Literal["person", "personal", "optional", "shared", "closed", "transient"]


@dataclass(frozen=True, slots=True)
class TypeRule:
    """How one type is judged.

    `person`: Patient itself. `personal`: about the patients its `paths` name. `optional`: personal when it names one,
    else shared. `shared`: about nobody. `closed`: for system scopes only. `transient`: never stored.
    `owner` is the search parameter that narrows; None where R4 has none, so such a type is read by id but not searched.
    """

    type: str
    type_class: TypeClass
    owner: str | None = None
    paths: tuple[tuple[str, ...], ...] = ()
    reason: str = ""


class _Entry(msgspec.Struct, forbid_unknown_fields=True, rename={"type_class": "class"}):
    type_class: TypeClass
    owner: str | None = None
    paths: tuple[str, ...] = ()
    reason: str = ""


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    types: dict[str, _Entry]


@cache
def type_rules() -> Mapping[str, TypeRule]:
    """All R4 resource types with their rule; a type that is not in it does not exist."""
    text = files(__package__).joinpath("compartment.json").read_bytes()
    table = msgspec.json.decode(text, type=_Table)
    return MappingProxyType({name: _rule(name, entry) for name, entry in table.types.items()})


def _rule(name: str, entry: _Entry) -> TypeRule:
    paths = tuple(tuple(path.split(".")) for path in entry.paths)
    return TypeRule(name, entry.type_class, entry.owner, paths, entry.reason)
