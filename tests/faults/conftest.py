"""One server for all tests whose engine dies at a place of their choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.faults import FaultyServer, faulty_server
from tests.support.watched import watched_answers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.described import Undescribed


@pytest.fixture(scope="session")
def undescribed() -> Iterator[list[Undescribed]]:
    """What is not as /openapi.json says, of all that these tests get from real servers."""
    with watched_answers() as found:
        yield found


@pytest.fixture(autouse=True)
def every_answer_is_described(undescribed: list[Undescribed]) -> Iterator[None]:
    """Whatever dies, each test gets only what /openapi.json describes."""
    undescribed.clear()
    yield
    assert undescribed == []


@pytest.fixture(scope="package")
async def server(cache_dir: Path, smollm: Path) -> AsyncIterator[FaultyServer]:
    """A server with the bundled model and SmolLM2."""
    async with faulty_server(cache_dir, models=("tiny-gpt-oss", str(smollm))) as server:
        yield server
