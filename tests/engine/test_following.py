"""Reading along in an engine's log."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest

from lemonade_like.engine.following import follow


class Engine:
    """What is written, and whether it still runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ended = False
        self.path.write_bytes(b"one\ntwo\nthree\n")

    def write(self, piece: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(piece)

    def over(self) -> bool:
        return self.ended


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path / "m-1.log")


@pytest.mark.parametrize(("tail", "expected"), [(0, []), (2, ["two", "three"]), (9, ["one", "two", "three"])])
async def test_the_last_lines_come_first(engine: Engine, tail: int, expected: list[str]) -> None:
    async with aclosing(follow(engine.path, tail, engine.over)) as batches:
        assert await anext(batches) == expected


async def test_a_line_comes_when_it_is_whole_and_all_come_before_the_end(engine: Engine) -> None:
    async with aclosing(follow(engine.path, 0, engine.over)) as batches:
        await anext(batches)
        engine.write("fo\nfü".encode()[:-1])
        assert await anext(batches) == ["fo"]
        engine.write("ü".encode()[1:] + b"nf\r\nunfinished")
        engine.ended = True
        assert [batch async for batch in batches] == [["fünf"]]


async def test_a_file_that_is_begun_anew_is_read_from_its_beginning(engine: Engine) -> None:
    async with aclosing(follow(engine.path, 1, engine.over)) as batches:
        await anext(batches)
        engine.path.write_bytes(b"anew\n")
        assert await anext(batches) == ["anew"]


async def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        await anext(follow(tmp_path / "gone", 1, lambda: True))
