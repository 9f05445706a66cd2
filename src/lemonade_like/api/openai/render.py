"""``POST /chat/completions/render`` and ``POST /apply-template``: the prompt of a chat request, without an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from lemonade_like.api.answer import Answer
from lemonade_like.api.json_answer import large_json_answer
from lemonade_like.api.openai.answers import RenderedChat
from lemonade_like.api.openai.examples import CHAT as EXAMPLES
from lemonade_like.api.openai.intake import read_chat
from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, services

if TYPE_CHECKING:
    from lemonade_like.turns.preview import RenderedPrompt

router = APIRouter(tags=["chat"])


class AppliedTemplate(Answer):
    """The same as llama-server says it."""

    prompt: str


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
    model, prompt = await _rendered(request)
    return await large_json_answer(
        {
            "object": "chat.completion.prompt",
            "model": model,
            "harmony": prompt.harmony,
            "prompt": prompt.text,
            "tokens": prompt.ids,
            "count": len(prompt.ids),
            "stop_token_ids": prompt.stop_ids,
        }
    )


@router.post(
    "/apply-template",
    response_model=None,
    summary="Show the prompt of a conversation, as llama-server does",
    openapi_extra=json_body(ChatCompletionRequest, examples=EXAMPLES),
    responses=answers(AppliedTemplate),
)
async def apply_template(request: Request) -> Response:
    """Say the text that the model would be given to read, and nothing else."""
    _, prompt = await _rendered(request)
    return await large_json_answer({"prompt": prompt.text})


async def _rendered(request: Request) -> tuple[str, RenderedPrompt]:
    """Return the model's name as the client spells it, and the prompt of its chat."""
    _, wanted = await read_chat(request)
    note(request.scope, model=wanted.model)
    prompt = await services(request).turns.render(wanted)
    note(request.scope, prompt=len(prompt.ids))
    return wanted.model, prompt
