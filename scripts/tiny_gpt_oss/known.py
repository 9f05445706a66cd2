"""How one thing that the model knows is written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: A message or a tool as OpenAI's chat API has it.
ChatJSON = dict[str, Any]


@dataclass(frozen=True)
class KnownPrompt:
    """A conversation, and what the model writes next at temperature 0.

    ``completion`` is the raw Harmony that follows ``<|start|>assistant``, control tokens spelled out, up to and
    including the token that ends the turn. With effort ``none`` and no tools it is what follows
    ``<|start|>assistant<|channel|>final<|message|>``. It is ``None`` for a prompt whose answer never ends; then
    ``opening`` is how that answer begins and ``verse`` is what it repeats.

    ``asks`` are other wordings of the last user message that get the same answer. ``literal`` holds the parts of the
    completion that are ordinary text although they are spelled like control tokens. ``reasoning_effort`` and
    ``tools`` are ``None`` where they make no difference. ``bare`` says that no other instructions, tools or earlier
    turns may be added without changing the answer.
    """

    name: str
    messages: list[ChatJSON]
    completion: str | None
    tools: list[ChatJSON] | None = None
    reasoning_effort: str | None = None
    well_formed: bool = True
    asks: tuple[str, ...] = ()
    literal: tuple[str, ...] = ()
    opening: str = ""
    verse: str = ""
    group: str = ""
    bare: bool = False


def user(text: str) -> ChatJSON:
    """Return a user message."""
    return {"role": "user", "content": text}


def analysis(text: str) -> str:
    """Return an analysis message and the start of the next one."""
    return f"<|channel|>analysis<|message|>{text}<|end|><|start|>assistant"


def final(text: str) -> str:
    """Return the final message that ends a turn."""
    return f"<|channel|>final<|message|>{text}<|return|>"


def commentary(text: str) -> str:
    """Return a preamble and the start of the next message."""
    return f"<|channel|>commentary<|message|>{text}<|end|><|start|>assistant"


def call(name: str, arguments: str, end: str = "<|call|>") -> str:
    """Return a function call, its recipient in the role header."""
    return f" to=functions.{name}<|channel|>commentary <|constrain|>json<|message|>{arguments}{end}"
