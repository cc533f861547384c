"""A search for AuditEvents as conditions on the rows of the audit: what cannot be said there is refused, never dropped.

https://hl7.org/fhir/R4/auditevent.html#search
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from fhir_facade.errors import BadRequest, UnknownParameter
from fhir_facade.interactions.audit_codes import Code, Coding, actions_that, codes, outcomes
from fhir_facade.interactions.audit_names import LineNames
from fhir_facade.ports import StateTransaction
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import Criterion, DateValue, Match, ReferenceValue, SearchQuery, TokenValue

Condition = tuple[str, str, Any]

_PEOPLE: Final = MappingProxyType(
    {"Patient": "patient_id", "Practitioner": "practitioner_id", "RelatedPerson": "related_person_id"}
)
_ID: Final = "_id"
_TIMES: Final = frozenset({"date", "_lastUpdated"})


def conditions(tx: StateTransaction, query: SearchQuery, names: LineNames) -> list[Condition]:
    """All of them have to hold. UnknownParameter, BadRequest."""
    if query.any_of:
        raise BadRequest("the token's scopes for AuditEvent name several alternatives: ask for one without parameters")
    return [condition for criterion in query.criteria for condition in _conditions(tx, criterion, names)]


def newest_first(query: SearchQuery) -> bool:
    """The order that is asked for: by date, the newest first unless the other way round is asked for."""
    names = {each.name for each in query.sort}
    if not names <= _TIMES or len(query.sort) > 1:
        raise UnknownParameter("_sort: AuditEvents are sorted by date or -date")
    return all(each.descending for each in query.sort)


def searchable() -> tuple[str, ...]:
    """The parameters that AuditEvents are found by."""
    return tuple(sorted((*_PARAMETERS, _ID)))


def _conditions(tx: StateTransaction, criterion: Criterion, names: LineNames) -> Iterable[Condition]:
    if not isinstance(criterion, Match) or criterion.name not in searchable():
        raise UnknownParameter(f"AuditEvent is searched by {', '.join(searchable())}, without chains")
    if criterion.modifier is not None:
        raise UnknownParameter(f"{criterion.name}:{criterion.modifier} is not known for AuditEvent: leave it out")
    return _named(criterion, names) if criterion.name == _ID else _PARAMETERS[criterion.name](tx, criterion)


# --- one parameter each ---------------------------------------------------------------------------------------


def _named(match: Match, names: LineNames) -> list[Condition]:
    numbers = [names.number_of(value.code or "") for value in match.values if isinstance(value, TokenValue)]
    return [("id", "in", [number for number in numbers if number is not None])]


def _patient(_: StateTransaction, match: Match) -> list[Condition]:
    return [("patient", "in", [ref.id for ref in _references(match) if ref.type in (None, "Patient")])]


def _entity(_: StateTransaction, match: Match) -> list[Condition]:
    return [("entity", "in", [f"{ref.type}/{ref.id}" for ref in _references(match)])]


def _agent(tx: StateTransaction, match: Match) -> list[Condition]:
    found = [account.id for ref in _references(match) for account in _accounts(tx, ref)]
    return [("user", "in", found)]


def _accounts(tx: StateTransaction, ref: ReferenceValue) -> list[Account]:
    fields = [name for kind, name in _PEOPLE.items() if ref.type in (None, kind)]
    return [account for name in fields for account in tx.find(Account, (name, "=", ref.id))]


def _references(match: Match) -> Iterator[ReferenceValue]:
    return (value for value in match.values if isinstance(value, ReferenceValue) and value.id is not None)


def _outcome(_: StateTransaction, match: Match) -> list[Condition]:
    wanted = {value.code for value in match.values if isinstance(value, TokenValue)}
    return [("outcome", "in", [name for name, code in outcomes().items() if code in wanted])]


def _coded(coding_of: Callable[[Code], Coding]) -> Callable[[StateTransaction, Match], list[Condition]]:
    """By what the action of a line is called in AuditEvent; there are few actions, so each is judged by itself."""

    def conditions_of(_: StateTransaction, match: Match) -> list[Condition]:
        wanted = [value for value in match.values if isinstance(value, TokenValue)]
        known, others = actions_that(lambda code: any(_means(value, coding_of(code)) for value in wanted))
        if others:
            return [("action", "!=", name) for name in codes() if name not in known]
        return [("action", "in", sorted(known))]

    return conditions_of


def _means(value: TokenValue, coding: Coding) -> bool:
    return value.system in (None, coding["system"]) and value.code in (None, coding["code"])


def _moment(_: StateTransaction, match: Match) -> list[Condition]:
    if len(match.values) > 1:
        raise BadRequest(f"{match.name}: AuditEvent takes one moment per parameter; repeat the parameter for a range")
    (value,) = match.values
    assert isinstance(value, DateValue)
    if value.prefix not in _RANGES:
        raise BadRequest(f"{match.name}: AuditEvent takes {', '.join(_RANGES)}")
    return _RANGES[value.prefix](value)


_RANGES: Final[Mapping[str, Callable[[DateValue], list[Condition]]]] = MappingProxyType(
    {
        "eq": lambda value: [("at", ">=", value.low), ("at", "<", value.high)],
        "ap": lambda value: [("at", ">=", value.low), ("at", "<", value.high)],
        "ge": lambda value: [("at", ">=", value.low)],
        "gt": lambda value: [("at", ">=", value.high)],
        "sa": lambda value: [("at", ">=", value.high)],
        "le": lambda value: [("at", "<", value.high)],
        "lt": lambda value: [("at", "<", value.low)],
        "eb": lambda value: [("at", "<", value.low)],
    }
)

_PARAMETERS: Final[Mapping[str, Callable[[StateTransaction, Match], Sequence[Condition]]]] = MappingProxyType(
    {
        "_lastUpdated": _moment,
        "action": _coded(lambda code: {"system": "http://hl7.org/fhir/audit-event-action", "code": code.action}),
        "agent": _agent,
        "date": _moment,
        "entity": _entity,
        "outcome": _outcome,
        "patient": _patient,
        "subtype": _coded(lambda code: code.subtype),
        "type": _coded(lambda code: code.type),
    }
)


# --- pages ----------------------------------------------------------------------------------------------------


def lines(
    tx: StateTransaction, where: Sequence[Condition], *, descending: bool, count: int, cursor: str | None
) -> list[AuditLine]:
    """The first `count` lines after the one that `cursor` names, by their moment and then by their number."""
    order = ("-at",) if descending else ("at",)
    if cursor is None:
        return tx.find(AuditLine, *where, order=order, limit=count)
    last = tx.get(AuditLine, int(cursor))
    if last is None:  # dropped meanwhile, for it was older than lines are kept
        return []
    beyond, seen = ("<=", ">=") if descending else (">=", "<=")
    again = tx.count(AuditLine, *where, ("at", "=", last.at), ("id", seen, last.id))
    return tx.find(AuditLine, *where, ("at", beyond, last.at), order=order, limit=count + again)[again:]
