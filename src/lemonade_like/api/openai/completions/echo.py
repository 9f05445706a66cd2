"""Puts a prompt before its completion."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from lemonade_like.turns.events import ContentDelta, Event, Progress

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lemonade_like.api.services import RawTextRunner
    from lemonade_like.turns.request import CompletionRequest


async def echoing(texts: RawTextRunner, request: CompletionRequest) -> AsyncGenerator[list[Event], None]:
    """Yield the events of the completion, and the text of its prompt as the first of them that is shown.

    It waits until there is something to show, so that what goes wrong before that has its own status. The text of a
    prompt that came as ids is what the model has them stand for.
    """
    echoed = False
    async with aclosing(texts.complete(request)) as batches:
        async for batch in batches:
            if not echoed and any(not isinstance(event, Progress) for event in batch):
                echoed = True
                prompt = request.prompt
                if not isinstance(prompt, str):
                    prompt = await texts.detokenize(request.model, prompt, request.client)
                yield [ContentDelta(prompt, None), *batch]
            else:
                yield batch
