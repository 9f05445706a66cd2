"""``POST /completions``."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from lemonade_like.api.answer import ErrorAnswer
from lemonade_like.api.body import read_json_object
from lemonade_like.api.folded import folded
from lemonade_like.api.intake import for_client
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.openai.choices import few_at_once, side_by_side
from lemonade_like.api.openai.completions.echo import echoing
from lemonade_like.api.openai.completions.schema import Completion, CompletionChunk, CreateCompletionRequest
from lemonade_like.api.openai.completions.turn import completion_requests
from lemonade_like.api.openai.completions.writer import CompletionChunks, CompletionFold
from lemonade_like.api.openai.examples import COMPLETION as EXAMPLES
from lemonade_like.api.openai.objects import AnswerHeader
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, note_answer, services
from lemonade_like.api.sse import EventStream
from lemonade_like.api.validation import validated

if TYPE_CHECKING:
    from lemonade_like.turns.request import CompletionRequest

router = APIRouter(tags=["completions"])

#: Of one request: it shall not fill the line that it shares with others.
_AT_ONCE: Final = 16


@router.post(
    "/completions",
    response_model=None,
    summary="Go on with a text",
    openapi_extra=json_body(CreateCompletionRequest, examples=EXAMPLES),
    responses=answers(Completion, events=CompletionChunk | ErrorAnswer, done="[DONE]"),
)
async def create_completion(request: Request) -> Response:
    """Go on with a text, or with token ids, as they stand: no chat template, no channels, no reasoning apart.

    Several prompts, each with `n` completions, are numbered through; whole, or as a stream of chunks.
    """
    body, wanted = await _read(request)
    note(request.scope, model=body.model, stream=bool(body.stream))
    rooms = services(request)
    header = AnswerHeader(body.model, f"lemonade-like-{rooms.version}", id=f"cmpl-{secrets.token_hex(12)}")
    turns = [echoing(rooms.texts, each) if body.echo else rooms.texts.complete(each) for each in wanted]
    batches = side_by_side(few_at_once(turns, _AT_ONCE))

    if body.stream:
        writer = CompletionChunks(
            header, choices=len(wanted), candidates=body.candidates, include_usage=body.include_usage
        )
        return EventStream(
            batches,
            writer,
            on_end=lambda: note_answer(request.scope, writer),
            keep_alive_seconds=rooms.keep_alive_seconds,
        )

    fold = CompletionFold(
        header,
        prompts=len(body.prompt),
        choices=body.choices,
        candidates=body.candidates,
        with_logprobs=body.logprobs is not None,
    )
    await folded(request, batches, fold)
    return json_answer(fold.answer())


async def _read(request: Request) -> tuple[CreateCompletionRequest, list[CompletionRequest]]:
    data = await read_json_object(request)
    # Long lists of ids take their time.
    body = await asyncio.to_thread(validated, CreateCompletionRequest, data)
    return body, [for_client(request, each) for each in completion_requests(body)]
