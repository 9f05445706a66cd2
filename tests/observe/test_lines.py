"""Reading the log as it is written."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from lemonade_like.observe.context import request_id_var
from lemonade_like.observe.lines import LONGEST, Batch, LogLines

LOGGER = logging.getLogger("lemonade_like.tests")


@pytest.fixture
def lines() -> Iterator[LogLines]:
    LOGGER.setLevel(logging.DEBUG)
    lines = LogLines(kept=5)
    lines.open()
    yield lines
    lines.close()
    LOGGER.setLevel(logging.NOTSET)


def said(batch: Batch) -> list[str]:
    return [entry["message"] for entry in batch.entries]


async def test_the_last_lines_come_first_and_then_those_that_follow(lines: LogLines) -> None:
    for number in range(4):
        LOGGER.info("line %d", number)
    async with aclosing(lines.read(2)) as batches:
        assert said(await anext(batches)) == ["line 2", "line 3"]
        LOGGER.info("new")
        assert said(await anext(batches)) == ["new"]


@pytest.mark.parametrize(("tail", "expected"), [(0, []), (1, ["b"]), (9, ["a", "b"])])
async def test_as_many_come_first_as_are_wanted_and_there(lines: LogLines, tail: int, expected: list[str]) -> None:
    LOGGER.info("a")
    LOGGER.info("b")
    async with aclosing(lines.read(tail)) as batches:
        assert said(await anext(batches)) == expected


async def test_only_the_level_asked_for_and_worse_is_read(lines: LogLines) -> None:
    LOGGER.info("before")
    LOGGER.error("bad before")
    async with aclosing(lines.read(level=logging.WARNING)) as batches:
        assert said(await anext(batches)) == ["bad before"]
        LOGGER.info("now")
        LOGGER.warning("bad now")
        assert said(await anext(batches)) == ["bad now"]


async def test_a_line_tells_its_request_its_facts_and_its_traceback(lines: LogLines) -> None:
    token = request_id_var.set("req_1")
    try:
        raise ValueError("why")
    except ValueError:
        LOGGER.exception("failed", extra={"facts": {"status": 500, "message": "forged"}})
    finally:
        request_id_var.reset(token)
    async with aclosing(lines.read(1)) as batches:
        (entry,) = (await anext(batches)).entries
    assert (entry["level"], entry["logger"], entry["message"]) == ("error", "lemonade_like.tests", "failed")
    assert (entry["request_id"], entry["status"]) == ("req_1", 500)
    assert entry["exception"].endswith("ValueError: why")


async def test_of_what_is_very_long_the_beginning_is_kept_and_how_much_is_missing(lines: LogLines) -> None:
    text = "x" * (LONGEST + 7)
    try:
        raise ValueError(text)
    except ValueError:
        LOGGER.exception(text)
    LOGGER.info("y" * LONGEST)
    async with aclosing(lines.read(2)) as batches:
        long, whole = (await anext(batches)).entries
    assert long["message"] == "x" * LONGEST + "… (7 more characters are in the log itself)"
    assert long["exception"].startswith("Traceback") and long["exception"].endswith("are in the log itself)")
    assert len(long["exception"]) < LONGEST + 100
    assert whole["message"] == "y" * LONGEST


async def test_a_reader_that_is_too_slow_loses_the_oldest_and_is_told_how_many(lines: LogLines) -> None:
    async with aclosing(lines.read(0)) as batches:
        await anext(batches)
        for number in range(8):
            LOGGER.info("line %d", number)
        batch = await anext(batches)
        assert (batch.dropped, said(batch)) == (3, [f"line {number}" for number in range(3, 8)])
        LOGGER.info("after")
        batch = await anext(batches)
        assert (batch.dropped, said(batch)) == (0, ["after"])


async def test_lines_of_other_threads_are_read_too(lines: LogLines) -> None:
    async with aclosing(lines.read(0)) as batches:
        await anext(batches)
        coming = asyncio.ensure_future(anext(batches))
        thread = threading.Thread(target=LOGGER.info, args=("from afar",))
        thread.start()
        assert said(await coming) == ["from afar"]
        thread.join()


async def test_readers_get_what_is_left_and_then_their_end(lines: LogLines) -> None:
    async with aclosing(lines.read(0)) as batches:
        await anext(batches)
        LOGGER.info("last")
        lines.end()
        assert [said(batch) async for batch in batches] == [["last"]]
    assert not lines._readers


async def test_a_reader_that_leaves_is_forgotten(lines: LogLines) -> None:
    async with aclosing(lines.read(0)) as batches:
        await anext(batches)
        assert len(lines._readers) == 1
    assert not lines._readers


def test_a_handler_that_is_closed_takes_nothing(lines: LogLines) -> None:
    lines.close()
    LOGGER.info("late")
    assert not lines._lines
    assert lines not in logging.getLogger().handlers
