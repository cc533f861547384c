"""What `StateStore` promises, on SQLite and on PostgreSQL alike."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from fhir_facade.errors import Conflict, FacadeError, Unavailable
from fhir_facade.rows import Append, Put, Remove
from tests.contract.state.specimens import Line, Named, Pair, Specimen

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def specimen(id, **fields):
    return Specimen(id=id, at=NOON, **fields)


async def put(state, *rows):
    await state.write(lambda tx: tx.apply(*(Put(row) for row in rows)))


async def everything(state, row, *order):
    return await state.read(lambda tx: tx.find(row, order=order))


# --- refusals ------------------------------------------------------------------------------------------------


async def test_an_append_with_an_existing_key_is_a_conflict(state):
    await put(state, specimen("a", text="first"))

    with pytest.raises(Conflict):
        await state.write(lambda tx: tx.apply(Append(specimen("a", text="second"))))
    with pytest.raises(Conflict):
        await state.append([specimen("a", text="third")])

    assert await everything(state, Specimen) == [specimen("a", text="first")]


@pytest.mark.parametrize("change", [Append, Put])
async def test_a_unique_index_refuses_a_second_row(state, change):
    await put(state, Named(group="g", order=1, user="ann"))

    with pytest.raises(Conflict):
        await state.write(lambda tx: tx.apply(change(Named(group="g", order=2, user="ann"))))

    assert len(await everything(state, Named)) == 1


async def test_a_change_into_a_unique_index_is_a_conflict(state):
    await put(state, Named(group="g", order=1, user="ann"), Named(group="g", order=2, user="bob"))

    with pytest.raises(Conflict):
        await state.write(lambda tx: tx.change(Named, [("order", "=", 2)], user="ann"))

    assert [row.user for row in await everything(state, Named, "order")] == ["ann", "bob"]


@pytest.mark.parametrize("change", [Append, Put])
async def test_after_a_conflict_the_same_transaction_goes_on(state, change):
    await put(state, Named(group="g", order=1, user="ann"))

    def work(tx):
        with pytest.raises(Conflict):
            tx.apply(change(Named(group="h", order=1, user="ann")))
        with pytest.raises(Conflict):
            tx.apply(Append(Named(group="g", order=1, user="bob")))
        tx.apply(Append(Named(group="h", order=2, user="cyd")))

    await state.write(work)

    assert [row.user for row in await everything(state, Named, "user")] == ["ann", "cyd"]


async def test_the_keys_that_have_a_row_are_told(state):
    await put(state, specimen("a"), specimen("b", text="x"), specimen("c"))

    assert await state.present(Specimen, ["b", "a", "absent"]) == {"a", "b"}
    assert await state.present(Specimen, []) == frozenset()


async def test_more_keys_than_fit_into_a_statement_are_looked_for_too(state):
    ids = [f"{number:03}" for number in range(150)]
    await put(state, *(specimen(id_) for id_ in ids))

    assert await state.present(Specimen, ["absent", *ids]) == set(ids)


async def test_rows_are_taken_once(state):
    await put(state, specimen("a"), specimen("b"), specimen("c"))

    taken = [await state.write(lambda tx: tx.take(Specimen, ["a", "b", "absent"])) for _ in range(2)]

    assert taken == [{"a", "b"}, frozenset()]
    assert await everything(state, Specimen) == [specimen("c")]


def add_all(tx, rows):
    tx.apply(*map(Append, rows))
    return [f"{row.id} is there" for row in rows]


IN_TURN = pytest.mark.parametrize("in_turn", [False, True], ids=["at once", "in turn"])


@IN_TURN
async def test_shared_work_answers_each_caller(state, in_turn):
    rows = [specimen("a"), specimen("b"), specimen("c")]

    answers = await asyncio.gather(*(state.write_shared(add_all, row, in_turn=in_turn) for row in rows))

    assert answers == ["a is there", "b is there", "c is there"]
    assert await everything(state, Specimen, "id") == rows


@IN_TURN
async def test_shared_work_fails_only_the_caller_whose_item_is_refused(state, in_turn):
    await put(state, specimen("b"))

    answers = await asyncio.gather(
        *(state.write_shared(add_all, specimen(name), in_turn=in_turn) for name in "abc"), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [str, Conflict, str]
    assert [row.id for row in await everything(state, Specimen, "id")] == ["a", "b", "c"]


def count_all(tx, items):
    row = tx.get(Specimen, "a")
    tx.apply(Put(msgspec.structs.replace(row, number=row.number + len(items))))
    return [None] * len(items)


async def test_shared_work_in_turn_is_done_also_where_all_meet_on_one_row(state):
    """Each in a transaction of its own, most would be repeated until they gave up."""
    await put(state, specimen("a"))

    await asyncio.gather(*(state.write_shared(count_all, None, in_turn=True) for _ in range(200)))

    (row,) = await everything(state, Specimen)
    assert row.number == 200


async def test_an_exception_undoes_everything_and_reaches_the_caller(state):
    await put(state, specimen("kept"))

    def work(tx):
        tx.apply(Append(specimen("new")), Remove(Specimen, ("kept",)), Append(Line(text="no")))
        tx.change(Specimen, [], number=5)
        raise LookupError("the reason")

    with pytest.raises(LookupError, match="the reason"):
        await state.write(work)

    assert await everything(state, Specimen) == [specimen("kept")]
    assert await everything(state, Line) == []


async def test_a_refused_append_takes_no_row_of_its_own_call_but_leaves_other_callers_alone(state):
    await put(state, specimen("taken"))

    results = await asyncio.gather(
        state.append([specimen("a1"), specimen("a2")]),
        state.append([specimen("b1"), specimen("taken")]),
        state.append([specimen("c1")]),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [type(None), Conflict, type(None)]
    assert [row.id for row in await everything(state, Specimen, "id")] == ["a1", "a2", "c1", "taken"]


@pytest.mark.parametrize("here", [False, True], ids=["elsewhere", "here"])
async def test_a_read_cannot_write(state, here):
    with pytest.raises(Unavailable):
        await state.read(lambda tx: tx.apply(Put(specimen("a"))), here=here)

    assert await everything(state, Specimen) == []


async def test_a_read_in_the_callers_thread_sees_what_was_committed_before_it(state):
    for number in range(3):
        await put(state, specimen("a", number=number))

        assert await state.read(lambda tx: tx.get(Specimen, "a").number, here=True) == number


async def test_a_moment_without_zone_is_refused(state):
    with pytest.raises(TypeError):
        await put(state, Specimen(id="a", at=datetime(2026, 1, 1)))  # noqa: DTZ001 - the point of the test


async def test_an_error_never_repeats_the_values_of_a_row(state):
    secret = "s3cret"
    await put(state, Named(group=secret, order=1, user=secret))

    with pytest.raises(FacadeError) as refused:
        await state.append([Named(group=secret, order=1, user=secret)])

    assert secret not in str(refused.value)


# --- reading -------------------------------------------------------------------------------------------------


async def test_get_finds_by_the_whole_key(state):
    row = Named(group="g", order=2, user="ann", used_at=NOON)
    await put(state, row)

    assert await state.read(lambda tx: tx.get(Named, "g", 2)) == row
    assert await state.read(lambda tx: tx.get(Named, "g", 3)) is None


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (("number", "=", 2), ["b"]),
        (("number", "!=", 2), ["a", "c"]),
        (("number", "<", 2), ["a"]),
        (("number", "<=", 2), ["a", "b"]),
        (("number", ">", 2), ["c"]),
        (("number", ">=", 2), ["b", "c"]),
        (("number", "in", (1, 3, 7)), ["a", "c"]),
        (("number", "in", ()), []),
        (("at", ">", NOON - timedelta(microseconds=1)), ["a", "b", "c"]),
        (("at", ">", NOON), []),
        (("flag", "=", True), ["b"]),
        (("blob", "=", b"\0\xff"), ["c"]),
        (("words", "=", ("x", "y")), ["a"]),
        (("maybe_text", "=", None), ["a", "c"]),
        (("maybe_text", "!=", None), ["b"]),
        (("maybe_text", "!=", "other"), ["a", "b", "c"]),
        (("maybe_text", "!=", "text"), ["a", "c"]),
        (("maybe_number", ">", 0), ["c"]),
    ],
    ids=str,
)
async def test_conditions_choose_rows(state, condition, found):
    await put(
        state,
        specimen("a", number=1, words=("x", "y")),
        specimen("b", number=2, maybe_text="text", flag=True),
        specimen("c", number=3, blob=b"\0\xff", maybe_number=1),
    )

    rows, count = await state.read(
        lambda tx: (tx.find(Specimen, condition, order=("id",)), tx.count(Specimen, condition))
    )

    assert [row.id for row in rows] == found
    assert count == len(found)


async def test_all_conditions_must_hold(state):
    await put(state, specimen("a", number=1, text="x"), specimen("b", number=1, text="y"))

    rows = await state.read(lambda tx: tx.find(Specimen, ("number", "=", 1), ("text", "=", "y")))

    assert [row.id for row in rows] == ["b"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (("text",), ["B", "a", "z", "ä"]),
        (("-text",), ["ä", "z", "a", "B"]),
        (("maybe_number", "id"), ["a", "ä", "z", "B"]),
        (("-maybe_number", "id"), ["B", "z", "a", "ä"]),
        (("number",), ["B", "a", "z", "ä"]),
        (("-number",), ["ä", "z", "a", "B"]),
    ],
    ids=str,
)
async def test_order_is_by_bytes_absent_first_and_equal_rows_by_key(state, order, expected):
    numbers = {"B": 2, "z": 1}
    await put(state, *(specimen(name, text=name, maybe_number=numbers.get(name)) for name in ("z", "ä", "a", "B")))

    assert [row.id for row in await everything(state, Specimen, *order)] == expected


async def test_a_limit_cuts_after_the_order(state):
    await put(state, *(specimen(name) for name in "bdac"))

    rows = await state.read(lambda tx: tx.find(Specimen, order=("-id",), limit=2))

    assert [row.id for row in rows] == ["d", "c"]


async def test_a_transaction_sees_its_own_changes(state):
    def work(tx):
        tx.apply(Append(specimen("a", number=1)))
        seen = [tx.get(Specimen, "a").number]
        tx.change(Specimen, [("id", "=", "a")], number=2)
        seen.append(tx.get(Specimen, "a").number)
        tx.apply(Remove(Specimen, ("a",)))
        return [*seen, tx.get(Specimen, "a"), tx.count(Specimen)]

    assert await state.write(work) == [1, 2, None, 0]


# --- changing ------------------------------------------------------------------------------------------------


async def test_put_inserts_and_replaces(state):
    await put(state, specimen("a", text="one", maybe_text="gone"), Pair(left="l", right="r"))
    await put(state, specimen("a", text="two"), Pair(left="l", right="r"))

    assert await everything(state, Specimen) == [specimen("a", text="two")]
    assert await everything(state, Pair) == [Pair(left="l", right="r")]


async def test_removing_what_is_absent_is_fine(state):
    await state.write(lambda tx: tx.apply(Remove(Specimen, ("never",)), Remove(Named, ("g", 1))))

    assert await everything(state, Specimen) == []


async def test_change_returns_the_rows_as_they_are_now(state):
    await put(state, specimen("a", number=1), specimen("b", number=1), specimen("c", number=2))

    changed = await state.write(
        lambda tx: tx.change(Specimen, [("number", "=", 1)], maybe_at=NOON, words=("w",), maybe_text=None)
    )

    assert sorted(row.id for row in changed) == ["a", "b"]
    assert all(row.maybe_at == NOON and row.words == ("w",) for row in changed)


async def test_of_eight_parallel_callers_exactly_one_uses_a_code(state):
    await put(state, Named(group="code", order=1, user="ann"))

    def use(tx):
        unused = [("group", "=", "code"), ("order", "=", 1), ("used_at", "=", None)]
        return tx.change(Named, unused, used_at=NOON)

    results = await asyncio.gather(*(state.write(use) for _ in range(8)))

    assert sorted(len(result) for result in results) == [0, 0, 0, 0, 0, 0, 0, 1]


async def test_no_increment_of_parallel_callers_is_lost(state):
    await put(state, specimen("counter"))

    def increment(tx):
        tx.change(Specimen, [("id", "=", "counter")], number=tx.get(Specimen, "counter").number + 1)

    await asyncio.gather(*(state.write(increment) for _ in range(8)))

    assert (await everything(state, Specimen))[0].number == 8


async def test_a_rule_over_several_rows_holds_under_parallel_callers(state):
    """Write skew: each caller may take a place only while fewer than two are taken."""

    def take(number):
        def work(tx):
            if tx.count(Line) < 2:
                tx.apply(Append(Line(text=str(number))))

        return work

    await asyncio.gather(*(state.write(take(number)) for number in range(6)))

    assert len(await everything(state, Line)) == 2


# --- numbered rows -------------------------------------------------------------------------------------------


async def test_appended_rows_are_numbered_in_order(state):
    await state.append([Line(text="a"), Line(text="b")])
    await state.append([Line(text="c")])
    await state.write(lambda tx: tx.apply(Append(Line(text="d")), Put(Line(text="e"))))

    lines = await everything(state, Line, "id")
    appended = [line.text for line in lines if line.text in "abc"]
    written = [line.text for line in lines if line.text in "de"]

    assert (appended, written, len(lines)) == (["a", "b", "c"], ["d", "e"], 5)
    assert all(line.id > 0 for line in lines)


async def test_a_number_is_never_used_twice(state):
    await state.append([Line(text="first")])
    (first,) = await everything(state, Line)
    await state.write(lambda tx: tx.apply(Remove(Line, (first.id,))))
    await state.append([Line(text="second")])

    (second,) = await everything(state, Line)

    assert second.id > first.id


async def test_a_numbered_row_can_be_replaced_by_its_number(state):
    await state.append([Line(text="draft")])
    (line,) = await everything(state, Line)

    await put(state, Line(text="final", id=line.id))

    assert await everything(state, Line) == [Line(text="final", id=line.id)]


async def test_a_reader_that_follows_the_numbers_misses_no_row(state):
    seen, writing = [Line(text="")], True

    async def follow():
        while True:
            done = not writing
            lines = await state.read(lambda tx: tx.find(Line, ("id", ">", seen[-1].id), order=("id",)))
            seen.extend(lines)
            if done and not lines:
                return

    async def write(caller):
        for number in range(10):
            if caller % 2:
                await state.append([Line(text=f"{caller}-{number}")])
            else:
                await state.write(lambda tx, number=number: tx.apply(Append(Line(text=f"{caller}-{number}"))))

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(caller) for caller in range(8)))
    writing = False
    await following

    assert sorted(line.text for line in seen[1:]) == sorted(
        f"{caller}-{number}" for caller in range(8) for number in range(10)
    )


async def test_appending_nothing_and_several_tables_at_once_works(state):
    await state.append([])
    await state.append([Line(text="x"), specimen("a"), Line(text="y")])

    assert [line.text for line in await everything(state, Line, "id")] == ["x", "y"]
    assert await everything(state, Specimen) == [specimen("a")]


async def test_ping_answers(state):
    await state.ping()
