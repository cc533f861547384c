"""What an expression is evaluated on, and how much work it may make. https://hl7.org/fhirpath/N1/#environment-variables"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from fhir_facade.fhir.patch.fhirpath.items import Item, Items
from fhir_facade.fhir.patch.fhirpath.syntax import Expression
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken
from fhir_facade.fhir.patch.places import Place

MAX_STEPS: Final = 100_000


class TooCostly(NotTaken):
    """The expression would keep everybody waiting."""


@dataclass(slots=True)
class Budget:
    """Steps that are left, for all expressions of one patch together."""

    left: int = MAX_STEPS
    engines: dict[str, Any] = field(default_factory=dict)
    """Of the regular expressions that these expressions asked for."""

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise TooCostly("the paths of this patch look at too many elements; name elements more directly")


@dataclass(frozen=True, slots=True)
class Focus:
    """`this`, `index` and `total` are `$this`, `$index` and `$total`; `root` is the resource."""

    root: Place
    now: datetime
    budget: Budget
    this: Items
    index: int | None = None
    total: Items = ()


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a function, evaluated once or on each item."""

    expression: Expression
    focus: Focus
    evaluate: Callable[[Expression, Focus], Items]

    def items(self) -> Items:
        """Where the function is called."""
        return self.evaluate(self.expression, self.focus)

    def within(self, items: Items) -> Items:
        """With the whole collection as `$this`."""
        return self.evaluate(self.expression, self._focused(items))

    def on(self, item: Item, index: int, total: Items | None = None) -> Items:
        """With the item as `$this`."""
        return self.evaluate(self.expression, self._focused((item,), index, total))

    def _focused(self, this: Items, index: int | None = None, total: Items | None = None) -> Focus:
        around = self.focus
        within = around.total if total is None else total
        return Focus(around.root, around.now, around.budget, this, around.index if index is None else index, within)
