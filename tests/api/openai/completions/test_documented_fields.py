"""docs/api/completions.md says of every field of a completion what becomes of it, and it is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openai.types.completion_create_params import CompletionCreateParamsStreaming

from lemonade_like.api.openai.completions.schema import CreateCompletionRequest
from tests.support.claims import Asker, Try, Verdict, claims, tries, without_claim
from tests.support.sdk_fields import paths

PAGE = Path(__file__).parents[4] / "docs" / "api" / "completions.md"
CLAIMS = claims(PAGE)
PATH = "/v1/completions"
BASE: dict[str, Any] = {"model": "m", "prompt": "One, two,"}

EXAMPLES: dict[str, Any] = {
    "model": "other",
    "prompt": [1, 2, 3],
    "suffix": "four",
    "max_tokens": 9,
    "n_predict": 9,
    "n": 2,
    "best_of": 2,
    "stream": True,
    "stream_options": Try({"include_usage": True}, {"stream": True}),
    "stream_options.include_usage": Try(True, {"stream": True}),
    "stream_options.include_obfuscation": Try(True, {"stream": True}),
    "logprobs": 2,
    "echo": True,
    "stop": "x",
    "seed": 7,
    "temperature": 0.5,
    "top_p": 0.5,
    "frequency_penalty": 1,
    "presence_penalty": 1,
    "logit_bias": {"5": 1},
    "top_k": 5,
    "min_p": 0.5,
    "typical_p": 0.5,
    "top_n_sigma": 1.0,
    "xtc_probability": 0.5,
    "xtc_threshold": 0.5,
    "repeat_penalty": 1.5,
    "repeat_last_n": 5,
    "dry_multiplier": 0.5,
    "dry_base": 2.0,
    "dry_allowed_length": 2,
    "dry_penalty_last_n": 5,
    "dry_sequence_breakers": ["x"],
    "dynatemp_range": 0.5,
    "dynatemp_exponent": 0.5,
    "mirostat": 1,
    "mirostat_tau": 0.5,
    "mirostat_eta": 0.5,
    "min_keep": 1,
    "samplers": ["top_k"],
    "ignore_eos": True,
    "grammar": 'root ::= "a"',
    "json_schema": {"type": "object"},
    "response_format": {"type": "json_object"},
    "parse_special": True,
    "user": "u",
}


def test_every_field_of_the_sdk_has_a_verdict() -> None:
    assert without_claim(paths(CompletionCreateParamsStreaming), CLAIMS) == set()


def test_every_field_that_is_read_has_a_verdict() -> None:
    assert without_claim(set(CreateCompletionRequest.model_fields), CLAIMS) == set()


def test_no_example_is_of_a_field_without_a_verdict() -> None:
    assert EXAMPLES.keys() - CLAIMS.keys() == set()


@pytest.mark.parametrize(("path", "verdict"), CLAIMS.items())
async def test_a_field_is_what_the_page_says(app: Asker, path: str, verdict: Verdict) -> None:
    assert path in EXAMPLES or verdict != "honoured", f"{path} has no example"
    for tried in tries(EXAMPLES, path):
        await app.check(PATH, BASE, path, verdict, tried)
