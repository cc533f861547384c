"""The hot search: one subject, one code, a date range, newest or oldest first, answered from one index.

idx_subject_code holds (target, code, system, low, id): patient + code + date is a single range scan.
"""

from __future__ import annotations

from typing import Any

from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.adapters.embedded.compare import interval
from fhir_facade.adapters.embedded.criteria import condition
from fhir_facade.adapters.embedded.source import Condition, Source
from fhir_facade.fhir.extract.dates import to_us
from fhir_facade.values import CompositeValue, Criterion, DateValue, Match, ReferenceValue, SearchQuery, TokenValue

SUBJECT_PARAMS = frozenset({"subject", "patient"})
NO_DATE = -(2**63)

ONE_OF_SEVERAL_SYSTEMS = """h.system = (
  SELECT min(system) FROM idx_subject_code m WHERE m.pk = h.pk AND m.target = h.target AND m.code = h.code)"""


def hot_source(catalogue: Catalogue, query: SearchQuery) -> Source | None:
    """The source for a query of the hot shape; None when the general way must answer it."""
    if query.type != "Observation" or query.any_of:
        return None
    target = next((t for c in query.criteria if (t := subject_of(c))), None)
    token = next((code for c in query.criteria if (code := code_of(c))), None)
    if target is None or token is None or not sorted_by_date(query):
        return None
    return _source(catalogue, query, target, token)


def subject_of(criterion: Criterion) -> str | None:
    """`Type/id` of the one subject that a criterion asks for."""
    match criterion:
        case Match(name, "reference", (ReferenceValue(type_, str(id_), None),), modifier) if name in SUBJECT_PARAMS:
            kind = type_ or modifier or ("Patient" if name == "patient" else None)
            return f"{kind}/{id_}" if kind and modifier != "identifier" else None
    return None


def code_of(criterion: Criterion) -> TokenValue | None:
    """The one code that a criterion asks for."""
    match criterion:
        case Match("code", "token", (TokenValue(_, str(), None) as value,), None):
            return value
    return None


def _code_said_by(criterion: Criterion) -> TokenValue | None:
    """The one code without which a criterion does not hold."""
    match criterion:
        case Match(name, "composite", (CompositeValue((TokenValue(_, str(), None) as code, *_)),), None):
            return code if name.startswith("code-value-") else None
    return code_of(criterion)


def subject_and_code(catalogue: Catalogue, query: SearchQuery) -> list[Condition]:
    """What the criteria of a search say of subject and code together: each alone may leave a thousand times as much."""
    target = next((t for c in query.criteria if (t := subject_of(c))), None)
    token = next((code for c in query.criteria if (code := _code_said_by(c))), None)
    if query.type != "Observation" or target is None or token is None or not token.code:
        return []
    where, args = "target = ? AND code = ?", (target, token.code)
    if token.system is None:
        return [Condition("idx_subject_code", where, args)]
    return [Condition("idx_subject_code", f"{where} AND system = ?", (*args, catalogue.system(token.system)))]


def sorted_by_date(query: SearchQuery) -> bool:
    """Whether the newest come first, and nothing else counts."""
    return len(query.sort) == 1 and query.sort[0].name == "date" and query.sort[0].descending


def _source(catalogue: Catalogue, query: SearchQuery, target: str, token: TokenValue) -> Source:
    filters: list[tuple[str, tuple[Any, ...]]] = [("h.target = ? AND h.code = ?", (target, token.code))]
    if token.system is None:
        filters.append((ONE_OF_SEVERAL_SYSTEMS, ()))
    else:
        filters.append(("h.system = ?", (catalogue.system(token.system),)))
    used = {"subject": False, "code": False}
    for criterion in query.criteria:
        if not used["subject"] and subject_of(criterion) == target:
            used["subject"] = True
        elif not used["code"] and code_of(criterion) == token:
            used["code"] = True
        else:
            filters.append(_date(criterion) or condition(catalogue, query.type, criterion).holds_for("h.pk"))
    tables = "idx_subject_code h CROSS JOIN fhir_resource r ON r.pk = h.pk"
    return Source(tables, tuple(filters), (("h.low", True), ("h.id", False)), in_order=True)


def _date(criterion: Criterion) -> tuple[str, tuple[Any, ...]] | None:
    match criterion:
        case Match("date", "date", (DateValue(prefix, low, high, _),), None) if prefix != "ne":
            return dated(prefix), interval(prefix, to_us(low), to_us(high))[1]
    return None


def dated(prefix: str) -> str:
    """A date that is there and satisfies the prefix; marks as in `interval`."""
    return f"low > {NO_DATE} AND ({interval(prefix, None, None)[0]})"
