from __future__ import annotations

from typing import Any

import pytest

from lemonade_like.errors import BadRequest, ContextLengthExceeded, EngineFailure
from lemonade_like.pool.resident import EngineResponseError
from lemonade_like.vectors.failures import refused

TOO_LARGE = "input (513 tokens) is too large to process. increase the physical batch size (current batch size: 512)"


@pytest.mark.parametrize(
    ("status", "message", "type", "details"),
    [
        (400, "exceeds", "exceed_context_size_error", {"n_prompt_tokens": 513, "n_ctx": 512}),
        (500, TOO_LARGE, "server_error", {}),
    ],
)
def test_too_long_an_input_is_named_with_both_numbers(
    status: int, message: str, type: str, details: dict[str, Any]
) -> None:
    error = refused(EngineResponseError(status, message, type, details), "m", "input[3]")
    assert isinstance(error, ContextLengthExceeded)
    assert error.message.startswith("'input[3]' has 513 tokens, but m is loaded to take 512.")
    assert (error.param, error.code) == ("input[3]", "context_length_exceeded")


@pytest.mark.parametrize(
    ("status", "kind"), [(400, BadRequest), (413, BadRequest), (500, EngineFailure), (501, EngineFailure)]
)
def test_what_the_engine_says_is_passed_on(status: int, kind: type[Exception]) -> None:
    error = refused(EngineResponseError(status, "that is wrong", "some_error"), "m", "documents[0]")
    assert type(error) is kind
    assert "'documents[0]'" in str(error) and "that is wrong" in str(error)
