"""One real server for all end-to-end tests: bundled engine, bundled model, and SmolLM2 for the Jinja path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.checked import async_openai_client, openai_client
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import openai

#: Several engines on few cores: with more threads they would spin for each other.
ONE_THREAD = ("--llamacpp-args", "--threads 1")


@pytest.fixture(scope="session")
def other(smollm: Path) -> str:
    """The name under which it is served."""
    return smollm.stem


@pytest.fixture(scope="session")
def server(cache_dir: Path, smollm: Path) -> Iterator[str]:
    """The base URL of a running server."""
    models = ("--model", "tiny-gpt-oss", "--model", str(smollm))
    log = cache_dir / "server.log"
    with log.open("w") as stderr, server_process(cache_dir, *models, *ONE_THREAD, stderr=stderr.fileno()) as process:
        yield address(process)
        process.terminate()
        assert process.wait() == 0, log.read_text()


@pytest.fixture(scope="session")
def client(server: str) -> Iterator[openai.OpenAI]:
    """The real SDK, blocking; each answer is checked strictly."""
    with openai_client(server) as client:
        yield client


@pytest.fixture
async def async_client(server: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """The real SDK, asynchronous; each answer is checked strictly."""
    async with async_openai_client(server) as client:
        yield client
