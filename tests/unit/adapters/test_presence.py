"""Several callers ask at once which keys are there: one question, and each has an answer of its own."""

import asyncio
from datetime import UTC, datetime

import pytest

from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.presence import Presence
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.adapters.state.tables import facade_tables
from fhir_facade.errors import Unavailable
from fhir_facade.rows import Append
from fhir_facade.rows.alerts import GuardMark

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MARKS = facade_tables().of(GuardMark)


@pytest.fixture
async def file(tmp_path):
    file = SqliteFile(tmp_path / "facade.sqlite")
    file.open()
    state = SqliteState(file)
    await state.migrate()
    await state.write(lambda tx: tx.apply(*(Append(GuardMark(id=id_, at=NOW)) for id_ in ("a", "b"))))
    yield file
    file.close()


async def test_a_file_that_is_closed_is_told_to_all(file):
    presence = Presence(file)
    asked = [asyncio.ensure_future(presence.among(MARKS, [key])) for key in ("a", "b")]
    file.close()

    for each in asked:
        with pytest.raises(Unavailable):
            await each


async def test_who_does_not_wait_any_more_takes_nothing_from_others(file):
    presence = Presence(file)
    gone, stays = (asyncio.ensure_future(presence.among(MARKS, ["a", "x"])) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()

    assert await stays == {"a"}
    assert gone.cancelled()


async def test_each_is_told_of_its_own_keys_alone(file):
    presence = Presence(file)

    assert await asyncio.gather(
        presence.among(MARKS, ["a", "x"]), presence.among(MARKS, ["b"]), presence.among(MARKS, [])
    ) == [{"a"}, {"b"}, frozenset()]


async def test_what_was_committed_before_the_question_is_there(file):
    presence = Presence(file)
    state = SqliteState(file)
    assert await presence.among(MARKS, ["c"]) == frozenset()

    await state.write(lambda tx: tx.apply(Append(GuardMark(id="c", at=NOW))))

    assert await presence.among(MARKS, ["c"]) == {"c"}
