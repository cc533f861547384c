"""What a facade is asked for in one life, and how the lives before and after it go."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.interactions.alerts.marks import compare
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.values import FhirRequest, FhirResponse, Interaction, Principal
from tests.crash.bundles import Story, bundle, put
from tests.crash.lives import Case, Life, look_for_intents, recover
from tests.crash.sights import Sight, sight
from tests.crash.steps import Call, Crash, Steps

IMPORT = Principal("engine", name="import")
WRITTEN = ("after send POST", "after send PUT", "after send DELETE")
READS = ("search", "read", "history", "present", "send GET")


class Act(Protocol):
    """What is there before, what is asked for, and what can be seen afterwards: a value that is the same for all cases
    of which the same is true. `like`: what was seen of another case, which says where to look."""

    async def prepare(self, ports: Ports, case: Case) -> None: ...

    async def ask(self, ports: Ports, case: Case) -> object: ...

    async def see(self, ports: Ports, case: Case, like: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Telling:
    """The transaction of a story."""

    story: Story

    async def prepare(self, ports: Ports, case: Case) -> None:
        """The engine knows which guards there are, as in a facade that serves."""
        await compare(ports)
        await transaction(ports, bundle(map(put, self.story.stored(case))))

    async def ask(self, ports: Ports, case: Case) -> FhirResponse:
        return await transaction(ports, bundle(self.story.entries(case)))

    async def see(self, ports: Ports, case: Case, like: Sight | None) -> Sight:
        return await sight(ports, case, self.story, like)


@dataclass(frozen=True, slots=True)
class Parting(Telling):
    """The same entries as a batch, in which each stands for itself."""

    async def ask(self, ports: Ports, case: Case) -> FhirResponse:
        body = bundle(self.story.entries(case), "batch")
        return await dispatch(ports, IMPORT, FhirRequest(Interaction.BATCH, body=body))


async def transaction(ports: Ports, body: bytes) -> FhirResponse:
    return await dispatch(ports, IMPORT, FhirRequest(Interaction.TRANSACTION, body=body))


@dataclass(frozen=True, slots=True)
class Whole:
    """How it goes undisturbed: what is seen before, what after, and each step in between."""

    before: Any
    after: Any
    steps: tuple[str, ...]

    @property
    def first_write(self) -> int:
        """The first step that is more than reading: whoever stops before it has asked for nothing."""
        return next(at for at, name in enumerate(self.steps) if name.split(" ", 1)[1] not in READS)


async def prepared(life: Life, act: Act) -> Case:
    case = Case()
    async with life(case, Steps()) as ports:
        await act.prepare(ports, case)
    return case


async def seen(life: Life, case: Case, act: Act, like: Any = None) -> Any:
    """What the next life finds once it has recovered."""
    async with life(case, Steps()) as ports:
        await recover(ports, case)
        return await act.see(ports, case, like)


async def undisturbed(life: Life, act: Act) -> Whole:
    case, steps = await prepared(life, act), Steps()
    async with life(case, steps) as ports:
        await act.ask(ports, case)
    after = await seen(life, case, act)
    return Whole(await seen(life, await prepared(life, act), act, after), after, tuple(steps.names))


async def stopped(life: Life, act: Act, whole: Whole, step: int, error: type[BaseException] = Crash) -> Any:
    """What is found by the next life after one that was stopped at a step."""
    case, steps = await prepared(life, act), Steps(step, error)
    async with life(case, steps) as ports:
        await steps.ended(act.ask(ports, case))
    assert steps.stopped, f"there is no step {step}"
    return await seen(life, case, act, whole.after)


async def walk(life: Life, act: Act, whole: Whole, error: type[BaseException] = Crash) -> None:
    """Stop at each step from the first write on. Once the store has answered the write it has happened, and it
    happens no sooner."""
    written = max(at for at, name in enumerate(whole.steps) if name in WRITTEN)
    for step in range(whole.first_write, len(whole.steps)):
        found = await stopped(life, act, whole, step, error)
        assert found == (whole.after if step >= written else whole.before), f"{step} {whole.steps[step]}"


async def overtaken(life: Life, act: Act, whole: Whole, url: str) -> Any:
    """What is found in the end when HAPI gets the write of a dead facade after the next one has looked for it."""
    case, steps = await prepared(life, act), Steps(whole.steps.index("before send POST"))
    async with life(case, steps) as ports:
        await steps.ended(act.ask(ports, case))
    async with life(case, Steps()) as ports:
        await look_for_intents(ports, case)
        await _send(url, steps.unsent)
    return await seen(life, case, act, whole.after)


async def _send(url: str, call: Call | None) -> None:
    assert call is not None
    session = HapiSession(url, pool_size=1)
    try:
        sending = session.send(*call.arguments, **call.more)
        answer = await asyncio.get_running_loop().create_task(sending, context=call.context)
        assert answer.status == 200
    finally:
        await session.close()
