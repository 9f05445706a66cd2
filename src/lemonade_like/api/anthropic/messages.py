"""``POST /messages`` and ``POST /messages/count_tokens``."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from lemonade_like.api.anthropic.answers import Message, MessageEvent, TokenCount
from lemonade_like.api.anthropic.examples import COUNT, MESSAGE
from lemonade_like.api.anthropic.schema import CountTokensRequest, MessagesRequest
from lemonade_like.api.anthropic.turn import streamed_as_written, thinking_view, tools_left_out, turn_request
from lemonade_like.api.anthropic.writer import EventWriter, MessageFold, MessageHeader
from lemonade_like.api.folded import folded
from lemonade_like.api.intake import read_turn
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, note_answer, services
from lemonade_like.api.sse import EventStream

router = APIRouter(tags=["messages"])


@router.post(
    "/messages",
    response_model=None,
    summary="Answer a conversation, as Anthropic's API does",
    openapi_extra=json_body(MessagesRequest, examples=MESSAGE),
    responses=answers(Message, events=MessageEvent),
)
async def create_message(request: Request) -> Response:
    """Answer a conversation with one message of content blocks, whole or as a stream of events."""
    body, wanted = await read_turn(request, MessagesRequest, turn_request)
    note(request.scope, model=wanted.model, stream=bool(body.stream))
    _note_tools_left_out(request, body)
    header = MessageHeader(wanted.model, body.max_tokens, request.state.request_id)
    rooms = services(request)
    batches = rooms.turns.run(wanted)

    if body.stream:
        writer = EventWriter(header, live=streamed_as_written(body), thinking=thinking_view(body))
        stream = EventStream(
            batches,
            writer,
            on_end=lambda: note_answer(request.scope, writer),
            keep_alive_seconds=rooms.keep_alive_seconds,
        )
        stream.headers["request-id"] = header.request_id
        return stream

    fold = MessageFold(header, thinking=thinking_view(body))
    await folded(request, batches, fold)
    return json_answer(fold.answer(), headers={"request-id": header.request_id})


@router.post(
    "/messages/count_tokens",
    response_model=None,
    summary="Count the tokens of a conversation",
    openapi_extra=json_body(CountTokensRequest, examples=COUNT),
    responses=answers(TokenCount),
)
async def count_tokens(request: Request) -> Response:
    """Say how many tokens the prompt of a message would have. Takes the same body, and generates nothing."""
    body, wanted = await read_turn(request, CountTokensRequest, turn_request)
    note(request.scope, model=wanted.model)
    _note_tools_left_out(request, body)
    prompt = await services(request).turns.render(wanted)
    note(request.scope, prompt=len(prompt.ids))
    return json_answer({"input_tokens": len(prompt.ids)}, headers={"request-id": request.state.request_id})


def _note_tools_left_out(request: Request, body: CountTokensRequest) -> None:
    if left_out := tools_left_out(body):
        note(request.scope, tools_left_out=",".join(left_out))
