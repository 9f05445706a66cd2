"""Tokens of a text: who is asked for them, and when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lemonade_like.errors import BadRequest, EngineFailure
from lemonade_like.turns.tokens import TokenizeRequest
from tests.support.fake_llama_server import requests_of
from tests.support.rig import busy_slots, fake_rig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_llama_server import Step
    from tests.support.rig import Rig

IDS: Step = {"status": 200, "body": {"tokens": [5, 6]}}


async def _until_busy(rig: Rig, slots: int) -> None:
    while (engine := rig.pool.glance(rig.model)) is None or await busy_slots(engine) < slots:
        await asyncio.sleep(0.01)


async def test_gpt_oss_is_not_loaded_for_them(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary) as rig:
        ids = await rig.turns.tokenize(TokenizeRequest(rig.model, "Hello there" * 3_000))
        assert await rig.turns.detokenize(rig.model, ids) == "Hello there" * 3_000
        assert rig.pool.loaded() == []


async def test_a_model_whose_slots_are_all_busy_says_them_at_once(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary, [{"hang": True}], [{"hang": True}], [IDS], name="another") as rig:
        turns = [asyncio.create_task(rig.ask()) for _ in range(2)]
        await asyncio.wait_for(_until_busy(rig, 2), 10)
        assert await rig.turns.tokenize(TokenizeRequest(rig.model, "Hi", add_special=True)) == [5, 6]
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)
    last = requests_of(tmp_path / "another.gguf")[-1]

    assert last["path"] == "/tokenize"
    assert last["body"] == {"content": "Hi", "add_special": True, "parse_special": True, "with_pieces": False}


async def test_an_engine_that_dies_over_them_is_started_again(tmp_path: Path, vocabulary: Path) -> None:
    async with fake_rig(tmp_path, vocabulary, [{"exit": 9}], [IDS], name="another") as rig:
        await rig.pool.load(rig.model)
        assert await rig.turns.tokenize(TokenizeRequest(rig.model, "Hi")) == [5, 6]


async def test_ids_that_an_engine_has_not_are_the_clients_mistake(tmp_path: Path, vocabulary: Path) -> None:
    error = {"code": 500, "message": "vector::_M_range_check", "type": "server_error"}
    async with fake_rig(tmp_path, vocabulary, [{"status": 500, "body": {"error": error}}], name="another") as rig:
        with pytest.raises(BadRequest) as caught:
            await rig.turns.detokenize(rig.model, [99])

    assert caught.value.param == "tokens"


async def test_what_else_an_engine_refuses_is_not_blamed_on_ids(tmp_path: Path, vocabulary: Path) -> None:
    error = {"code": 503, "message": "Loading model", "type": "unavailable_error"}
    async with fake_rig(tmp_path, vocabulary, [{"status": 503, "body": {"error": error}}], name="another") as rig:
        with pytest.raises(EngineFailure, match="Loading model"):
            await rig.turns.detokenize(rig.model, [99])
