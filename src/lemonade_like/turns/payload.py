"""What is posted to the engine."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.harmony.messages import ChatMessage, MediaPart, TextPart

if TYPE_CHECKING:
    from lemonade_like.turns.request import Sampling, TurnRequest

#: OpenAI's recommendation for GPT-OSS; llama-server's own defaults (0.8, 40, 0.95, 0.05) are meant for other models.
GPT_OSS_SAMPLING: Final = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0}

#: The engine's seeds are 32-bit numbers, of which the last has it draw one.
SEEDS: Final = 2**32 - 1

#: Where the engine sets checkpoints of its cache: a new user message is where conversations branch.
_DELIMITERS: Final = [{"role": "user", "delimiter": "<|start|>user"}]

#: Where reasoning begins and how the engine ends it when its budget is used up; a grammar says what follows. The
#: message, of which there is none, must be named all the same.
_BUDGET: Final = {
    "reasoning_budget_start_tag": "<|channel|>analysis<|message|>",
    "reasoning_budget_end_tags": ["<|end|>"],
    "reasoning_budget_message": "",
}


def new_seed() -> int:
    """Return a seed for a turn whose request has none: of our choice, so that the turn can be generated again."""
    return secrets.randbelow(SEEDS)


def completion_payload(
    prompt: list[int],
    sampling: Sampling,
    *,
    seed: int,
    max_tokens: int,
    grammar: str | None = None,
    reasoning_budget: int | None = None,
    top_logprobs: int | None = None,
    gpt_oss: bool = True,
) -> dict[str, Any]:
    """Return the body of POST /completion for a prompt of token ids; ``max_tokens`` of -1 is up to the context.

    ``seed`` is for requests that have none of their own. A model that is no ``gpt_oss`` has the engine's defaults.
    ``reasoning_budget`` is in tokens for each block of reasoning: with it, ``grammar`` must allow but one.
    """
    payload: dict[str, Any] = {
        "prompt": prompt,
        "n_predict": max_tokens,
        "cache_prompt": True,
        "seed": seed,
        **({"message_delimiters": _DELIMITERS, **GPT_OSS_SAMPLING} if gpt_oss else {}),
        **_sampling(sampling),
    }
    if grammar is not None:
        payload["grammar"] = grammar
    if reasoning_budget is not None:
        payload |= {"reasoning_budget_tokens": reasoning_budget, **_BUDGET}
    if top_logprobs is not None:
        # With none asked for, the engine would not give the token's own either.
        payload["n_probs"] = max(1, top_logprobs)
    return payload


def chat_payload(request: TurnRequest, *, seed: int | None = None) -> dict[str, Any]:
    """Return the body of POST /v1/chat/completions, for a model that goes through its own chat template.

    ``seed`` is for requests that have none of their own; ``None`` leaves it to the engine.
    Stop strings are not among it: the engine would look for them in the reasoning too.
    """
    payload: dict[str, Any] = {
        "messages": [_chat_message(message) for message in request.messages],
        "cache_prompt": True,
        **({} if seed is None else {"seed": seed}),
        **_sampling(request.sampling),
    }
    if request.max_tokens is not None:
        payload["max_tokens"] = request.max_tokens
    if request.reasoning_effort is not None:
        payload["chat_template_kwargs"] = {"reasoning_effort": request.reasoning_effort}
    if request.top_logprobs is not None:
        payload |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if request.response_format is not None:
        schema = {"name": request.response_format.name, "schema": request.response_format.schema}
        payload["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.reasoning_budget is not None:
        # llama-server has had both names for it.
        payload["thinking_budget_tokens"] = payload["reasoning_budget_tokens"] = request.reasoning_budget
    if tools := request.callable_tools:
        payload["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters or {}},
            }
            for tool in tools
        ]
        payload["tool_choice"] = request.tool_choice
        payload["parallel_tool_calls"] = request.parallel_tool_calls
    return payload


def _sampling(sampling: Sampling) -> dict[str, Any]:
    named = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
    }
    return {**sampling.extra, **{name: value for name, value in named.items() if value is not None}}


def _chat_message(message: ChatMessage) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": _chat_content(message)}
    if message.name:
        written["name"] = message.name
    if message.reasoning:
        written["reasoning_content"] = message.reasoning
    if message.channel == "analysis" and message.role == "assistant" and message.recipient is None:
        # A template knows no channels, but what was thought is not to be taken for the answer.
        written |= {"reasoning_content": "\n".join(filter(None, (message.reasoning, message.text))), "content": ""}
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        written["tool_call_id"] = message.tool_call_id
    return written


def _chat_content(message: ChatMessage) -> str | list[dict[str, Any]]:
    if not any(isinstance(part, MediaPart) for part in message.content):
        return message.text
    return [
        {"type": "text", "text": part.text} if isinstance(part, TextPart) else part.data for part in message.content
    ]
