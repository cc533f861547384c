"""When a log line is written, and what is in it."""

import asyncio
import io
import json
import logging

import pytest

from fhir_facade.adapters.logs import JsonLines, TurnHandler


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def logger(stream):
    handler = TurnHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.Logger("test", logging.INFO)
    logger.addHandler(handler)
    return logger


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_outside_of_an_event_loop_a_line_is_written_at_once(logger, stream):
    logger.info("a.thing", extra={"number": 3})

    (line,) = lines(stream)
    assert (line["event"], line["number"], line["level"]) == ("a.thing", 3, "info")


async def test_the_lines_of_one_turn_are_written_together_when_it_ends(logger, stream):
    logger.info("first")
    logger.info("second")
    assert stream.getvalue() == ""

    await asyncio.sleep(0)

    assert [line["event"] for line in lines(stream)] == ["first", "second"]


async def test_a_warning_is_written_at_once_with_what_waits(logger, stream):
    logger.info("first")
    logger.warning("second")

    assert [line["event"] for line in lines(stream)] == ["first", "second"]


async def test_lines_that_wait_are_written_when_logging_ends(logger, stream):
    logger.info("last")

    for handler in logger.handlers:
        handler.flush()

    assert [line["event"] for line in lines(stream)] == ["last"]
