"""Functions that evaluate an argument on each item. https://hl7.org/fhirpath/N1/#filtering-and-projection"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import UTC
from typing import Any, Final

from fhir_facade.fhir.patch.fhirpath.focus import Argument, Focus
from fhir_facade.fhir.patch.fhirpath.functions.function import Arguments, Function, exactly
from fhir_facade.fhir.patch.fhirpath.items import Items, key_of, one_value, size_of, truth
from fhir_facade.fhir.patch.fhirpath.moments import Moment


def _where(items: Items, arguments: Arguments, _: Focus) -> Items:
    return [item for at, item in enumerate(items) if _holds(arguments[0], item, at)]


def _holds(criteria: Argument, item: Any, at: int) -> bool:
    return truth(criteria.on(item, at), "a condition") is True


def _exists(items: Items, arguments: Arguments, focus: Focus) -> Items:
    return (bool(_where(items, arguments, focus) if arguments else items),)


def _all(items: Items, arguments: Arguments, _: Focus) -> Items:
    return (all(_holds(arguments[0], item, at) for at, item in enumerate(items)),)


def _select(items: Items, arguments: Arguments, _: Focus) -> Items:
    return [found for at, item in enumerate(items) for found in arguments[0].on(item, at)]


def _repeat(items: Items, arguments: Arguments, focus: Focus) -> Items:
    found: dict[Hashable, Any] = {}
    level = items
    while level:
        reached = _select(level, arguments, focus)
        focus.budget.spend(sum(map(size_of, reached)))
        fresh = {key: item for item in reversed(reached) if (key := key_of(item)) not in found}
        level = [*reversed(fresh.values())]
        found.update(reversed(fresh.items()))
    return [*found.values()]


def _aggregate(items: Items, arguments: Arguments, _: Focus) -> Items:
    total = arguments[1].items() if len(arguments) > 1 else ()
    for at, item in enumerate(items):
        total = arguments[0].on(item, at, total)
    return total


def _iif(items: Items, arguments: Arguments, _: Focus) -> Items:
    one_value(items, "iif()")
    if truth(arguments[0].within(items), "iif()"):
        return arguments[1].within(items)
    return arguments[2].within(items) if len(arguments) > 2 else ()


def _today(_: Items, __: Arguments, focus: Focus) -> Items:
    return (Moment("Date", f"{focus.now.astimezone(UTC):%Y-%m-%d}"),)


def _now(_: Items, __: Arguments, focus: Focus) -> Items:
    return (Moment("DateTime", focus.now.astimezone(UTC).isoformat(timespec="milliseconds")),)


def _time_of_day(_: Items, __: Arguments, focus: Focus) -> Items:
    return (Moment("Time", focus.now.astimezone(UTC).time().isoformat(timespec="milliseconds")),)


PROJECTIONS: Final[Mapping[str, Function]] = {
    "where": Function(exactly(1), _where),
    "exists": Function(range(2), _exists),
    "all": Function(exactly(1), _all),
    "select": Function(exactly(1), _select),
    "repeat": Function(exactly(1), _repeat),
    "aggregate": Function(range(1, 3), _aggregate),
    "iif": Function(range(2, 4), _iif),
    "trace": Function(range(1, 3), lambda items, _, __: items),  # what it would log are patient data
    "today": Function(exactly(0), _today),
    "now": Function(exactly(0), _now),
    "timeOfDay": Function(exactly(0), _time_of_day),
}
