"""What a facade is asked for in one life, and how the lives before and after it go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fhir_facade.interactions.alerts.marks import compare
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.values import FhirRequest, FhirResponse, Interaction, Principal
from tests.crash.bundles import Story, bundle, put
from tests.crash.lives import Case, Life, recover
from tests.crash.sights import Sight, sight
from tests.crash.steps import Crash, Steps

IMPORT = Principal("engine", name="import")
READS = ("search", "read", "history", "look_up", "send GET")
Act = Callable[[Ports, Case, Story], Awaitable[object]]


async def transaction(ports: Ports, body: bytes) -> FhirResponse:
    return await dispatch(ports, IMPORT, FhirRequest(Interaction.TRANSACTION, body=body))


async def ask(ports: Ports, case: Case, story: Story) -> FhirResponse:
    """The transaction of the story."""
    return await transaction(ports, bundle(story.entries(case)))


@dataclass(frozen=True, slots=True)
class Whole:
    """How it goes undisturbed: what was there before, what after, and each step in between."""

    before: Sight
    after: Sight
    steps: tuple[str, ...]

    @property
    def first_write(self) -> int:
        """The first step that is more than reading: whoever stops before it has asked for nothing."""
        return next(at for at, name in enumerate(self.steps) if name.split(" ", 1)[1] not in READS)


async def prepared(life: Life, story: Story, case: Case | None = None) -> Case:
    """A case with what the story needs. The engine knows which guards there are, as in a facade that serves."""
    case = case or Case()
    async with life(case, Steps()) as ports:
        await compare(ports)
        await transaction(ports, bundle(map(put, story.stored(case))))
    return case


async def seen(life: Life, case: Case, story: Story, like: Sight | None = None) -> Sight:
    """What the next life finds once it has recovered."""
    async with life(case, Steps()) as ports:
        await recover(ports, case)
        return await sight(ports, case, story, like)


async def undisturbed(life: Life, story: Story, act: Act = ask) -> Whole:
    case, steps = await prepared(life, story), Steps()
    async with life(case, steps) as ports:
        await act(ports, case, story)
    after = await seen(life, case, story)
    untouched = await prepared(life, story)
    return Whole(await seen(life, untouched, story, after), after, tuple(steps.names))


async def stopped(
    life: Life, story: Story, whole: Whole, step: int, act: Act = ask, error: type[BaseException] = Crash
) -> Sight:
    """What is found by the next life after one that ended at a step."""
    case, steps = await prepared(life, story), Steps(step, error)
    async with life(case, steps) as ports:
        await steps.ended(act(ports, case, story))
    assert steps.stopped, f"there is no step {step}"
    return await seen(life, case, story, whole.after)
