"""``POST /chat/completions/render``: the prompt of a chat request, without an answer."""

from __future__ import annotations

import asyncio

import orjson
from fastapi import APIRouter, Request, Response

from lemonade_like.api.openai.answers import RenderedChat
from lemonade_like.api.openai.examples import CHAT as EXAMPLES
from lemonade_like.api.openai.intake import read_chat
from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, services

router = APIRouter(tags=["chat"])


@router.post(
    "/chat/completions/render",
    response_model=None,
    summary="Show the prompt of a conversation",
    openapi_extra=json_body(ChatCompletionRequest, examples=EXAMPLES),
    responses=answers(RenderedChat),
)
async def render_chat_completion(request: Request) -> Response:
    """Say what the model would be given to read: text with control tokens spelled out, and token ids.

    Takes the body of a chat completion, and generates nothing. ``tokens`` are what is sent; the text is for people.
    """
    _, wanted = await read_chat(request)
    note(request.scope, model=wanted.model)
    prompt = await services(request).turns.render(wanted)
    note(request.scope, prompt=len(prompt.ids))
    answer = {
        "object": "chat.completion.prompt",
        "model": wanted.model,
        "harmony": prompt.harmony,
        "prompt": prompt.text,
        "tokens": prompt.ids,
        "count": len(prompt.ids),
        "stop_token_ids": prompt.stop_ids,
    }
    # A prompt can have megabytes.
    return Response(await asyncio.to_thread(orjson.dumps, answer), media_type="application/json")
