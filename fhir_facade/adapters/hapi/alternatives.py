"""What HAPI cannot say in one request: OR between different parameters, dates and implied ranges in a list.

A query becomes groups of criteria of which one must hold. When the groups differ only in one parameter's values they
become one list; otherwise the ids that each group finds are gathered first and the page is asked for by id. HAPI's own
`_filter` is no way out: its pages repeat entries, and a reference to what is not there makes it find nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Final

from fhir_facade.errors import NotSupported
from fhir_facade.values import (
    AnyOf,
    Chain,
    CompositeValue,
    Criterion,
    DateValue,
    Has,
    Match,
    MissingValue,
    NearValue,
    Not,
    NumberValue,
    QuantityValue,
    SearchQuery,
    SearchValue,
)

MAX_GROUPS = 32
_ALWAYS_THERE: Final = frozenset(("_id", "_lastUpdated"))

Group = tuple[Criterion, ...]


def groups(query: SearchQuery) -> list[Group]:
    """Criteria sets of which at least one must hold, each fit for one request. NotSupported when there are too many."""
    criteria: list[Criterion] = [*query.criteria]
    if query.any_of:
        criteria.append(_as_list(query.any_of) or AnyOf(query.any_of))
    choices = [_choices(criterion) for criterion in criteria]
    if _product_size(choices) > MAX_GROUPS:
        raise NotSupported(f"The search has more than {MAX_GROUPS} alternatives; ask for them one by one")
    found = [tuple(criterion for group in chosen for criterion in group) for chosen in product(*choices)]
    return [_in_doubt(group) for group in found if not any(_is_sure(own, group) is False for own in group)]


def _in_doubt(group: Group) -> Group:
    return tuple(criterion for criterion in dict.fromkeys(group) if _is_sure(criterion, group) is None)


def _is_sure(criterion: Criterion, beside: Group = ()) -> bool | None:
    """Whether it holds for every resource, or for none, with what stands beside it: HAPI does not know that an id is
    never missing, and refuses to be asked whether a date is there together with which date."""
    match criterion:
        case Not(inner):
            sure = _is_sure(inner)
            return None if sure is None else not sure
        case Match(name, _, (MissingValue(missing),)) if name in _ALWAYS_THERE or _asks_which(name, beside, missing):
            return not missing
    return None


def _asks_which(name: str, beside: Group, missing: bool) -> bool:
    """Whether something else is asked of the same date, so that it must be there."""
    dates = [own for own in beside if isinstance(own, Match) and own.name == name and own.kind == "date"]
    return any(own.modifier is None or (missing and own.values == (MissingValue(False),)) for own in dates)


def _choices(criterion: Criterion) -> list[Group]:
    """The groups of which one must hold instead of the criterion."""
    if not isinstance(criterion, AnyOf):
        return [(single,) for single in _split(criterion)]
    listed = _as_list(criterion.groups)
    if listed is not None:
        return _choices(listed)
    return [part for group in criterion.groups for part in _split_group(group)]


def _product_size(choices: Iterable[list[Group]]) -> int:
    size = 1
    for choice in choices:
        size *= len(choice)
    return size


def _split_group(group: Group) -> list[Group]:
    chosen = product(*(_choices(criterion) for criterion in group))
    return [tuple(criterion for part in parts for criterion in part) for parts in chosen]


def _as_list(any_of: tuple[Group, ...]) -> Match | None:
    """Groups of one match each on the same parameter: one match with all their values."""
    matches = [group[0] for group in any_of if len(group) == 1 and isinstance(group[0], Match)]
    if not matches or len(matches) != len(any_of):
        return None
    first = matches[0]
    if first.modifier in ("not", "missing") or any(
        (m.name, m.modifier) != (first.name, first.modifier) for m in matches
    ):
        return None
    return replace(first, values=tuple(value for match in matches for value in match.values))


def _split(criterion: Criterion) -> list[Criterion]:
    """One criterion per value where HAPI cannot take the values as a list, behind references too."""
    if isinstance(criterion, Chain | Has):
        return [replace(criterion, inner=inner) for inner in _split(criterion.inner)]
    if not isinstance(criterion, Match):
        return [criterion]
    values = [part for value in criterion.values for part in _parts(value)]
    if len(values) == 1 or not any(_needs_its_own_request(value) for value in values):
        return [replace(criterion, values=tuple(values))]
    return [replace(criterion, values=(value,)) for value in values]


def _parts(value: SearchValue) -> list[SearchValue]:
    """`ne` is what lies before and what lies after; HAPI itself can only say it of dates, and of the day that an author
    wrote."""
    match value:
        case DateValue(prefix="ne"):
            return [replace(value, prefix="lt"), replace(value, prefix="gt")]
        case NumberValue(prefix="ne") | QuantityValue(prefix="ne"):
            return [replace(value, prefix="lt", number=value.low), replace(value, prefix="ge", number=value.high)]
        case _:
            return [value]


def _needs_its_own_request(value: SearchValue) -> bool:
    """HAPI refuses dates in a list, and finds with the first unit only in a list of quantities."""
    match value:
        case DateValue() | NumberValue() | QuantityValue() | NearValue():
            return True
        case CompositeValue(parts):
            return any(_needs_its_own_request(part) for part in parts)
        case _:
            return False
