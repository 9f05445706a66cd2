"""Turns over a real pool, with whatever engine a test asks for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx

from lemonade_like.harmony.messages import ChatMessage, TextPart
from lemonade_like.models.registry import Registry
from lemonade_like.pool.limits import PoolLimits
from lemonade_like.pool.loader import Loader
from lemonade_like.pool.pool import Pool
from lemonade_like.settings import Settings
from lemonade_like.turns.events import ContentDelta, Event, Finish, ReasoningDelta
from lemonade_like.turns.formats import HarmonyFormat, HarmonyFormats
from lemonade_like.turns.request import CompletionRequest, TurnRequest
from lemonade_like.turns.service import TurnOptions, Turns
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, write_scenario

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from lemonade_like.engine.client import EngineClient
    from tests.support.fake_llama_server import Step

DATE = date(2026, 7, 1)


@dataclass
class Rig:
    """The rooms from turns down. ``model`` is the name of the model that was given."""

    turns: Turns
    pool: Pool[HarmonyFormat]
    model: str

    async def ask(self, text: str = "Hello", **more: Any) -> list[Event]:
        """All events of one turn."""
        return [event async for batch in self.turns.run(self.request(text, **more)) for event in batch]

    async def complete(self, prompt: str | tuple[int, ...] = "Hello", **more: Any) -> list[Event]:
        """All events of one raw completion."""
        request = CompletionRequest(self.model, prompt, **more)
        return [event async for batch in self.turns.complete(request) for event in batch]

    def request(self, text: str = "Hello", **more: Any) -> TurnRequest:
        """A request with one user message."""
        return TurnRequest(self.model, more.pop("messages", (ChatMessage("user", (TextPart(text),)),)), **more)


def content(events: Sequence[Event]) -> str:
    """The visible answer."""
    return "".join(event.text for event in events if isinstance(event, ContentDelta))


def reasoning(events: Sequence[Event]) -> str:
    """The reasoning."""
    return "".join(event.text for event in events if isinstance(event, ReasoningDelta))


def finish(events: Sequence[Event]) -> Finish:
    """The last event."""
    last = events[-1]
    assert isinstance(last, Finish)
    return last


async def busy_slots(engine: EngineClient) -> int:
    """How many turns the engine is working on."""
    async with httpx.AsyncClient(headers=engine._headers) as client:
        slots = (await client.get(f"{engine.base_url}/slots")).json()
    return sum(slot["is_processing"] for slot in slots)


@asynccontextmanager
async def rig(model: Path, vocabulary: Path, folder: Path, **settings: Any) -> AsyncIterator[Rig]:
    """A pool with one model; all engines are stopped at the end."""
    chosen = Settings(models=(str(model),), cache_dir=folder, **settings)
    registry = Registry.from_settings(chosen)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        loader = Loader(registry, chosen, session, HarmonyFormats(lambda _: vocabulary))
        pool = Pool(registry, loader, PoolLimits.from_settings(chosen))
        try:
            yield Rig(Turns(pool, TurnOptions(today=lambda: DATE)), pool, model.stem)
        finally:
            await pool.close()


@asynccontextmanager
async def fake_rig(
    folder: Path, vocabulary: Path, *replies: Sequence[Step], name: str = "gpt-oss-fake", load: Sequence[Step] = ()
) -> AsyncIterator[Rig]:
    """A pool whose engine is the fake, which replays ``replies``."""
    scenario = write_scenario(folder / f"{name}.gguf", *replies, load=load)
    async with rig(scenario, vocabulary, folder, llama_server=str(FAKE_LLAMA_SERVER), parallel=2) as one:
        yield one
