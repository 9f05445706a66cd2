"""What the engine's tests share: a session, a real engine with a real model, and fake ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lemonade_like.engine.find import bundled_command
from lemonade_like.engine.process import EngineProcess
from lemonade_like.engine.spec import EngineSpec
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, Step, write_scenario

StartFake = Callable[..., Awaitable[EngineProcess]]


#: One thread: two that share a busy core wait for each other for most of the time.
QUICK = ("--no-warmup", "--threads", "1")


def spec_for(model: Path, command: tuple[str, ...], **more: Any) -> EngineSpec:
    """An engine with small defaults."""
    values = {"backend": "system", "alias": "a-model", "ctx_size": 1024, "parallel": 2, "jinja": False, **more}
    return EngineSpec(command=command, model_path=model, **values)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


@pytest.fixture(scope="session")
async def real_engine(smollm: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EngineProcess]:
    """The bundled engine with two slots of 512 tokens."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        engine = await EngineProcess.start(
            spec_for(smollm, bundled_command(), backend="bundled", jinja=True, extra_args=QUICK),
            log_dir=tmp_path_factory.mktemp("logs"),
            session=session,
        )
        yield engine
        await engine.stop()


@pytest.fixture
async def start_fake(tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[StartFake]:
    """Starts fake engines that replay the given replies; stops them all afterwards."""
    engines: list[EngineProcess] = []

    async def start(*replies: list[Step], watchdog_timeout: float | None = None, **scenario: Any) -> EngineProcess:
        path = write_scenario(tmp_path / f"scenario-{len(engines)}.json", *replies, **scenario)
        spec = spec_for(path, (str(FAKE_LLAMA_SERVER),))
        engine = await EngineProcess.start(
            spec, log_dir=tmp_path / "logs", session=session, watchdog_timeout=watchdog_timeout
        )
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        await engine.stop(grace=0)
