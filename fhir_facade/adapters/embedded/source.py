"""What a search is made of in SQL: conditions on index rows, and where its candidates come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fhir_facade.adapters.embedded.schema import INDEX_TABLES

Sql = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Condition:
    """Rows of `table` that satisfy `where`, identified by `pk`; `negated` means: resources without such a row.

    `fhir_resource` is a table here too (for `_id`, `_lastUpdated`): its rows are the resources themselves. What is
    `slow` has no index and is asked of the candidates that the other conditions leave. `check` says the same as `where`
    of one resource, where that is better found by its pk than by value. `hop` says it of one resource of the table
    without looking for all others first that lie behind the reference. `found` is a SELECT of the pks, where more leads
    to them than a look at the rows of the table.
    """

    table: str
    where: str
    args: tuple[Any, ...]
    negated: bool = False
    slow: bool = False
    check: str = ""
    check_args: tuple[Any, ...] | None = None
    hop: str = ""
    hop_args: tuple[Any, ...] = ()
    found: Sql | None = None

    @property
    def has_hops(self) -> bool:
        """Whether something else has to be found before its members are."""
        return bool(self.hop)

    @property
    def all_live(self) -> bool:
        """Whether its members need no look at them: rows of an index are of resources of the type, none deleted."""
        return self.table in INDEX_TABLES

    def members(self) -> Sql:
        """A SELECT of the pks that satisfy the (positive) condition."""
        return self.found or (f"SELECT pk FROM {self.table} WHERE {self.where}", self.args)

    def holds_for(self, pk: str, *, alone: bool = False) -> Sql:
        """An expression that is true for the resource whose pk is the SQL expression `pk`. `alone`: so few are asked
        that what lies behind references is looked at for each of them, instead of all of it at first."""
        if alone and self.hop:
            test, args = self.hop, self.hop_args
        else:
            test, args = self.check or self.where, self.args if self.check_args is None else self.check_args
        found = f"EXISTS (SELECT 1 FROM {self.table} WHERE pk = {pk} AND ({test}))"
        return (f"NOT {found}" if self.negated else found), args


@dataclass(frozen=True, slots=True)
class Either:
    """All conditions of at least one group hold."""

    groups: tuple[tuple[Condition | Either, ...], ...]
    negated: bool = False

    @property
    def slow(self) -> bool:
        """Whether a group has nothing to find its resources by."""
        return any(_base(group) is None for group in self.groups)

    @property
    def has_hops(self) -> bool:
        return any(own.has_hops for group in self.groups for own in group)

    @property
    def all_live(self) -> bool:
        bases = [_base(group) for group in self.groups]
        return all(base is not None and base.all_live for base in bases)

    def members(self) -> Sql:
        """A SELECT of the pks that satisfy a group, some of them several times: counting it can stop early."""
        return _joined(" UNION ALL ", [_members(group) for group in self.groups])

    def holds_for(self, pk: str, *, alone: bool = False) -> Sql:
        sql, args = _joined(" OR ", [_all_hold(group, pk, alone=alone) for group in self.groups])
        return f"({sql})", args


Test = Condition | Either


def _base(group: tuple[Test, ...]) -> Test | None:
    """What the members of a group are found by."""
    return next((own for own in group if not own.negated and not own.slow), None)


def _members(group: tuple[Test, ...]) -> Sql:
    base = _base(group)
    sql, args = base.members() if base else ("SELECT pk FROM fhir_resource WHERE deleted = 0", ())
    test, more = _all_hold(tuple(own for own in group if own is not base), "g.pk")
    return f"SELECT g.pk FROM ({sql}) g WHERE {test}", (*args, *more)


def _all_hold(group: tuple[Test, ...], pk: str, *, alone: bool = False) -> Sql:
    sql, args = _joined(" AND ", [own.holds_for(pk, alone=alone) for own in group])
    return f"({sql})" if sql else "1", args


def _joined(word: str, parts: list[Sql]) -> Sql:
    return word.join(sql for sql, _ in parts), tuple(arg for _, args in parts for arg in args)


@dataclass(frozen=True, slots=True)
class Source:
    """`tables` is a FROM clause that offers `r`, the resource; `filters` are ANDed expressions.

    `keys` are (expression, descending) sort keys; the last one is unique, so the order is total. `in_order`: the rows
    come nearly in this order, so that sorting does not have to carry more of them than a page. `counted`: where the
    matches can be counted without a look at the resources.
    """

    tables: str
    filters: tuple[Sql, ...]
    keys: tuple[tuple[str, bool], ...]
    in_order: bool = False
    counted: Sql | None = None
