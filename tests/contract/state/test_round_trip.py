"""Every value that a row may have comes back as it was, on both databases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_facade.rows import Put
from tests.contract.state.specimens import Specimen

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
numbers = st.integers(-(2**63), 2**63 - 1)
moments = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001 - Hypothesis adds the zone
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
words = st.lists(texts).map(tuple)
specimens = st.builds(
    Specimen,
    id=texts,
    text=texts,
    number=numbers,
    flag=st.booleans(),
    blob=st.binary(),
    at=moments,
    words=words,
    maybe_text=st.none() | texts,
    maybe_number=st.none() | numbers,
    maybe_flag=st.none() | st.booleans(),
    maybe_blob=st.none() | st.binary(),
    maybe_at=st.none() | moments,
    maybe_words=st.none() | words,
)


async def stored(state, row):
    await state.write(lambda tx: tx.apply(Put(row)))
    return await state.read(lambda tx: tx.get(Specimen, row.id))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=specimens)
async def test_a_row_comes_back_as_it_was(state, row):
    back = await stored(state, row)

    assert back == row
    assert [type(getattr(back, field)) for field in back.__struct_fields__] == [
        type(getattr(row, field)) for field in row.__struct_fields__
    ]


@pytest.mark.parametrize("bad", ["a\0b", "a\ud800b", "a\udfff\0"], ids=["NUL", "surrogate", "both"])
async def test_what_a_database_refuses_in_text_becomes_the_replacement_character(state, bad):
    """What a stranger sends must never keep the audit from being written."""
    back = await stored(state, Specimen(id="x", at=datetime(2026, 1, 1, tzinfo=UTC), text=bad, words=(bad,)))

    clean = "".join("�" if character == "\0" or "\ud800" <= character <= "\udfff" else character for character in bad)
    assert (back.text, back.words) == (clean, (clean,))


async def test_a_moment_comes_back_in_utc(state):
    moment = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))

    back = await stored(state, Specimen(id="x", at=moment))

    assert back.at == moment
    assert back.at.tzinfo is UTC
