"""openai-harmony, the reference that our rendering and parsing of well-formed Harmony are tested against."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import openai_harmony as library
import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lemonade_like.harmony.messages import FunctionTool, Message


class Reference:
    """The library, spoken to in our words."""

    def __init__(self, vocabulary_dir: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(os.environ, "TIKTOKEN_ENCODINGS_BASE", str(vocabulary_dir))
            self._encoding = library.load_harmony_encoding(library.HarmonyEncodingName.HARMONY_GPT_OSS)

    def completion_ids(
        self,
        effort: str,
        date: str | None,
        instructions: str,
        tools: Sequence[FunctionTool],
        messages: Sequence[Message],
        *,
        identity: str | None = None,
        cutoff: str | None = None,
    ) -> list[int]:
        """The prompt for an assistant's answer; ``messages`` are those after system and developer."""
        return self._encoding.render_conversation_for_completion(
            _conversation(effort, date, instructions, tools, messages, identity=identity, cutoff=cutoff),
            library.Role.ASSISTANT,
            library.RenderConversationConfig(auto_drop_analysis=False),
        )

    def training_ids(
        self,
        effort: str,
        date: str | None,
        instructions: str,
        tools: Sequence[FunctionTool],
        messages: Sequence[Message],
        *,
        drop_analysis: bool = False,
    ) -> list[int]:
        """A finished conversation; ``messages`` are those after system and developer."""
        return self._encoding.render_conversation_for_training(
            _conversation(effort, date, instructions, tools, messages),
            library.RenderConversationConfig(auto_drop_analysis=drop_analysis),
        )

    def message_ids(self, message: Message) -> list[int]:
        """One whole message."""
        return self._encoding.render(_message(message))

    def tool_type(self, parameters: dict[str, Any]) -> str:
        """The type of a function's parameters."""
        content = library.DeveloperContent.new().with_function_tools([library.ToolDescription.new("f", "", parameters)])
        ids = self._encoding.render(library.Message.from_role_and_content(library.Role.DEVELOPER, content))
        written: str = self._encoding.decode(ids)
        return written.partition("type f = (_: ")[2].rpartition(") => any;")[0]

    def parse(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """The messages of a well-formed completion, as role, channel, recipient, content type and content."""
        return [
            {
                "role": message.author.name or message.author.role.value,
                "channel": message.channel,
                "recipient": message.recipient,
                "content_type": message.content_type,
                "content": "".join(part.text for part in message.content),
            }
            for message in self._encoding.parse_messages_from_completion_tokens(ids, library.Role.ASSISTANT)
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """The ids as text, control tokens spelled out."""
        return self._encoding.decode(ids)


def _conversation(
    effort: str,
    date: str | None,
    instructions: str,
    tools: Sequence[FunctionTool],
    messages: Sequence[Message],
    *,
    identity: str | None = None,
    cutoff: str | None = None,
) -> library.Conversation:
    system = library.SystemContent.new().with_reasoning_effort(library.ReasoningEffort(effort.capitalize()))
    if identity:
        system = system.with_model_identity(identity)
    if cutoff:
        system = system.with_knowledge_cutoff(cutoff)
    if date:
        system = system.with_conversation_start_date(date)
    rendered = [library.Message.from_role_and_content(library.Role.SYSTEM, system)]
    if instructions or tools:
        rendered.append(_developer(instructions, tools))
    return library.Conversation.from_messages([*rendered, *map(_message, messages)])


def _developer(instructions: str, tools: Sequence[FunctionTool]) -> library.Message:
    content = library.DeveloperContent.new()
    if instructions:
        content = content.with_instructions(instructions)
    if tools:
        content = content.with_function_tools(
            [library.ToolDescription.new(tool.name, tool.description, tool.parameters) for tool in tools]
        )
    return library.Message.from_role_and_content(library.Role.DEVELOPER, content)


def _message(message: Message) -> library.Message:
    role, _, name = message.role.partition(":")
    if role in ("user", "assistant", "system", "developer"):
        author = library.Author(role=library.Role(role), name=name or None)
    else:
        author = library.Author(role=library.Role.TOOL, name=message.role)
    return library.Message(
        author=author,
        content=[library.TextContent(text=message.content)],
        channel=message.channel,
        recipient=message.recipient,
        content_type=message.content_type,
    )
