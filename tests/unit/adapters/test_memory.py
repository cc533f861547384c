"""What a process remembers, and for how long."""

import asyncio
import gc
import os
import weakref

import pytest

from fhir_facade.adapters.memory import Marks, ProcessMemory


class Ticking:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


async def test_a_failure_is_not_remembered():
    memory = ProcessMemory()
    answers = iter([ValueError("no"), 2])

    async def make():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ValueError, match="no"):
        await memory.recall(("k",), for_s=10, make=make)
    assert await memory.recall(("k",), for_s=10, make=make) == 2


async def test_what_ended_is_not_kept():
    clock = Ticking()
    memory, made = ProcessMemory(clock), weakref.WeakSet()

    class Answer:
        pass

    async def make():
        answer = Answer()
        made.add(answer)
        return answer

    for number in range(2000):
        clock.now += 0.1
        await memory.recall(("k", number), for_s=1, make=make)
    gc.collect()

    assert len(made) <= 300


async def test_callers_at_the_same_time_share_one_question():
    memory, asked = ProcessMemory(), []

    async def make():
        asked.append(1)
        await asyncio.sleep(0)
        return len(asked)

    assert await asyncio.gather(*(memory.recall(("k",), for_s=10, make=make) for _ in range(5))) == [1] * 5


async def test_an_answer_ends_with_its_time_or_when_forgotten():
    clock = Ticking()
    memory, asked = ProcessMemory(clock), []

    async def make():
        asked.append(1)
        return len(asked)

    assert await memory.recall(("a", 1), for_s=5, make=make) == 1
    clock.now = 6
    assert await memory.recall(("a", 1), for_s=5, make=make) == 2
    memory.forget("b")
    assert await memory.recall(("a", 1), for_s=5, make=make) == 2
    memory.forget("a")
    assert await memory.recall(("a", 1), for_s=5, make=make) == 3


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_what_one_process_forgets_is_forgotten_in_all():
    marks = Marks(2)
    there, asked = ProcessMemory(marks=marks), []

    async def make():
        asked.append(1)
        return len(asked)

    await there.recall(("k",), for_s=10, make=make)
    child = os.fork()
    if child == 0:
        marks.mine(1)
        ProcessMemory(marks=marks).forget("k")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

    assert await there.recall(("k",), for_s=10, make=make) == 2
    assert await there.recall(("k",), for_s=10, make=make) == 2
