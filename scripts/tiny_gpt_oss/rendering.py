"""Conversations as token ids: the prompt by the project's own renderer, the completion by its spelled-out form."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lemonade_like.harmony import tokens
from lemonade_like.harmony.conversation import SystemMessage, build_conversation
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, Message, TextPart, ToolCall
from lemonade_like.harmony.renderer import Renderer

if TYPE_CHECKING:
    from scripts.tiny_gpt_oss.known import ChatJSON

    from lemonade_like.harmony.conversation import Effort
    from lemonade_like.harmony.encoding import Encoder

_CONTROL: Final = {
    tokens.spelling(token): token
    for token in (
        tokens.RETURN,
        tokens.CONSTRAIN,
        tokens.CHANNEL,
        tokens.START,
        tokens.END,
        tokens.MESSAGE,
        tokens.CALL,
    )
}
_CONTROL_PATTERN: Final = re.compile("(" + "|".join(map(re.escape, _CONTROL)) + ")")


@dataclass(frozen=True)
class Scene:
    """A conversation under given circumstances. ``date`` is ``YYYY-MM-DD``.

    ``verbatim`` has parallel calls stand in the history as the model wrote them: only the last ends the turn.
    """

    messages: list[ChatJSON]
    tools: list[ChatJSON]
    effort: Effort
    date: str
    verbatim: bool = False


def chat_message(message: ChatJSON, index: int = 0) -> ChatMessage:
    """Return a message of OpenAI's form as the renderer takes it."""
    calls = tuple(
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    )
    return ChatMessage(
        role=message["role"],
        content=(TextPart(message["content"]),) if message.get("content") else (),
        reasoning=message.get("reasoning_content"),
        tool_calls=calls,
        tool_call_id=message.get("tool_call_id"),
        index=index,
    )


def function_tool(tool: ChatJSON) -> FunctionTool:
    """Return a tool of OpenAI's form as the renderer takes it."""
    function = tool["function"]
    return FunctionTool(function["name"], function.get("description", ""), function.get("parameters"))


def _as_written(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    following = [*messages[1:], None]
    return tuple(
        replace(message, end="<|end|>") if message.end == "<|call|>" and then and then.role == "assistant" else message
        for message, then in zip(messages, following, strict=True)
    )


class Script:
    """Turns scenes and completions into ids."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._renderer = Renderer(encoder)
        self._texts: dict[str, list[int]] = {}

    def prompt(self, scene: Scene) -> list[int]:
        """Return the ids that the engine is given."""
        chat = [chat_message(message, index) for index, message in enumerate(scene.messages)]
        conversation = build_conversation(
            chat, SystemMessage(scene.effort, scene.date), [function_tool(tool) for tool in scene.tools]
        )
        if scene.verbatim:
            conversation = replace(conversation, messages=_as_written(conversation.messages))
        return list(self._renderer.render_for_completion(conversation).ids)

    def completion(self, text: str, literal: tuple[str, ...] = ()) -> list[int]:
        """Return the ids of a completion; the parts in ``literal`` are ordinary text, whatever they look like."""
        ids: list[int] = []
        pieces = re.split("(" + "|".join(map(re.escape, literal)) + ")", text) if literal else [text]
        for piece in pieces:
            if piece in literal:
                ids += self.text(piece)
                continue
            for part in _CONTROL_PATTERN.split(piece):
                if part in _CONTROL:
                    ids.append(_CONTROL[part])
                elif part:
                    ids += self.text(part)
        return ids

    def text(self, text: str) -> list[int]:
        """Return the ids of ordinary text."""
        known = self._texts.get(text)
        if known is None:
            known = self._texts[text] = self._encoder.encode(text)
        return known

    def decode(self, ids: list[int]) -> str:
        """Return ids as text, for messages to whoever trains."""
        return self._encoder.decode(ids)
