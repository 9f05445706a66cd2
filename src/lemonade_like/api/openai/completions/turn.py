"""A completion request as the turns that it asks for: a pure translation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lemonade_like.api.openai.choices import turn_requests
from lemonade_like.api.openai.completions.schema import MOST_CHOICES
from lemonade_like.api.openai.turn import response_format, sampling
from lemonade_like.errors import BadRequest
from lemonade_like.turns.request import CompletionRequest, ResponseFormat

if TYPE_CHECKING:
    from lemonade_like.api.openai.completions.schema import CreateCompletionRequest, Prompt
    from lemonade_like.turns.request import Sampling


def completion_requests(body: CreateCompletionRequest) -> list[CompletionRequest]:
    """Return what is asked of each turn: all candidates of the first prompt, then those of the next.

    Raises:
        BadRequest: it is too much, or a suffix that cannot be.
    """
    if len(body.prompt) * body.candidates > MOST_CHOICES:
        raise BadRequest(
            f"'prompt' has {len(body.prompt)} prompts of which {body.candidates} completions each are to be made, but "
            f"one request may have {MOST_CHOICES} at most.",
            param="prompt",
            code="invalid_value",
        )
    max_tokens = body.n_predict if body.max_tokens is None else body.max_tokens
    if body.suffix and (max_tokens == 0 or not all(isinstance(prompt, str) for prompt in body.prompt)):
        raise BadRequest(
            "'suffix' needs a prompt that is text, and tokens to be generated.", param="suffix", code="invalid_value"
        )
    shared = CompletionRequest(
        model=body.model,
        prompt="",
        suffix=body.suffix or None,
        parse_special=body.parse_special,
        sampling=_sampling(body),
        max_tokens=None if max_tokens == -1 else max_tokens,
        stop=tuple(text for text in body.stop if text),
        grammar=body.grammar or None,
        response_format=_response_format(body),
        whole=not body.stream,
        top_logprobs=0 if body.candidates > body.choices and body.logprobs is None else body.logprobs,
    )
    return [each for prompt in body.prompt for each in turn_requests(_of(shared, prompt), body.candidates)]


def _of(shared: CompletionRequest, prompt: Prompt) -> CompletionRequest:
    return replace(shared, prompt=prompt)


def _sampling(body: CreateCompletionRequest) -> Sampling:
    drawn = sampling(body)
    return replace(drawn, extra={**drawn.extra, "ignore_eos": True}) if body.ignore_eos else drawn


def _response_format(body: CreateCompletionRequest) -> ResponseFormat | None:
    if body.json_schema is not None:
        return ResponseFormat("json_schema", body.json_schema, param="json_schema")
    return response_format(body.response_format)
