"""Vectors over a real pool, with whatever engine a test asks for."""

from __future__ import annotations

import asyncio
import base64
import math
import struct
from array import array
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx

from lemonade_like.models.registry import Model, Registry
from lemonade_like.pool.limits import PoolLimits
from lemonade_like.pool.loader import Loader
from lemonade_like.pool.pool import Pool
from lemonade_like.settings import Settings
from lemonade_like.vectors.request import Embeddings, EmbeddingsRequest, Ranking
from lemonade_like.vectors.service import Vectors
from tests.support.pools import NoFormats
from tests.support.server import serving
from tests.support.turns import client_of, scripted_app, scripted_services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from fastapi import FastAPI

    from lemonade_like.vectors.request import Input, RerankRequest
    from tests.support.fake_llama_server import Step


@dataclass
class VectorRig:
    """The rooms from vectors down."""

    vectors: Vectors
    pool: Pool[None]

    async def embed(self, model: str, *inputs: Input, dimensions: int | None = None) -> Embeddings:
        """Their vectors."""
        return await self.vectors.embed(EmbeddingsRequest(model, inputs, dimensions))


@asynccontextmanager
async def vector_rig(folder: Path, *models: Model, **settings: Any) -> AsyncIterator[VectorRig]:
    """A pool with these models; all engines are stopped at the end."""
    chosen = Settings(**{"cache_dir": folder, "llamacpp_args": "--threads 1", **settings})
    registry = Registry(models, cache_dir=folder)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        loader = Loader(registry, chosen, session, NoFormats())
        pool: Pool[None] = Pool(registry, loader, PoolLimits.from_settings(chosen))
        try:
            yield VectorRig(Vectors(pool), pool)
        finally:
            await pool.close()


def packed(*numbers: float) -> str:
    """A vector as the engine writes it, by a way of its own."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def answered(body: Any) -> list[Step]:
    """The fake engine's reply."""
    return [{"status": 200, "body": body}]


def embedded(*numbers: float, tokens: int = 3) -> list[Step]:
    """The fake engine's reply with one vector."""
    return answered({"data": [{"embedding": packed(*numbers)}], "usage": {"prompt_tokens": tokens}})


def length(vector: Sequence[float]) -> float:
    """How long a vector is."""
    return math.sqrt(sum(number * number for number in vector))


class ScriptedVectors:
    """Embeds each text as how long it is and a one, and ranks documents by length; remembers what was asked.

    While ``held`` is set, an answer never comes."""

    def __init__(self, *, held: bool = False) -> None:
        self.requests: list[EmbeddingsRequest | RerankRequest] = []
        self.held = held
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def embed(self, request: EmbeddingsRequest) -> Embeddings:
        await self._take(request)
        return Embeddings([array("f", [len(each), 1]) for each in request.inputs], 7)

    async def rerank(self, request: RerankRequest) -> Ranking:
        await self._take(request)
        scores = [(index, float(len(text))) for index, text in enumerate(request.documents)]
        return Ranking(sorted(scores, key=lambda each: -each[1])[: request.top_n], 9)

    async def _take(self, request: EmbeddingsRequest | RerankRequest) -> None:
        self.requests.append(request)
        if self.held:
            self.waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise


def app_with(vectors: ScriptedVectors) -> FastAPI:
    """An app whose vectors are these."""
    services = scripted_services()
    services.vectors = vectors
    return scripted_app(services)


async def ask(path: str, vectors: ScriptedVectors | None = None, *, content: bytes | None = None, **body: Any) -> Any:
    """The answer to a request with that body."""
    async with client_of(app_with(vectors or ScriptedVectors())) as client:
        if content is not None:
            return await client.post(path, content=content)
        return await client.post(path, json=body)


async def is_cancelled_when_its_client_leaves(path: str, **body: Any) -> bool:
    """Whether a client that goes away ends what it has asked for."""
    vectors = ScriptedVectors(held=True)
    async with serving(app_with(vectors)) as url, httpx.AsyncClient(base_url=url) as client:
        asking = asyncio.create_task(client.post(path, json=body))
        await vectors.waiting.wait()
        asking.cancel()
        await asyncio.wait_for(vectors.cancelled.wait(), 10)
    return True
