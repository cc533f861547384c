"""A search as its parameters say it (https://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final

from fhir_facade.errors import BadRequest, Issue, UnknownParameter
from fhir_facade.fhir.media_types import PRESENTATION
from fhir_facade.fhir.query import controls as control
from fhir_facade.fhir.query.concepts import NO_CODES, StoredCodes
from fhir_facade.fhir.query.controls import Contained, ContainedType, Controls, Summary, TotalMode
from fhir_facade.fhir.query.criterion import CriterionParser
from fhir_facade.fhir.query.escape import split
from fhir_facade.fhir.query.filters import parse_filter
from fhir_facade.fhir.query.values import Asked
from fhir_facade.values import Criterion, Include, SearchQuery

MAX_PARAMETERS: Final = 50
DEFAULT_COUNT: Final = 20
SYSTEM: Final = "Resource"
_CONTROLS: Final[dict[str, Callable[[Controls, str], None]]] = {
    "_sort": control.sort,
    "_sort:asc": control.sort,
    "_sort:desc": partial(control.sort, descending=True),
    "_count": control.count,
    "_total": control.total,
    "_totalMethod": control.total_method,
    "_summary": control.summary,
    "_elements": control.elements,
    "_contained": control.contained,
    "_containedType": control.contained_type,
    "_include": partial(control.include, reverse=False, iterate=False),
    "_include:iterate": partial(control.include, reverse=False, iterate=True),
    "_revinclude": partial(control.include, reverse=True, iterate=False),
    "_revinclude:iterate": partial(control.include, reverse=True, iterate=True),
    # what STU3 called it, and clients of it do
    "_include:recurse": partial(control.include, reverse=False, iterate=True),
    "_revinclude:recurse": partial(control.include, reverse=True, iterate=True),
}


@dataclass(frozen=True, slots=True)
class ParsedSearch:
    """A query for a store, and how its answer is to look.

    `count` is None when not asked for (`query.count` has the default). `understood` are the parameters that counted,
    in order and as they counted, for the self link; `ignored` tells of the others. `types` are those of `_type` in a
    search of the whole system, and `by_type` says what the criteria are for each of them.
    """

    query: SearchQuery
    includes: tuple[Include, ...] = ()
    summary: Summary | None = None
    elements: tuple[str, ...] = ()
    total_mode: TotalMode | None = None
    count: int | None = None
    understood: tuple[tuple[str, str], ...] = ()
    types: tuple[str, ...] = ()
    by_type: Mapping[str, tuple[Criterion, ...]] = field(default_factory=dict)
    contained: Contained = "false"
    contained_type: ContainedType = "container"
    ignored: tuple[Issue, ...] = ()


def without_empty(params: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """`a,,b` is `a,b` in a search, as HAPI reads it: R4 ignores what has no value. Not in a condition."""
    return tuple([(name, _without_empty(value) if name != "_filter" else value) for name, value in params])


def _without_empty(value: str) -> str:
    return ",".join([part for part in split(value, ",") if part.strip()]) if "," in value else value


def searched_types(type: str, params: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The types whose parameters a search may have: those of `_type`, all of which have to know each of them; without
    it what all resources know. BadRequest. https://hl7.org/fhir/R4/http.html#search"""
    named = Controls(type)
    for value in [value for name, value in params if name == "_type" and value] if type == SYSTEM else ():
        control.types(named, value)
    return tuple(named.types) or (type,)


def parse_query(
    type: str,
    params: Sequence[tuple[str, str]],
    *,
    now: datetime,
    base_url: str | None = None,
    strict: bool = True,
    ignore_empty: bool = False,
    stored: StoredCodes = NO_CODES,
) -> ParsedSearch:
    """Decoded (name, value) pairs in order; `type` `Resource` is a search of the whole system.

    BadRequest, UnknownParameter: always with what would be right. Not `strict`: what the type does not know is left
    out, bad values of what it knows are refused still. `ignore_empty`: what has no value counts as not sent, as in
    every search; not in a condition, which would be about more than is meant. `now` decides what `ap` means for a date.
    `stored` holds those among `named_value_sets` and `named_code_systems` that there are.
    """
    asked = [(name, value) for name, value in params if name not in PRESENTATION]
    if len(asked) > MAX_PARAMETERS:
        raise BadRequest(f"{len(asked)} parameters, at most {MAX_PARAMETERS} are allowed: ask in several searches")
    parser = CriterionParser(Asked(now, base_url, stored))
    controls = Controls(type)
    criteria: dict[str, list[Criterion]] = {kind: [] for kind in searched_types(type, asked)}
    understood: list[tuple[str, str]] = []
    ignored: list[Issue] = []
    for name, value in asked:
        try:
            _take(parser, controls, criteria, name, value)
        except UnknownParameter as error:
            if strict:
                raise
            ignored += (_said(name, issue) for issue in error.issues)
        except BadRequest:
            if not ignore_empty or value.strip():
                raise
        else:
            understood.append((name, str(controls.count) if name == "_count" else value))
    by_type = {kind: tuple(own) for kind, own in criteria.items()}
    return _parsed(controls, by_type, tuple(understood), tuple(ignored))


def _take(
    parser: CriterionParser, controls: Controls, criteria: Mapping[str, list[Criterion]], name: str, value: str
) -> None:
    shape = control.types if name == "_type" and controls.fhir_type == SYSTEM else _CONTROLS.get(name)
    if shape is None and name.partition(":")[0] in _CONTROLS:
        raise UnknownParameter(f"{name!r} is not known here; known are {', '.join(_CONTROLS)}")
    if shape is None:
        found = {kind: _criteria(parser, kind, name, value) for kind in criteria}
        for kind, own in criteria.items():
            own.extend(found[kind])
    elif not value:
        raise BadRequest(f"{name}: an empty value; leave the parameter out")
    else:
        shape(controls, value)


def _criteria(parser: CriterionParser, type: str, name: str, value: str) -> tuple[Criterion, ...]:
    return parse_filter(parser, type, value) if name == "_filter" else (parser.parse(type, name, value),)


def _said(name: str, issue: Issue) -> Issue:
    """R4 has no errors among the outcomes of a search that was done."""
    return replace(issue, diagnostics=f"{name} was ignored: {issue.diagnostics}", severity="warning")


def _parsed(
    controls: Controls,
    by_type: Mapping[str, tuple[Criterion, ...]],
    understood: tuple[tuple[str, str], ...],
    ignored: tuple[Issue, ...],
) -> ParsedSearch:
    counting = controls.summary == "count" or controls.count == 0
    query = SearchQuery(
        controls.fhir_type,
        next(iter(by_type.values())),
        sort=tuple(controls.sort),
        count=0 if counting else DEFAULT_COUNT if controls.count is None else controls.count,
        total=counting or controls.total_mode in ("accurate", "estimate"),
    )
    return ParsedSearch(
        query,
        tuple(controls.includes),
        controls.summary,
        tuple(controls.elements),
        controls.total_mode,
        controls.count,
        understood,
        tuple(controls.types),
        by_type,
        controls.contained,
        controls.contained_type,
        ignored,
    )
