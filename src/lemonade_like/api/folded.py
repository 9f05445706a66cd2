"""Folds what a turn says into one answer, for a client that wants it whole."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol, TypeVar

from lemonade_like.api.connection import while_connected
from lemonade_like.api.services import WrittenAnswer, note_answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastapi import Request

BatchT = TypeVar("BatchT")
BatchT_contra = TypeVar("BatchT_contra", contravariant=True)


class Fold(WrittenAnswer, Protocol[BatchT_contra]):
    """Makes one answer of batches."""

    def add(self, batch: BatchT_contra, /) -> None:
        """Take a batch in."""


async def folded(request: Request, batches: AsyncGenerator[BatchT, None], fold: Fold[BatchT]) -> None:
    """Give all ``batches`` to ``fold``, and add what the answer has cost to the request's line in the log.

    When the client goes away, ``batches`` is closed at once.

    Raises:
        ClientDisconnect: the client went away.
        ServerError: as the turn does.
    """

    async def gather() -> None:
        async with aclosing(batches):
            async for batch in batches:
                fold.add(batch)

    await while_connected(request.receive, gather())
    note_answer(request.scope, fold)
