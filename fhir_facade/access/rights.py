"""What each kind of principal may do by itself, and what a token leaves of that: the table of `rights.json`.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html: scopes never widen the user's own rights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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


class Grant(msgspec.Struct, frozen=True):
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


class Way(msgspec.Struct, frozen=True):
    """A grant before it is said for whom: what one scope lets a kind of principal do with a type."""

    reach: Callable[[Rights], Reach]
    params: tuple[tuple[str, str], ...]
    frozen: frozenset[str]


Ways = dict[tuple[str, str], tuple[Way, ...]]
"""By type and letter; filled as it is asked for."""


class Rights(msgspec.Struct, frozen=True, eq=False):
    """What one principal's token amounts to; compared by identity, so that it is a cheap key of a cache.

    `ways` are shared by all who hold the same scopes as the same kind of principal.
    """

    kind: PrincipalKind
    engine: Actor | None
    scopes: tuple[Scope, ...]
    patient: PatientId | None
    circle: frozenset[PatientId]
    ways: Ways


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


def _everyone(_: Rights) -> Reach:
    return EVERYONE


def _nobody(_: Rights) -> Reach:
    return frozenset()


def _own(rights: Rights) -> Reach:
    return frozenset((rights.patient,)) if rights.patient is not None else frozenset()


def _circle(rights: Rights) -> Reach:
    return rights.circle


def _picked(rights: Rights) -> Reach:
    """The patient in context, as long as that is one in care."""
    return rights.circle & frozenset((rights.patient,))


_ACTS_AS: Final[Mapping[tuple[PrincipalKind, str], tuple[str, Callable[[Rights], Reach]]]] = MappingProxyType(
    {
        ("patient", "patient"): ("patient", _own),
        ("patient", "user"): ("patient", _own),
        ("proxy", "patient"): ("proxy", _picked),
        ("proxy", "user"): ("proxy", _circle),
        ("practitioner", "patient"): ("practitioner", _picked),
        ("practitioner", "user"): ("practitioner", _circle),
        ("staff", "patient"): ("staff", _picked),
        ("staff", "user"): ("staff", _circle),
        ("admin", "user"): ("admin", _nobody),
        ("backend", "system"): ("backend", _everyone),
        ("backend", "patient"): ("patient", _own),
    }
)
"""Principal kind and scope context -> the row that counts, and for whose records; a pair that is not here grants
nothing."""


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
    """Rights, and ways, by the identity of the scopes tuple: hashing the scopes themselves costs more than a decision
    may."""

    size: int
    rights: dict[tuple[object, ...], Rights] = field(default_factory=dict)
    ways: dict[tuple[object, ...], tuple[tuple[Scope, ...], Ways]] = field(default_factory=dict)

    def of(self, principal: Principal, circle: frozenset[PatientId]) -> Rights:
        key = (id(principal.scopes), principal.kind, principal.name, principal.patient, circle)
        found = self.rights.get(key)
        # `found` keeps its scopes alive, so an id that was used again belongs to another tuple and fails here.
        if found is None or found.scopes is not principal.scopes:
            if len(self.rights) >= self.size:
                self.rights.clear()
            found = self.rights[key] = self._compiled(principal, circle)
        return found

    def _compiled(self, principal: Principal, circle: frozenset[PatientId]) -> Rights:
        kind, scopes = principal.kind, principal.scopes
        engine = engines().get(principal.name or "") if kind == "engine" else None
        key = (id(scopes), kind)
        known = self.ways.get(key)
        if known is None or known[0] is not scopes:
            if len(self.ways) >= self.size:
                self.ways.clear()
            known = self.ways[key] = (scopes, {})
        return Rights(kind, engine, scopes, principal.patient, circle, known[1])


_SEEN: Final = _Seen(1024)


def rights_of(principal: Principal, circle: frozenset[PatientId]) -> Rights:
    """The rights of a principal; `circle` are the patients whom others than the patient reach. The same object for the
    same principal and circle, as long as it is remembered."""
    return _SEEN.of(principal, circle)


_EVERYBODY: Final = (Grant(EVERYONE),)


@lru_cache(maxsize=2048)
def grants(rights: Rights, type_name: str, letter: str) -> tuple[Grant, ...]:
    """All ways `letter` is allowed on the type; empty: not at all. One of them has to hold for a resource."""
    if rights.engine is not None:
        return _EVERYBODY if letter in rights.engine.letters.get(type_name, ()) else ()
    ways = rights.ways.get((type_name, letter))
    if ways is None:
        ways = rights.ways[type_name, letter] = tuple(dict.fromkeys(_ways(rights, type_name, letter)))
    if len(ways) == 1:
        return (_granted(rights, ways[0]),)
    return tuple(dict.fromkeys([_granted(rights, way) for way in ways]))


def _ways(rights: Rights, type_name: str, letter: str) -> Iterator[Way]:
    for scope in rights.scopes:
        name, reach = _ACTS_AS.get((rights.kind, scope.context), ("", _nobody))
        if not name or scope.type not in ("*", type_name) or letter not in scope.letters:
            continue
        actor = people()[name]
        if letter in actor.letters.get(type_name, ()):
            frozen = actor.frozen.get(type_name, frozenset())
            yield Way(_everyone if type_name in actor.everybody else reach, scope.params, frozen)


def _granted(rights: Rights, way: Way) -> Grant:
    return Grant(way.reach(rights), way.params, way.frozen)
