"""Turns that can render prompts, and an app that can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.claims import Asker, asker
from tests.support.rig import Rig, fake_rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="module")
async def rooms(vocabulary: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Turns of a GPT-OSS model whose engine is never started."""
    async with fake_rig(tmp_path_factory.mktemp("rooms"), vocabulary) as one:
        yield one


@pytest.fixture(scope="module")
async def app() -> AsyncIterator[Asker]:
    """An app to be asked whether it does what a page says of it."""
    async with asker() as one:
        yield one
