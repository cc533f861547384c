"""Functions that ask about a collection, take a part of it, or join two. https://hl7.org/fhirpath/N1/#existence"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from fhir_facade.fhir.patch.fhirpath.focus import Focus
from fhir_facade.fhir.patch.fhirpath.functions.function import Arguments, Function, exactly, plain, whole_number
from fhir_facade.fhir.patch.fhirpath.items import Items, distinct, key_of, one_value, size_of, truth, value_of
from fhir_facade.fhir.patch.fhirpath.operators import negated, said
from fhir_facade.fhir.patch.fhirpath.syntax import type_name
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken
from fhir_facade.fhir.patch.fhirpath.types import is_of_type
from fhir_facade.fhir.patch.places import Place, all_children, children


def _truths(decide: Callable[[list[bool]], bool]) -> Function:
    def apply(items: Items) -> Items:
        values = [value_of(item) for item in items]
        if not all(isinstance(value, bool) for value in values):
            raise NotTaken("it asks what is no boolean for its truth")
        return (decide(values),)

    return plain(apply)


def _two(join: Callable[[Items, Items], Items]) -> Function:
    """A function of two collections."""

    def apply(items: Items, arguments: Arguments, focus: Focus) -> Items:
        other = arguments[0].items()
        focus.budget.spend(sum(map(size_of, (*items, *other))))
        return join(items, other)

    return Function(exactly(1), apply)


def _is_among(items: Items, others: Items) -> list[bool]:
    keys = {key_of(other) for other in others}
    return [key_of(item) in keys for item in items]


def _kept(items: Items, others: Items, *, among: bool) -> Items:
    return [item for item, is_among in zip(items, _is_among(items, others), strict=True) if is_among is among]


def _distinct(items: Items, _: Arguments, focus: Focus) -> Items:
    focus.budget.spend(sum(map(size_of, items)))
    return distinct(items)


def _single(items: Items) -> Items:
    one_value(items, "single()")
    return items


def _skip(items: Items, arguments: Arguments, _: Focus) -> Items:
    return items[max(0, whole_number(arguments[0], "skip()")) :]


def _take(items: Items, arguments: Arguments, _: Focus) -> Items:
    return items[: max(0, whole_number(arguments[0], "take()"))]


def _of_type(items: Items, arguments: Arguments, _: Focus) -> Items:
    name = type_name(arguments[0].expression)
    return [item for item in items if is_of_type(item, name)]


def _is(items: Items, arguments: Arguments, _: Focus) -> Items:
    name = type_name(arguments[0].expression)
    answers = [is_of_type(item, name) for item in items]
    one_value(answers, "is()")
    return answers


# --- the tree ---------------------------------------------------------------------------------------------------------


def _children(items: Items, _: Arguments, focus: Focus) -> Items:
    found = [child for item in items if isinstance(item, Place) for child in all_children(item)]
    focus.budget.spend(len(found))
    return found


def _descendants(items: Items, arguments: Arguments, focus: Focus) -> Items:
    found: list[Any] = []
    level = _children(items, arguments, focus)
    while level:
        found.extend(level)
        level = _children(level, arguments, focus)
    return found


def _extension(items: Items, arguments: Arguments, focus: Focus) -> Items:
    url = one_value(arguments[0].items(), "extension()")
    found = [child for item in items if isinstance(item, Place) for child in children(item, "extension")]
    focus.budget.spend(len(found))
    return [child for child in found if child.node.get("url") == url]


def _has_value(items: Items) -> Items:
    return (len(items) == 1 and not isinstance(_bare(items[0]), Place),)


def _bare(item: Any) -> Any:
    """The value of a primitive, the element itself of another."""
    return value_of(item) if not isinstance(item, Place) or item.is_primitive else item


def _value(items: Items) -> Items:
    return [_bare(item) for item in items] if _has_value(items)[0] else ()


COLLECTIONS: Final[Mapping[str, Function]] = {
    "empty": plain(lambda items: (not items,)),
    "not": plain(lambda items: said(negated(truth(items, "not()")))),
    "count": plain(lambda items: (len(items),)),
    "allTrue": _truths(all),
    "anyTrue": _truths(any),
    "allFalse": _truths(lambda values: not any(values)),
    "anyFalse": _truths(lambda values: not all(values)),
    "subsetOf": _two(lambda items, others: (all(_is_among(items, others)),)),
    "supersetOf": _two(lambda items, others: (all(_is_among(others, items)),)),
    "distinct": Function(exactly(0), _distinct),
    "isDistinct": Function(exactly(0), lambda items, _, focus: (len(_distinct(items, _, focus)) == len(items),)),
    "single": plain(_single),
    "first": plain(lambda items: items[:1]),
    "last": plain(lambda items: items[-1:]),
    "tail": plain(lambda items: items[1:]),
    "skip": Function(exactly(1), _skip),
    "take": Function(exactly(1), _take),
    "intersect": _two(lambda items, others: distinct(_kept(items, others, among=True))),
    "exclude": _two(lambda items, others: _kept(items, others, among=False)),
    "union": _two(lambda items, others: distinct((*items, *others))),
    "combine": _two(lambda items, others: (*items, *others)),
    "ofType": Function(exactly(1), _of_type),
    "as": Function(exactly(1), _of_type),
    "is": Function(exactly(1), _is),
    "children": Function(exactly(0), _children),
    "descendants": Function(exactly(0), _descendants),
    "extension": Function(exactly(1), _extension),
    "hasValue": plain(_has_value),
    "getValue": plain(_value),
}
