"""A FHIRPath expression evaluated on a resource: its result names places of it. https://hl7.org/fhirpath/N1/"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from fhir_facade.fhir.patch.fhirpath.amounts import EXACT, Amount
from fhir_facade.fhir.patch.fhirpath.focus import Argument, Focus
from fhir_facade.fhir.patch.fhirpath.functions import FUNCTIONS
from fhir_facade.fhir.patch.fhirpath.items import Items, is_number, one_value, truth
from fhir_facade.fhir.patch.fhirpath.operators import LOGIC, OPERATORS, charge, concluded, decided, said
from fhir_facade.fhir.patch.fhirpath.syntax import (
    Binary,
    Call,
    Expression,
    Index,
    Literal,
    Member,
    Path,
    Signed,
    Typed,
    Variable,
)
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken
from fhir_facade.fhir.patch.fhirpath.types import is_of_type
from fhir_facade.fhir.patch.places import Place, children
from terminology.canonical import UCUM

_SYSTEMS: Final = {
    "%ucum": UCUM,
    "%sct": "http://snomed.info/sct",
    "%loinc": "http://loinc.org",
}
_PREFIXES: Final = {
    "%vs-": "http://hl7.org/fhir/ValueSet/",
    "%ext-": "http://hl7.org/fhir/StructureDefinition/",
}


def evaluate(expression: Expression, focus: Focus) -> Items:
    """The collection that it stands for. NotTaken when it cannot be evaluated, TooCostly when that takes too long."""
    focus.budget.spend(1)
    return _EVALUATE[type(expression)](expression, focus)


def _literal(expression: Literal, _: Focus) -> Items:
    return expression.items


def _variable(expression: Variable, focus: Focus) -> Items:
    name = expression.name
    if name in ("%resource", "%rootResource", "%context"):
        return (focus.root,)
    if name == "$this":
        return focus.this
    if name == "$index":
        return () if focus.index is None else (focus.index,)
    if name == "$total":
        return focus.total
    if name in _SYSTEMS:
        return (_SYSTEMS[name],)
    for prefix, address in _PREFIXES.items():
        if name.startswith(prefix):
            return (address + name.removeprefix(prefix),)
    raise NotTaken(f"a patch knows no variable {name}")


def _path(expression: Path, focus: Focus) -> Items:
    steps = expression.steps
    if expression.source is not None:
        items = evaluate(expression.source, focus)
    elif steps and (own := _of_own_type(steps[0], focus)) is not None:
        items, steps = own, steps[1:]
    else:
        items = focus.this
    for step in steps:
        items = _taken(step, items, focus)
        focus.budget.spend(1 + len(items))
    return items


def _of_own_type(step: Member | Call | Index, focus: Focus) -> Items | None:
    """`Patient` at the beginning of a path is what the path begins with, when that is a Patient."""
    if not isinstance(step, Member) or not step.name[:1].isupper():
        return None
    own = [item for item in focus.this if isinstance(item, Place) and is_of_type(item, step.name)]
    if not own and any(item is focus.root for item in focus.this):
        raise NotTaken(f"it begins with {step.name}, but the resource is of type {focus.root.definition}")
    return own


def _taken(step: Member | Call | Index, items: Items, focus: Focus) -> Items:
    if isinstance(step, Member):
        return [child for item in items if isinstance(item, Place) for child in children(item, step.name)]
    if isinstance(step, Index):
        at = one_value(evaluate(step.at, focus), "[]")
        if type(at) is not int or at < 0:
            raise NotTaken("an index is not a number of 0 or more")
        return items[at : at + 1]
    arguments = [Argument(argument, focus, evaluate) for argument in step.arguments]
    return FUNCTIONS[step.name].apply(items, arguments, focus)


def _signed(expression: Signed, focus: Focus) -> Items:
    value = one_value(evaluate(expression.operand, focus), "a sign")
    if isinstance(value, Amount):
        return (Amount(EXACT.minus(value.value), value.unit) if expression.minus else value,)
    if value is not None and not is_number(value):
        raise NotTaken("a sign stands before what is no number")
    if value is None or not expression.minus:
        return () if value is None else (value,)
    return (-value if isinstance(value, int) else EXACT.minus(value),)


def _binary(expression: Binary, focus: Focus) -> Items:
    operator = expression.operator
    left = evaluate(expression.left, focus)
    if operator not in LOGIC:
        right = evaluate(expression.right, focus)
        charge(focus.budget, operator, left, right)
        return OPERATORS[operator](left, right)
    known = truth(left, operator)
    early = decided(operator, known)
    if early is not None:
        return (early,)
    return said(concluded(operator, known, truth(evaluate(expression.right, focus), operator)))


def _typed(expression: Typed, focus: Focus) -> Items:
    items = evaluate(expression.operand, focus)
    if expression.operator == "as":
        return [item for item in items if is_of_type(item, expression.type)]
    answers = [is_of_type(item, expression.type) for item in items]
    one_value(answers, "is")
    return answers


_EVALUATE: Final[Mapping[type[Any], Callable[[Any, Focus], Items]]] = {
    Literal: _literal,
    Variable: _variable,
    Path: _path,
    Signed: _signed,
    Binary: _binary,
    Typed: _typed,
}
