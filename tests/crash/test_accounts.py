"""An account and its person are both there or neither is, wherever the facade stops while they are made."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fhir_facade.errors import Conflict, Unavailable
from tests.crash.acts import prepared, seen, undisturbed, walk
from tests.crash.enrolments import Command, Enrolled, Enrolment, Posted
from tests.crash.killing import Killer, told
from tests.crash.lives import Life
from tests.crash.steps import Crash, Steps

pytestmark = pytest.mark.xdist_group("crash over HAPI")

BY_ADMINISTRATOR = Enrolment("practitioner")
WAYS = {
    "a practitioner by an administrator": BY_ADMINISTRATOR,
    "a patient who registers": Enrolment("patient", registers=True),
    "a known patient by a command": Command("patient"),
}
NOTHING = Enrolled((), (), (), ())
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@ways
def test_undisturbed_an_account_names_the_one_person_that_was_made_with_it(life: Life, way: Enrolment) -> None:
    made = asyncio.run(undisturbed(life, way)).after

    ((role, person),) = made.accounts
    assert role == way.role
    assert made.found == made.read
    assert made.read == (() if isinstance(way, Command) else (person,))
    assert len(made.audit) == 1 + len(made.read)


@ways
def test_a_process_that_is_killed_before_any_statement_has_made_both_or_none(
    warm: Path, death: Killer, tmp_path: Path, way: Enrolment
) -> None:
    made = asyncio.run(told(warm, tmp_path, way))
    assert made.before == NOTHING
    for at in range(made.begin, len(made.statements) + 1):
        made.kill_before(at, tmp_path / str(at), death)
        expected = made.after if at > made.commit else NOTHING
        assert made.found(tmp_path / str(at)) == expected, f"killed before {made.statements[at]}"


@pytest.mark.parametrize(
    ("way", "error"),
    [
        pytest.param(Posted("patient", registers=True), Crash, id="the process dies"),
        pytest.param(Posted("practitioner"), Unavailable, id="the call fails"),
    ],
)
def test_over_hapi_a_facade_that_is_stopped_at_any_step_has_made_both_or_none(
    life: Life, way: Enrolment, error: type[BaseException]
) -> None:
    whole = asyncio.run(undisturbed(life, way))
    assert whole.before == NOTHING
    asyncio.run(walk(life, way, whole, error))


def test_the_name_of_an_account_that_is_not_finished_is_nobody_elses(life: Life) -> None:
    """HAPI has the person and the rows wait: with the name somebody else's, the person would stay without account."""
    whole = asyncio.run(undisturbed(life, BY_ADMINISTRATOR))

    async def crash_and_ask_again() -> Enrolled:
        case, steps = await prepared(life, BY_ADMINISTRATOR), Steps(whole.steps.index("after send PUT"))
        async with life(case, steps) as ports:
            await steps.ended(BY_ADMINISTRATOR.ask(ports, case))
        async with life(case, Steps()) as ports:
            with pytest.raises(Conflict, match="not finished yet"):
                await Command("patient").ask(ports, case)
        return await seen(life, case, BY_ADMINISTRATOR)

    assert asyncio.run(crash_and_ask_again()) == whole.after
