"""One real server for all end-to-end tests: bundled engine, bundled model, and SmolLM2 for the Jinja path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lemonade_like.models.model import FileEntry
from lemonade_like.models.registry import Registry
from lemonade_like.settings import Settings
from tests.support.checked import async_openai_client, openai_client
from tests.support.server_process import address, server_process
from tests.support.watched import watched_answers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import openai

    from lemonade_like.models.model import Label
    from tests.support.described import Undescribed

#: Several engines on few cores: with more threads they would spin for each other.
ONE_THREAD = ("--llamacpp-args", "--threads 1")


@pytest.fixture(scope="session")
def undescribed() -> Iterator[list[Undescribed]]:
    """What is not as /openapi.json says, of all that these tests get from real servers."""
    with watched_answers() as found:
        yield found


@pytest.fixture(autouse=True)
def every_answer_is_described(undescribed: list[Undescribed]) -> Iterator[None]:
    """Each test gets only what /openapi.json describes."""
    undescribed.clear()
    yield
    assert undescribed == []


@pytest.fixture(scope="session")
def other(smollm: Path) -> str:
    """The name under which it is served."""
    return smollm.stem


@pytest.fixture(scope="session")
def registered(vector_models: dict[str, Path], data_of_the_run: None) -> None:
    """The models that embed and rerank, as ``user.NAME``, and ``user.tiny-matryoshka`` whose vectors may be cut."""
    registry = Registry.from_settings(Settings())
    for name, path in vector_models.items():
        registry.register(name, FileEntry(path=path))
    labels: tuple[Label, ...] = ("embeddings", "matryoshka")
    registry.register("tiny-matryoshka", FileEntry(path=vector_models["tiny-bert-embed"], labels=labels))


@pytest.fixture(scope="session")
def server(cache_dir: Path, smollm: Path, registered: None) -> Iterator[str]:
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
