"""Engines that are killed or stopped in the middle of a batch of embeddings."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.engine.client import EngineClient
from tests.support.faults import FaultyServer, faulty_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to stop or kill with")

NAME = "tiny-bert-embed"
TEXTS = [f"text number {number}" for number in range(40)]


async def _vectors(server: FaultyServer) -> list[list[float]]:
    answer = await server.client.embeddings.create(model=NAME, input=TEXTS)
    return [each.embedding for each in answer.data]


@pytest.mark.parametrize("sent", ["SIGKILL", "SIGSTOP"])
async def test_a_batch_survives_its_engine(
    sent: str, cache_dir: Path, vector_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(vector_models[NAME])
    # Without flash attention, which would move the numbers by what is read at the same time.
    arguments = "--threads 1 --flash-attn off"
    async with faulty_server(cache_dir, models=(model,), llamacpp_args=arguments, watchdog_timeout=1) as server:
        expected = await _vectors(server)
        before = server.pids()
        asked = 0
        ask = EngineClient.embeddings

        async def embeddings(client: EngineClient, payload: dict[str, Any]) -> dict[str, Any]:
            nonlocal asked
            asked += 1
            if asked == 20:
                os.kill(before[0], getattr(signal, sent))
            return await ask(client, payload)

        monkeypatch.setattr(EngineClient, "embeddings", embeddings)
        found = await _vectors(server)

        assert server.pids() != before
        # What was under way when it died was asked again: one text for each slot, and nothing else.
        assert len(TEXTS) < asked <= len(TEXTS) + 2
        for vector, same in zip(found, expected, strict=True):
            assert vector == pytest.approx(same, abs=1e-4)
