"""``POST /chat/completions``."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from lemonade_like.api.answer import ErrorAnswer
from lemonade_like.api.folded import folded
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.openai.answers import ChatCompletion, ChatCompletionChunk
from lemonade_like.api.openai.choices import side_by_side, turn_requests
from lemonade_like.api.openai.examples import CHAT as EXAMPLES
from lemonade_like.api.openai.fold import AnswerFold
from lemonade_like.api.openai.intake import read_chat
from lemonade_like.api.openai.objects import AnswerHeader
from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.openai.writer import ChunkWriter
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, note_answer, services
from lemonade_like.api.sse import EventStream

router = APIRouter(tags=["chat"])


@router.post(
    "/chat/completions",
    response_model=None,
    summary="Answer a conversation",
    openapi_extra=json_body(ChatCompletionRequest, examples=EXAMPLES),
    responses=answers(ChatCompletion, events=ChatCompletionChunk | ErrorAnswer, done="[DONE]"),
)
async def create_chat_completion(request: Request) -> Response:
    """Answer a conversation with one assistant message, whole or as a stream of chunks."""
    body, wanted = await read_chat(request)
    note(request.scope, model=wanted.model, stream=bool(body.stream))
    rooms = services(request)
    header = AnswerHeader(
        model=wanted.model,
        system_fingerprint=f"lemonade-like-{rooms.version}",
        service_tier=None if body.service_tier is None else "default",
    )
    batches = side_by_side([rooms.turns.run(turn) for turn in turn_requests(wanted, body.choices)])

    include_harmony = "harmony" in (body.include or ())
    function_call = bool(body.functions)
    if body.stream:
        writer = ChunkWriter(
            header,
            choices=body.choices,
            include_usage=body.include_usage,
            include_harmony=include_harmony,
            function_call=function_call,
        )
        return EventStream(
            batches,
            writer,
            on_end=lambda: note_answer(request.scope, writer),
            keep_alive_seconds=rooms.keep_alive_seconds,
        )

    fold = AnswerFold(header, choices=body.choices, include_harmony=include_harmony, function_call=function_call)
    await folded(request, batches, fold)
    return json_answer(fold.answer())
