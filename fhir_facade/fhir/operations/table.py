"""The table of operations, out of the OperationDefinitions of R4.

https://hl7.org/fhir/R4/operationslist.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

from fhir_facade.errors import BadRequest, Issue
from fhir_facade.fhir.definitions import resource_types

Level = Literal["system", "type", "instance"]
ANY_TYPE: Final = "*"
_DEFINITIONS: Final = "http://hl7.org/fhir/OperationDefinition/"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input. `kind` is its FHIR type; `many`: it may repeat. Only primitive ones fit into an address."""

    name: str
    kind: str
    many: bool = False
    required: bool = False

    @property
    def primitive(self) -> bool:
        return self.kind[0].islower()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on some types at some levels. `types` may be `*`.

    `changes`: it changes something, so it is called by POST only. `searches`: search parameters of the type are taken
    beside its own. `versions`: it is there for one version of a resource too. `answer` is the type of what comes back.
    """

    name: str
    title: str
    definition: str
    types: tuple[str, ...]
    levels: frozenset[Level]
    parameters: tuple[Parameter, ...]
    answer: str = "Parameters"
    changes: bool = False
    searches: bool = False
    versions: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        return ("POST",) if self.changes else ("GET", "POST")

    def is_on(self, type: str | None, level: Level) -> bool:
        return level in self.levels and (type is None or ANY_TYPE in self.types or type in self.types)


def _all(*levels: Level) -> frozenset[Level]:
    return frozenset(levels)


def _parameters(*rows: str) -> tuple[Parameter, ...]:
    """`name kind`, with `*` for many and `!` for required behind the kind."""
    return tuple(_parameter(*row.split()) for row in rows)


def _parameter(name: str, kind: str) -> Parameter:
    return Parameter(name, kind.rstrip("*!"), "*" in kind, "!" in kind)


_PAGED = ("_since instant", "_type code*", "_count positiveInt")
_META = _parameters("meta Meta!")
_CODED = ("code code", "display string", "coding Coding", "codeableConcept CodeableConcept", "date dateTime")
_LANGUAGE = ("abstract boolean", "displayLanguage code")

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "lastn",
        "The last observations of a patient, per code",
        f"{_DEFINITIONS}Observation-lastn",
        ("Observation",),
        _all("type"),
        _parameters("max positiveInt"),
        answer="Bundle",
        searches=True,
    ),
    Operation(
        "stats",
        "Statistics over the observations of a patient",
        f"{_DEFINITIONS}Observation-stats",
        ("Observation",),
        _all("type"),
        _parameters(
            *("subject uri!", "code string*", "system uri", "coding Coding*", "duration decimal", "period Period"),
            *("statistic code*!", "include boolean", "limit positiveInt"),
        ),
    ),
    Operation(
        "everything",
        "The whole record of a patient",
        f"{_DEFINITIONS}Patient-everything",
        ("Patient",),
        _all("type", "instance"),
        _parameters("start date", "end date", *_PAGED),
        answer="Bundle",
    ),
    Operation(
        "everything",
        "Everything about an encounter",
        f"{_DEFINITIONS}Encounter-everything",
        ("Encounter",),
        _all("instance"),
        _parameters(*_PAGED),
        answer="Bundle",
    ),
    Operation(
        "meta",
        "Profiles, tags and security labels in use",
        f"{_DEFINITIONS}Resource-meta",
        (ANY_TYPE,),
        _all("system", "type", "instance"),
        (),
        versions=True,
    ),
    Operation(
        "meta-add",
        "Add profiles, tags and security labels to a resource",
        f"{_DEFINITIONS}Resource-meta-add",
        (ANY_TYPE,),
        _all("instance"),
        _META,
        changes=True,
    ),
    Operation(
        "meta-delete",
        "Take profiles, tags and security labels from a resource",
        f"{_DEFINITIONS}Resource-meta-delete",
        (ANY_TYPE,),
        _all("instance"),
        _META,
        changes=True,
    ),
    Operation(
        "validate",
        "Whether a resource would be accepted, and what is wrong with it",
        f"{_DEFINITIONS}Resource-validate",
        (ANY_TYPE,),
        _all("type", "instance"),
        _parameters("resource Resource", "mode code", "profile uri"),
        answer="OperationOutcome",
    ),
    Operation(
        "lookup",
        "What a code means",
        f"{_DEFINITIONS}CodeSystem-lookup",
        ("CodeSystem",),
        _all("type"),
        _parameters(
            *("code code", "system uri", "version string", "coding Coding", "date dateTime"),
            *("displayLanguage code", "property code*"),
            "language code",  # how HAPI's validator writes displayLanguage
        ),
    ),
    Operation(
        "validate-code",
        "Whether a code is of a code system",
        f"{_DEFINITIONS}CodeSystem-validate-code",
        ("CodeSystem",),
        _all("type", "instance"),
        _parameters("url uri", "codeSystem CodeSystem", "version string", *_CODED, *_LANGUAGE),
    ),
    Operation(
        "expand",
        "The codes of a value set",
        f"{_DEFINITIONS}ValueSet-expand",
        ("ValueSet",),
        _all("type", "instance"),
        _parameters(
            *("url uri", "valueSet ValueSet", "valueSetVersion string", "filter string", "date dateTime"),
            *("offset unsignedInt", "count unsignedInt", "includeDesignations boolean", "designation string*"),
            *("includeDefinition boolean", "activeOnly boolean", "excludeNested boolean", "excludeNotForUI boolean"),
            *("excludePostCoordinated boolean", "displayLanguage code"),
        ),
        answer="ValueSet",
    ),
    Operation(
        "validate-code",
        "Whether a code is in a value set",
        f"{_DEFINITIONS}ValueSet-validate-code",
        ("ValueSet",),
        _all("type", "instance"),
        _parameters(
            *("url uri", "valueSet ValueSet", "valueSetVersion string", "system uri", "systemVersion string"),
            *(*_CODED, *_LANGUAGE),
        ),
    ),
)


def level_of(type: str | None, id: str | None) -> Level:
    """Where an operation with this type and id in its address is called."""
    return "system" if type is None else "type" if id is None else "instance"


def find_operation(name: str, type: str | None, id: str | None) -> Operation:
    """The operation of this name (with or without `$`). BadRequest lists what is offered in that place."""
    level, plain = level_of(type, id), name.removeprefix("$")
    found = next((one for one in OPERATIONS if one.name == plain and one.is_on(type, level)), None)
    if found is None:
        offered = ", ".join(f"${one.name}" for one in OPERATIONS if one.is_on(type, level))
        text = f"{name} is no operation of {_place(type, level)}: there are {offered}"
        raise BadRequest(text, issues=(Issue("not-supported", text),))
    return found


def _place(type: str | None, level: Level) -> str:
    if type is None:
        return "the whole server"
    return f"one {type}" if level == "instance" else f"the type {type}"


@cache
def announced() -> Mapping[str, tuple[tuple[str, str], ...]]:
    """(name, definition) of the operations of each type at any level; those of the whole system under ""."""
    found = {"": tuple((one.name, one.definition) for one in OPERATIONS if "system" in one.levels)}
    for kind in resource_types():
        offered = (one for one in OPERATIONS if one.is_on(kind, "type") or one.is_on(kind, "instance"))
        found[kind] = tuple((one.name, one.definition) for one in offered)
    return MappingProxyType(found)
