"""The pool's own rules, with a loader that records what is asked of it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from lemonade_like.engine.client import EngineConnectionLost
from lemonade_like.errors import EngineFailure, EngineUnavailable, ModelNotFound
from lemonade_like.models.registry import Registry
from lemonade_like.observe.context import request_id_var
from lemonade_like.pool.modes import WrongMode
from tests.support.pools import RecordingLoader, borrow, recorded_pool


@pytest.fixture
def loader() -> RecordingLoader:
    return RecordingLoader()


async def test_one_load_is_for_all_who_ask(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool:
        waiting = [asyncio.create_task(borrow(pool, name)) for name in ("m", "M", "m")]
        await loader.begun.wait()
        assert pool.loading() == ["m"]
        loader.go.set()
        assert {id(engine) for engine in await asyncio.gather(*waiting)} == {id(loader.engines[0])}
        assert await borrow(pool) is loader.engines[0]
        assert pool.loading() == []
    assert loader.loads == ["m"]
    assert loader.engines[0].stops == 1


async def test_the_first_who_waits_may_go_away_without_stopping_the_load(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool:
        first = asyncio.create_task(borrow(pool))
        await loader.begun.wait()
        second = asyncio.create_task(borrow(pool))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        loader.go.set()
        assert await second is loader.engines[0]
    assert (loader.loads, loader.cancelled) == (["m"], 0)


async def test_closing_stops_a_load_and_tells_those_who_wait(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool:
        waiting = [asyncio.create_task(borrow(pool)) for _ in range(2)]
        await loader.begun.wait()
        await pool.close()
        for each in waiting:
            with pytest.raises(EngineUnavailable, match="shutting down"):
                await each
        with pytest.raises(EngineUnavailable):
            await borrow(pool)
    assert (loader.cancelled, loader.engines) == (1, [])


async def test_who_is_cancelled_while_it_waits_is_not_told_of_a_shutdown(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool:
        waiting = asyncio.create_task(borrow(pool))
        await loader.begun.wait()
        waiting.cancel()
        await pool.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_a_failure_is_told_to_all_who_wait_and_the_next_request_tries_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loader = RecordingLoader(EngineFailure("no room"))
    async with recorded_pool(loader) as pool:
        waiting = [asyncio.create_task(borrow(pool)) for _ in range(3)]
        await loader.begun.wait()
        loader.go.set()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(error) for error in ended] == ["no room"] * 3
        assert pool.loaded() == []
        assert await borrow(pool) is loader.engines[0]
    assert loader.loads == ["m", "m"]
    assert "m could not be loaded: no room" in caplog.text


async def test_an_engine_that_dies_is_loaded_again_by_the_next_request(
    loader: RecordingLoader, caplog: pytest.LogCaptureFixture
) -> None:
    loader.go.set()
    async with recorded_pool(loader) as pool:
        async with pool.lease("m") as lease:
            died = loader.engines[0]
            died.die()
            await lease.lost()
            failure = lease.explain(EngineConnectionLost("it broke"))
        assert "died in the middle of the turn (exited with code 3)" in failure.message
        # What it printed may be of others' turns: it is in the log, below.
        assert "out of memory" not in failure.message
        assert pool.loaded() == []
        assert await borrow(pool) is loader.engines[1]
        assert [model.pid for model in pool.loaded()] == [loader.engines[1].pid]
    assert loader.loads == ["m", "m"]
    assert (died.stops, loader.engines[1].stops) == (0, 1)
    assert "the engine of m died (exited with code 3); its last lines:\nout of memory" in caplog.text


async def test_an_engine_that_only_broke_off_tells_the_log_what_it_printed_and_not_the_client(
    loader: RecordingLoader, caplog: pytest.LogCaptureFixture
) -> None:
    loader.go.set()
    async with recorded_pool(loader) as pool, pool.lease("m") as lease:
        failure = lease.explain(EngineConnectionLost("it broke"))
    assert "broke off in the middle of the turn (it broke)" in failure.message
    assert "out of memory" not in failure.message
    assert "the engine of m broke off (it broke); its last lines:\nout of memory" in caplog.text


async def test_an_engine_whose_last_words_are_still_being_read_is_lent_to_nobody(loader: RecordingLoader) -> None:
    loader.go.set()
    async with recorded_pool(loader) as pool:
        died = await borrow(pool)
        died.dead = True
        assert await borrow(pool) is loader.engines[1]
        died.exited.set()
        await asyncio.sleep(0)
        assert await borrow(pool) is loader.engines[1]
    assert loader.engines[1].stops == 1


async def test_what_is_logged_of_a_load_belongs_to_no_request() -> None:
    seen: list[str | None] = []

    class Ids(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(request_id_var.get())

    handler, logger = Ids(), logging.getLogger("lemonade_like.pool")
    logger.addHandler(handler)
    token = request_id_var.set("req_mine")
    loader = RecordingLoader(EngineFailure("no room"))
    loader.go.set()
    try:
        async with recorded_pool(loader) as pool:
            with pytest.raises(EngineFailure):
                await borrow(pool)
    finally:
        request_id_var.reset(token)
        logger.removeHandler(handler)
    assert loader.request_ids == [None]
    assert seen == [None]


async def test_an_unknown_model_is_refused_at_once(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool:
        with pytest.raises(ModelNotFound):
            await borrow(pool, "nobody")
    assert loader.loads == []


async def test_the_disk_is_touched_only_to_load(loader: RecordingLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    placed = Registry._placed
    monkeypatch.setattr(Registry, "_placed", lambda self, model: reads.append(model.name) or placed(self, model))
    loader.go.set()
    async with recorded_pool(loader) as pool:
        for _ in range(3):
            await borrow(pool)
    assert reads == ["m"]


async def test_a_spare_slot_is_lent_at_once_or_not_at_all(loader: RecordingLoader) -> None:
    loader.go.set()
    loader.slots = 2
    async with recorded_pool(loader) as pool:
        assert pool.spare_slots("m") == 0  # nothing is loaded for it
        async with pool.lease("m"):
            assert pool.spare_slots("m") == 1
            async with pool.spare_lease("m") as spare, pool.spare_lease("m") as none:
                assert spare is not None
                assert none is None
                waiting = asyncio.create_task(borrow(pool))
                await asyncio.sleep(0)
            # The slot that came free went to whoever waited.
            assert await waiting is loader.engines[0]
            async with pool.spare_lease("m") as spare:
                assert spare is not None
            drain = asyncio.create_task(pool.drain())
            await asyncio.sleep(0)
            assert pool.spare_slots("m") == 0
        await drain


async def test_what_a_model_is_for_is_known_without_loading_it(loader: RecordingLoader) -> None:
    async with recorded_pool(loader) as pool:
        await pool.require_mode("M", "chat")
        with pytest.raises(WrongMode, match="m is a chat model and makes no embeddings"):
            await pool.require_mode("m", "embeddings")
        with pytest.raises(ModelNotFound):
            await pool.require_mode("nobody", "chat")
        assert pool.loading() == []


async def test_of_a_model_that_runs_it_is_known_what_its_engine_was_started_for(loader: RecordingLoader) -> None:
    loader.go.set()
    async with recorded_pool(loader) as pool:
        engine = await borrow(pool)
        engine.spec = replace(engine.spec, mode="reranking")
        await pool.require_mode("m", "reranking")
        with pytest.raises(WrongMode, match="m is a reranking model and does not chat"):
            await pool.require_mode("m", "chat")
