"""The tables of this room in words, for the security page: what it says is what is enforced.

    python -m fhir_facade.access.describe docs/security.md     writes the tables anew between the page's markers

https://www.hl7.org/fhir/R4/security.html
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from fhir_facade.access.compartment import TypeRule, type_rules
from fhir_facade.access.rights import Actor, OperationRule, engines, operations, people
from fhir_facade.access.scopes import LETTERS

_MARKED: Final = re.compile(r"(<!-- (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_CLASSES: Final = ("person", "personal", "optional", "shared", "closed", "transient")


def page(text: str) -> str:
    """The page with every table between `<!-- name -->` and `<!-- end -->` written anew. KeyError: no such table."""
    return _MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found['name']]()}\n\n{found[3]}", text)


def _rights() -> str:
    """Letters by class of types; an actor's exceptions follow as a list."""
    head = ("Who", "Why", *(name for name in _CLASSES if name != "transient"))
    rows = [(actor.name, actor.why, *_by_class(actor)) for actor in people().values()]
    exceptions = [f"* {actor.name}: {text}" for actor in people().values() if (text := _exceptions(actor))]
    return _table(head, rows) + "\n\n" + "\n".join(exceptions)


def _frozen() -> str:
    rows = [
        (actor.name, type_name, ", ".join(sorted(elements)))
        for actor in people().values()
        for type_name, elements in actor.frozen.items()
    ]
    return _table(("Who", "Type", "Elements that stay as they are"), rows)


def _engines() -> str:
    rows = [
        (actor.name, actor.why, _grouped(actor, [rule for rule in type_rules().values() if actor.letters[rule.type]]))
        for actor in engines().values()
        if actor.name != "import"
    ]
    return _table(("Engine", "Why", "May"), rows)


def _operations() -> str:
    rows = [(f"${name}", ", ".join(_places(rule)), rule.letters) for name, rule in operations().items()]
    return _table(("Operation", "On", "Needs"), rows)


def _places(rule: OperationRule) -> list[str]:
    return sorted(rule.types) + (["the whole server"] if rule.system else [])


def _owners() -> str:
    rules = [rule for rule in type_rules().values() if rule.type_class in ("person", "personal", "optional")]
    rows = [(rule.type, rule.owner or "none", _paths(rule), rule.reason) for rule in rules]
    return _table(("Type", "Narrowed by", "Owner elements", "Remark"), rows)


def _paths(rule: TypeRule) -> str:
    return ", ".join(".".join(path) for path in rule.paths) or "id"


def _closed() -> str:
    return _table(("Type", "Why"), [(rule.type, rule.reason) for rule in _of("closed")])


def _shared() -> str:
    return ", ".join(rule.type for rule in _of("shared")) + "."


TABLES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "rights": _rights,
        "frozen": _frozen,
        "engines": _engines,
        "operations": _operations,
        "owners": _owners,
        "closed": _closed,
        "shared": _shared,
    }
)


def _of(type_class: str) -> list[TypeRule]:
    return [rule for rule in type_rules().values() if rule.type_class == type_class]


def _by_class(actor: Actor) -> Iterable[str]:
    """The letters that most types of a class have for this actor."""
    for type_class in _CLASSES[:-1]:
        yield _written(_usual(actor, type_class)) or "–"


def _usual(actor: Actor, type_class: str) -> frozenset[str]:
    found = [actor.letters[rule.type] for rule in _of(type_class)]
    return max(found, key=found.count)


def _exceptions(actor: Actor) -> str:
    """Types whose letters differ from what their class usually has."""
    return _grouped(actor, [rule for rule in type_rules().values() if _differs(actor, rule)])


def _differs(actor: Actor, rule: TypeRule) -> bool:
    return actor.letters[rule.type] != _usual(actor, rule.type_class)


def _grouped(actor: Actor, rules: Iterable[TypeRule]) -> str:
    groups: dict[str, list[str]] = {}
    for rule in rules:
        groups.setdefault(_written(actor.letters[rule.type]) or "nothing", []).append(rule.type)
    return "; ".join(f"`{letters}` on {', '.join(types)}" for letters, types in sorted(groups.items()))


def _written(letters: frozenset[str]) -> str:
    return "".join(letter for letter in LETTERS if letter in letters)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = tuple(head)
    lines = [names, tuple("---" for _ in names), *(tuple(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":  # pragma: no cover
    target = Path(sys.argv[1])
    target.write_text(page(target.read_text(encoding="utf-8")), encoding="utf-8")
