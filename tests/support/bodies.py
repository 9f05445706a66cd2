"""Reads request bodies as the server does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.openai.turn import turn_request
from lemonade_like.api.validation import validated
from lemonade_like.errors import BadRequest

if TYPE_CHECKING:
    from lemonade_like.harmony.messages import ChatMessage
    from lemonade_like.turns.request import TurnRequest

USER = {"role": "user", "content": "Hi"}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
TIME = {"type": "function", "function": {"name": "get_time"}}


def read(**fields: Any) -> TurnRequest:
    """What is asked of the turn by a body with these fields."""
    return turn_request(validated(ChatCompletionRequest, {"model": "m", "messages": [USER], **fields}))


def read_message(message: dict[str, Any]) -> ChatMessage:
    """The message, as the turn sees it."""
    return read(messages=[message]).messages[0]


def refusal(**fields: Any) -> BadRequest:
    """What is said of a body with these fields."""
    with pytest.raises(BadRequest) as raised:
        read(**fields)
    return raised.value
