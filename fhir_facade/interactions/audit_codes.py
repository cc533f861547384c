"""What a line of the audit is called in AuditEvent: the table of `audit_codes.json` and its loader.

https://profiles.ihe.net/ITI/BALP/content.html, https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import msgspec

from terminology.canonical import code_system

INTERACTIONS: Final = "http://hl7.org/fhir/restful-interaction"
OWN: Final = code_system("audit-action")
"""Actions that neither FHIR nor DICOM has a code for."""

Coding = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Code:
    """How one action is told. `profile` is the end of a BALP profile's name; None: BALP has none."""

    type: Coding
    subtype: Coding
    action: str
    profile: str | None


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    action: str
    subtype: str | None = None
    profile: str | None = None


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    types: dict[str, tuple[str, str, str]]
    subtypes: dict[str, tuple[str, str, str]]
    outcomes: dict[str, str]
    actions: dict[str, _Entry]


@cache
def _table() -> _Table:
    return msgspec.json.decode(files(__package__).joinpath("audit_codes.json").read_bytes(), type=_Table)


@cache
def codes() -> Mapping[str, Code]:
    """The code of every action that is known by name."""
    return MappingProxyType({name: _code(name, entry) for name, entry in _table().actions.items()})


@cache
def outcomes() -> Mapping[str, str]:
    """`AuditEvent.outcome` by the outcome of a line."""
    return MappingProxyType(_table().outcomes)


@cache
def operation_code() -> Code:
    """How an action is told that is not in the table: an operation of FHIR."""
    rest = _coding(*_table().types["rest"])
    return Code(rest, {"system": INTERACTIONS, "code": "operation"}, "E", None)


def code_of(action: str) -> Code:
    return codes().get(action) or operation_code()


def actions_that(fits: Callable[[Code], bool]) -> tuple[frozenset[str], bool]:
    """The known actions whose code fits, and whether the unknown ones, the operations, fit too."""
    return frozenset(name for name, code in codes().items() if fits(code)), fits(operation_code())


def _code(name: str, entry: _Entry) -> Code:
    table = _table()
    return Code(_coding(*table.types[entry.type]), _subtype(name, entry, table), entry.action, entry.profile)


def _subtype(name: str, entry: _Entry, table: _Table) -> Coding:
    if entry.subtype is not None:
        return _coding(*table.subtypes[entry.subtype])
    if entry.type == "rest":
        return {"system": INTERACTIONS, "code": name}
    return {"system": OWN, "code": name}


def _coding(system: str, code: str, display: str) -> dict[str, Any]:
    return {"system": system, "code": code, "display": display}
