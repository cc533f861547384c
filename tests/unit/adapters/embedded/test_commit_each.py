"""Commits of a batch in one turn of the writer: each for itself, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from fhir_facade.errors import FacadeError
from fhir_facade.fhir.document import parse
from fhir_facade.ports import Commit, Committed, Ports
from fhir_facade.rows import Append
from fhir_facade.rows.access import NamingType
from fhir_facade.values import Absent, ExpectVersion, Precondition, Ref, Write
from tests.facade import embedded_facade


@pytest.fixture
async def ports(tmp_path: Path) -> AsyncIterator[Ports]:
    async with embedded_facade(tmp_path) as facade:
        yield facade.ports


def put(id_: str, subject: str | None = None, *, precondition: Precondition | None = None) -> Write:
    elements = {"resourceType": "Group", "id": id_, "type": "person", "actual": True}
    about = {} if subject is None else {"managingEntity": {"reference": subject}}
    body = msgspec.json.encode(elements | about)
    return Write("put", Ref("Group", id_), body, parse(body), precondition)


def told(found: Sequence[Committed]) -> list[object]:
    return [each.status if isinstance(each, FacadeError) else [one.id for one in each] for each in found]


async def there(ports: Ports, *ids: str) -> list[str]:
    found = []
    for id_ in ids:
        try:
            found.append((await ports.store.read(Ref("Group", id_))).id)
        except FacadeError:
            continue
    return found


async def test_what_is_refused_for_what_is_there_leaves_the_others_in_one_turn(ports: Ports) -> None:
    await ports.store.write([put("old")])
    commits: list[Commit] = [
        ([put("a")], []),
        ([put("old", precondition=Absent())], []),
        ([put("b"), put("c")], []),
        ([put("old", precondition=ExpectVersion("7"))], []),
        ([put("d", "Organization/none"), put("e")], []),
        ([], []),
        ([put("old", precondition=ExpectVersion("1"))], []),
    ]

    found = await ports.unit.commit_each(commits)

    assert told(found) == [["a"], 409, ["b", "c"], 412, 400, [], ["old"]]
    assert await there(ports, *"abcde") == ["a", "b", "c"]


async def test_what_is_refused_only_when_it_is_written_is_undone_alone(ports: Ports) -> None:
    await ports.store.write([put("old")])
    row = Append(NamingType(type="Group"))
    commits: list[Commit] = [
        ([put("a")], []),
        ([put("b")], [row]),
        ([put("c")], [row]),
        ([Write("delete", Ref("Group", "old"))], []),
        ([put("a")], []),
    ]

    found = await ports.unit.commit_each(commits)

    assert told(found) == [["a"], ["b"], 409, ["old"], ["a"]]
    assert await there(ports, "a", "b", "c", "old") == ["a", "b"]
