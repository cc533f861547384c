"""Searches within the rights of a principal: narrowed, and without a hop that could tell a hidden value.

https://hl7.org/fhir/R4/search.html#chaining; a chain or `_has` over records of others answers questions about them by
the mere presence of a match, so each hop is narrowed too, or refused where that cannot be expressed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Final

from fhir_facade.access.cardinality import single_owner
from fhir_facade.access.check import Deny
from fhir_facade.access.compartment import type_rules
from fhir_facade.access.narrow import UNNARROWED
from fhir_facade.access.policy import Ask, decide
from fhir_facade.fhir.definitions.occurrence import reference_path, single_valued
from fhir_facade.fhir.definitions.tables import reference_targets
from fhir_facade.values import (
    AnyOf,
    Chain,
    Criterion,
    Has,
    Include,
    Interaction,
    Match,
    Not,
    PatientId,
    Principal,
    ReferenceValue,
    SearchQuery,
    TokenValue,
)

Groups = tuple[tuple[Criterion, ...], ...]

MAX_GROUPS: Final = 64
"""Alternatives of one search; scopes and hops multiply."""
_NOT_STORED: Final = "AuditEvent"
"""Made from the audit when asked for: no store could find what one refers to."""


@dataclass(frozen=True, slots=True)
class _Asker:
    principal: Principal
    circle: frozenset[PatientId]
    hops: dict[tuple[str, int], tuple[Criterion, Groups | Deny]] = field(default_factory=dict, compare=False)
    """What is known of a type and a criterion, which many ways lead to. It is kept beside, so that no other gets its
    identity."""

    def narrow(self, type_name: str) -> Groups | Deny:
        answer = decide(self.principal, Ask(Interaction.SEARCH_TYPE, type_name, circle=self.circle))
        return answer if isinstance(answer, Deny) else answer.narrow

    def may_read(self, type_name: str) -> Deny | None:
        answer = decide(self.principal, Ask(Interaction.READ, type_name, circle=self.circle))
        return answer if isinstance(answer, Deny) else None


def search_within(
    principal: Principal,
    query: SearchQuery,
    includes: Iterable[Include] = (),
    circle: frozenset[PatientId] = frozenset(),
) -> SearchQuery | Deny:
    """The query as the principal may ask it: its own criteria, each hop narrowed, and the narrowing of the type.

    What comes back still has to pass `Check.may_leave`, included resources too.
    """
    asker = _Asker(principal, circle)
    limit, includes = asker.narrow(query.type), tuple(includes)
    if limit == UNNARROWED and not includes and not query.any_of and all(type(own) is Match for own in query.criteria):
        return query
    limits = [limit, *(_hop(asker, query.type, criterion) for criterion in query.criteria)]
    refused = next((limit for limit in limits if isinstance(limit, Deny)), None) or _includes(asker, includes)
    if refused is not None:
        return refused
    own, *hops = (limit for limit in limits if not isinstance(limit, Deny))
    groups = reduce(_both, (*hops, own), query.any_of)
    if len(groups) > MAX_GROUPS:
        return Deny(
            "forbidden", "The search combines too many alternatives of the token's scopes: ask in several steps."
        )
    if len(groups) == 1:
        return replace(query, criteria=tuple(dict.fromkeys(groups[0])), any_of=())
    return replace(query, criteria=(), any_of=groups)


def _both(one: Groups, other: Groups) -> Groups:
    """Groups that hold when one group of each side does; an empty side sets no limit."""
    if not one or not other:
        return one or other
    return tuple(mine + theirs for mine in one for theirs in other)


def _hop(asker: _Asker, type_name: str, criterion: Criterion) -> Groups | Deny:
    """The criterion with all its hops narrowed, as groups of which one has to hold."""
    if isinstance(criterion, Match | Not):  # of the record itself: who may see it may ask for it
        return ((criterion,),)
    key = (type_name, id(criterion))
    if key not in asker.hops:
        asker.hops[key] = criterion, _leading_on(asker, type_name, criterion)
    return asker.hops[key][1]


def _leading_on(asker: _Asker, type_name: str, criterion: Chain | Has | AnyOf) -> Groups | Deny:
    match criterion:
        case Chain():
            return _chain(asker, type_name, criterion)
        case AnyOf(groups):
            return _any_of(asker, type_name, groups)
    return _has(asker, type_name, criterion)


def _any_of(asker: _Asker, type_name: str, groups: Groups) -> Groups | Deny:
    """The groups with each of their hops narrowed. One that may not be asked refuses all: leaving it out would tell."""
    if all(isinstance(criterion, Match | Not) for group in groups for criterion in group):
        return ((AnyOf(groups),),)
    found: list[tuple[Criterion, ...]] = []
    for group in groups:
        narrowed: Groups = ()
        for criterion in group:
            hop = _hop(asker, type_name, criterion)
            if isinstance(hop, Deny):
                return hop
            narrowed = _both(narrowed, hop)
        found += narrowed
    return tuple(found)


def _chain(asker: _Asker, type_name: str, chain: Chain) -> Groups | Deny:
    """Targets that may not be searched drop out; none left is a refusal."""
    hops = {target: _target(asker, type_name, chain, target) for target in chain.targets}
    plain = tuple(target for target, hop in hops.items() if hop == ((replace(chain, targets=(target,)),),))
    groups: Groups = ((replace(chain, targets=plain),),) if plain else ()
    for target, hop in hops.items():
        if target not in plain and not isinstance(hop, Deny):
            groups += hop
    refused = (hop for hop in hops.values() if isinstance(hop, Deny))
    return groups or next(refused, Deny("forbidden", f"The chain {chain.name} leads to no type you may search."))


def _target(asker: _Asker, type_name: str, chain: Chain, target: str) -> Groups | Deny:
    limit = asker.narrow(target)
    inner = limit if isinstance(limit, Deny) else _hop(asker, target, chain.inner)
    if isinstance(limit, Deny) or isinstance(inner, Deny):
        return limit if isinstance(limit, Deny) else inner
    if limit != UNNARROWED and not single_owner(target):
        return Deny("forbidden", f"{target} may be about several patients: search {target} itself.")
    groups = _both(inner, limit)
    if all(len(group) == 1 for group in groups) or single_valued(type_name, chain.name):
        return tuple(tuple(Chain(chain.name, (target,), part) for part in group) for group in groups)
    # Two chains over a reference that repeats may hold for two different records: that would not be a limit.
    return Deny("forbidden", f"A chain over {chain.name} cannot be limited to your records: search {target} first.")


def _has(asker: _Asker, type_name: str, has: Has) -> Groups | Deny:
    if has.type == _NOT_STORED:
        return Deny("forbidden", "_has:AuditEvent is not possible: search AuditEvent, or use _revinclude.")
    limit, own = asker.narrow(has.type), asker.narrow(type_name)
    inner = limit if isinstance(limit, Deny) else _hop(asker, has.type, has.inner)
    if isinstance(inner, Deny):
        return inner
    free = limit == UNNARROWED or _about_the_found(type_name, has, limit, own)
    if free and all(len(group) == 1 for group in inner):
        return tuple((Has(has.type, has.name, group[0]),) for group in inner)
    return Deny("forbidden", f"_has over {has.type} cannot be limited to your records: search {has.type} instead.")


def _about_the_found(type_name: str, has: Has, limit: Groups | Deny, own: Groups | Deny) -> bool:
    """Whether everything that points at a found Patient by this parameter belongs to that very Patient, and the token
    reaches the same patients on both types: then the limit on the Patient is the limit on what points at it."""
    rule = type_rules()[has.type]
    if type_name != "Patient" or rule.owner is None or not single_valued(has.type, has.name):
        return False
    owning = reference_path(has.type, has.name) == reference_path(has.type, rule.owner)
    return owning and _patients(limit) is not None and _patients(limit) == _patients(own)


def _patients(limit: Groups | Deny) -> frozenset[str | None] | None:
    """The patients that a limit of one owner criterion names; None for any other limit."""
    if isinstance(limit, Deny) or len(limit) != 1 or len(limit[0]) != 1 or not isinstance(limit[0][0], Match):
        return None
    values = limit[0][0].values
    return frozenset(
        value.code if isinstance(value, TokenValue) else value.id
        for value in values
        if isinstance(value, TokenValue | ReferenceValue)
    )


def _includes(asker: _Asker, includes: Iterable[Include]) -> Deny | None:
    """What is included is checked again when it leaves; here a type that is closed altogether is refused."""
    for include in includes:
        answers = [asker.may_read(name) for name in _included(include)]
        if answers and all(answers):
            return answers[0]
    return None


def _included(include: Include) -> tuple[str, ...]:
    if include.source == "*":
        return ()
    if include.reverse:
        return (include.source,)
    if include.target is not None:
        return (include.target,)
    return () if include.name == "*" else reference_targets(include.source, include.name)
