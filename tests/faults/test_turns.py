"""Turns whose engine is really killed: what the client gets is what it would have got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.faults import FaultyServer, after, faulty_server
from tests.support.tools import WEATHER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def server(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FaultyServer]:
    async with faulty_server(cache_dir, monkeypatch) as server:
        yield server


def _says(text: str) -> Any:
    return [{"role": "user", "content": text}]


ANSWER: Any = {"messages": _says("What is the capital of France?")}
CALL: Any = {"messages": _says("What is the weather in Tokyo?"), "tools": [WEATHER]}
SONG: Any = {"messages": _says("Sing forever"), "max_tokens": 120}


@pytest.mark.parametrize(
    ("request_", "place"),
    [
        pytest.param(ANSWER, after("I do not"), id="mid-reasoning"),
        pytest.param(ANSWER, after("<|channel|>fin"), id="mid-header"),
        pytest.param(ANSWER, after("a very small"), id="mid-answer"),
        pytest.param(CALL, after('{"loc'), id="mid-arguments"),
        pytest.param(SONG, after("🍋"), id="after an emoji whose ids were never sent"),
    ],
)
async def test_a_turn_survives_the_death_of_its_engine(server: FaultyServer, request_: Any, place: Any) -> None:
    expected = await server.ask(stream=False, **request_)
    for stream in (True, False):
        server.reaper.places = [place]
        survived = await server.ask(stream=stream, **request_)

        assert survived == expected
        assert survived.usage == expected.usage
    assert server.reaper.kills == 2
