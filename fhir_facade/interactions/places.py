"""Which entries of a batch may go on side by side: those of which each finds what it would find if they went one after
the other, as they were sent. https://hl7.org/fhir/R4/http.html#brules
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from fhir_facade.errors import FacadeError
from fhir_facade.fhir.operations import find_operation
from fhir_facade.interactions.conditions import Params, identifiers
from fhir_facade.interactions.create import condition_of
from fhir_facade.values import FhirRequest, Interaction

_READS_ONE: Final = frozenset((Interaction.READ, Interaction.VREAD, Interaction.HISTORY_INSTANCE))
_WRITES_ONE: Final = frozenset((Interaction.CREATE, Interaction.UPDATE, Interaction.PATCH))


@dataclass(frozen=True, slots=True)
class Place:
    """What an entry reads or writes. `names` are texts that stand in whatever it has to do with: the address of its
    resource, the identifiers of its condition. `wide`: that cannot be said of it."""

    writes: bool = False
    wide: bool = False
    names: frozenset[bytes] = frozenset()
    body: bytes = b""


NOWHERE: Final = Place()


def place_of(request: FhirRequest | FacadeError) -> Place:
    """Of an entry; nowhere when it is refused already."""
    if isinstance(request, FacadeError):
        return NOWHERE
    if request.interaction in _READS_ONE:
        return Place(names=_names(request, ()))
    try:
        return _written(request) if request.interaction in _WRITES_ONE else Place(writes=_changes(request), wide=True)
    except FacadeError:  # which it will be told when its turn comes
        return NOWHERE


def waits_for(place: Place, earlier: Iterable[Place]) -> bool:
    """Whether it has to wait for one of those that are under way."""
    return place is not NOWHERE and any((place.writes or other.writes) and _meet(place, other) for other in earlier)


def _meet(one: Place, other: Place) -> bool:
    if one.wide or other.wide:
        return True
    if not one.names and not other.names:
        return False
    if not one.names.isdisjoint(other.names):
        return True
    return any(name in other.body for name in one.names) or any(name in one.body for name in other.names)


def _written(request: FhirRequest) -> Place:
    condition = _condition(request)
    named = identifiers(condition)
    if condition and not all(named or [""]):
        return Place(writes=True, wide=True)
    return Place(writes=True, names=_names(request, named), body=request.body)


def _condition(request: FhirRequest) -> Params:
    if request.interaction is Interaction.CREATE:
        return condition_of(request) or ()
    return request.params if request.id is None else ()


def _names(request: FhirRequest, identifiers: Iterable[str]) -> frozenset[bytes]:
    own = () if request.id is None else (f"{request.type}/{request.id}",)
    return frozenset(name.encode() for name in (*own, *identifiers))


def _changes(request: FhirRequest) -> bool:
    if request.interaction is not Interaction.OPERATION:
        return request.interaction is Interaction.DELETE
    return find_operation(request.operation or "", request.type, request.id).changes
