"""One server for all tests whose engine dies at a place of their choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.faults import FaultyServer, faulty_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="package")
async def server(cache_dir: Path, smollm: Path) -> AsyncIterator[FaultyServer]:
    """A server with the bundled model and SmolLM2."""
    async with faulty_server(cache_dir, models=("tiny-gpt-oss", str(smollm))) as server:
        yield server
