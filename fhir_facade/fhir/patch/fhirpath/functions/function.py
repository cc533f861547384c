"""What a function of FHIRPath is. https://hl7.org/fhirpath/N1/#functions"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fhir_facade.fhir.patch.fhirpath.focus import Argument, Focus
from fhir_facade.fhir.patch.fhirpath.items import Items, one_value
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken

Arguments = Sequence[Argument]


@dataclass(frozen=True, slots=True)
class Function:
    """`arity`: how many arguments it may have. `apply` evaluates them as it needs them."""

    arity: range
    apply: Callable[[Items, Arguments, Focus], Items]


def exactly(count: int) -> range:
    return range(count, count + 1)


def plain(calculate: Callable[[Items], Items]) -> Function:
    """A function of the collection alone."""
    return Function(exactly(0), lambda items, _, __: calculate(items))


def whole_number(argument: Argument, of: str) -> int:
    value = one_value(argument.items(), of)
    if type(value) is not int:
        raise NotTaken(f"{of} needs a whole number")
    return value
