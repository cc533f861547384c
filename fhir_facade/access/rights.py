"""What each kind of principal may do by itself, and what a token leaves of that: the table of `rights.json`.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html: scopes never widen the user's own rights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import msgspec

from fhir_facade.access.compartment import type_rules
from fhir_facade.values import PatientId, Principal, PrincipalKind, Scope


@dataclass(frozen=True, slots=True)
class Everyone:
    """No restriction by patient; a type of its own, so that an empty set of patients can never be taken for it."""


EVERYONE: Final = Everyone()
Reach = Everyone | frozenset[PatientId]


@dataclass(frozen=True, slots=True)
class Grant:
    """One way a token allows a letter on a type: for whose records, under which granular parameters.

    `frozen` are elements a writer must leave as they are.
    """

    reach: Reach
    params: tuple[tuple[str, str], ...] = ()
    frozen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Actor:
    """A row of the table: letters by type (absent: none), frozen elements by type, and the types on which it reaches
    the records of everybody."""

    name: str
    why: str
    letters: Mapping[str, frozenset[str]]
    frozen: Mapping[str, frozenset[str]]
    everybody: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Rights:
    """What one principal's token amounts to; compared by identity, so that it is a cheap key of a cache."""

    kind: PrincipalKind
    engine: Actor | None
    scopes: tuple[Scope, ...]
    patient: PatientId | None
    circle: frozenset[PatientId]


@dataclass(frozen=True, slots=True)
class OperationRule:
    """The types an operation may be called on and the letters it needs there. `system`: for those who may search
    everything it is open on the whole server too."""

    types: frozenset[str]
    letters: str
    system: bool = False


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    why: str
    classes: dict[str, str]
    types: dict[str, tuple[str, ...]]
    frozen: dict[str, frozenset[str]] = {}
    everybody: frozenset[str] = frozenset()


class _Operation(msgspec.Struct, forbid_unknown_fields=True):
    types: frozenset[str]
    letters: str
    system: bool = False


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    people: dict[str, _Row]
    engines: dict[str, _Row]
    operations: dict[str, _Operation]


_ACTS_AS: Final[Mapping[tuple[PrincipalKind, str], str]] = MappingProxyType(
    {
        ("patient", "patient"): "patient",
        ("patient", "user"): "patient",
        ("proxy", "patient"): "proxy",
        ("proxy", "user"): "proxy",
        ("practitioner", "patient"): "practitioner",
        ("practitioner", "user"): "practitioner",
        ("staff", "patient"): "staff",
        ("staff", "user"): "staff",
        ("admin", "user"): "admin",
        ("backend", "system"): "backend",
        ("backend", "patient"): "patient",
    }
)
"""Principal kind and scope context -> the row that counts; a pair that is not here grants nothing."""


@cache
def _table() -> _Table:
    return msgspec.json.decode(files(__package__).joinpath("rights.json").read_bytes(), type=_Table)


@cache
def people() -> Mapping[str, Actor]:
    """The rows of people and services that hold tokens."""
    return MappingProxyType({name: _actor(name, row) for name, row in _table().people.items()})


@cache
def engines() -> Mapping[str, Actor]:
    """The rows of the facade's own engines; they hold no token and no scopes."""
    return MappingProxyType({name: _actor(name, row) for name, row in _table().engines.items()})


@cache
def operations() -> Mapping[str, OperationRule]:
    """The operations that are open, by name without `$`; all others are closed."""
    rules = {name: OperationRule(op.types, op.letters, op.system) for name, op in _table().operations.items()}
    return MappingProxyType(rules)


def _actor(name: str, row: _Row) -> Actor:
    letters = {rule.type: frozenset(row.classes.get(rule.type_class, "")) for rule in type_rules().values()}
    letters |= {type_name: frozenset(text) for text, types in row.types.items() for type_name in types}
    return Actor(name, row.why, MappingProxyType(letters), MappingProxyType(row.frozen), row.everybody)


@dataclass(slots=True)
class _Seen:
    """Rights by the identity of the scopes tuple: hashing the scopes themselves costs more than a decision may."""

    size: int
    rights: dict[tuple[object, ...], Rights] = field(default_factory=dict)

    def of(self, principal: Principal, circle: frozenset[PatientId]) -> Rights:
        key = (id(principal.scopes), principal.kind, principal.name, principal.patient, circle)
        found = self.rights.get(key)
        # `found` keeps its scopes alive, so an id that was used again belongs to another tuple and fails here.
        if found is None or found.scopes is not principal.scopes:
            if len(self.rights) >= self.size:
                self.rights.clear()
            found = self.rights[key] = _compile(principal, circle)
        return found


_SEEN: Final = _Seen(4096)


def rights_of(principal: Principal, circle: frozenset[PatientId]) -> Rights:
    """The rights of a principal; `circle` are the patients whom others than the patient reach. The same object for the
    same principal and circle, as long as it is remembered."""
    return _SEEN.of(principal, circle)


def _compile(principal: Principal, circle: frozenset[PatientId]) -> Rights:
    engine = engines().get(principal.name or "") if principal.kind == "engine" else None
    return Rights(principal.kind, engine, principal.scopes, principal.patient, circle)


@lru_cache(maxsize=16384)
def grants(rights: Rights, type_name: str, letter: str) -> tuple[Grant, ...]:
    """All ways `letter` is allowed on the type; empty: not at all. One of them has to hold for a resource."""
    if rights.engine is not None:
        allowed = letter in rights.engine.letters.get(type_name, ())
        return (Grant(EVERYONE),) if allowed else ()
    return tuple(dict.fromkeys(_granted(rights, type_name, letter)))


def _granted(rights: Rights, type_name: str, letter: str) -> Iterator[Grant]:
    for scope in rights.scopes:
        name = _ACTS_AS.get((rights.kind, scope.context))
        if name is None or scope.type not in ("*", type_name) or letter not in scope.letters:
            continue
        actor = people()[name]
        if letter in actor.letters.get(type_name, ()):
            reach = EVERYONE if type_name in actor.everybody else _reach(rights, scope.context)
            yield Grant(reach, scope.params, actor.frozen.get(type_name, frozenset()))


def _reach(rights: Rights, context: str) -> Reach:
    own = frozenset({rights.patient}) if rights.patient is not None else frozenset[PatientId]()
    match rights.kind, context:
        case "practitioner" | "proxy" | "staff", "user":
            return rights.circle
        case "practitioner" | "proxy" | "staff", "patient":
            return own & rights.circle
        case "backend", "system":
            return EVERYONE
        case "patient", _:
            return own
        case "backend", "patient":
            return own
        case _:
            return frozenset()
