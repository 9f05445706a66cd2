"""A chat as its Harmony messages: what stands in the prompt, and in which order.

The rules, and where they come from: the Harmony response format guide for the layout, and for past reasoning its
"Handling reasoning output" section: analysis is kept only after the last final answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from lemonade_like.harmony.messages import ChatMessage, FunctionTool, MediaPart, Message, Verbatim
from lemonade_like.harmony.typescript import parameters_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Effort = Literal["none", "low", "medium", "high"]

#: Every word for an effort that clients use, and what it means to GPT-OSS, which knows three.
EFFORTS: Final[Mapping[str, Effort]] = {
    "none": "none",
    "minimal": "low",
    "quick": "low",
    "low": "low",
    "medium": "medium",
    "balanced": "medium",
    "high": "high",
    "deep": "high",
    "thorough": "high",
    "xhigh": "high",
    "max": "high",
}

IDENTITY: Final = "You are ChatGPT, a large language model trained by OpenAI."
KNOWLEDGE_CUTOFF: Final = "2024-06"
CHANNELS_LINE: Final = "# Valid channels: analysis, commentary, final. Channel must be included for every message."
TOOLS_LINE: Final = "Calls to these tools must go to the commentary channel: 'functions'."


class ConversationError(ValueError):
    """A chat that cannot be said in Harmony. ``param`` is the path of the part at fault, e.g. ``messages[2]``."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True)
class SystemMessage:
    """What the system message says. ``current_date`` is ``YYYY-MM-DD``; ``None`` leaves its line out."""

    effort: Effort = "medium"
    current_date: str | None = None
    identity: str = IDENTITY
    knowledge_cutoff: str = KNOWLEDGE_CUTOFF

    def text(self, *, with_function_tools: bool) -> str:
        """Return the content of the system message."""
        identity = [self.identity, f"Knowledge cutoff: {self.knowledge_cutoff}"]
        if self.current_date is not None:
            identity.append(f"Current date: {self.current_date}")
        # "none" has no word of its own in Harmony: reasoning is then prevented, not asked for.
        effort = "low" if self.effort == "none" else self.effort
        channels = f"{CHANNELS_LINE}\n{TOOLS_LINE}" if with_function_tools else CHANNELS_LINE
        return "\n\n".join(["\n".join(identity), f"Reasoning: {effort}", channels])


@dataclass(frozen=True)
class Opening:
    """How the assistant's message that the model is to write begins, and what of its body is there already.

    The default is a bare ``<|start|>assistant``, after which the model chooses the channel.
    """

    channel: str | None = None
    body: str = ""


@dataclass(frozen=True)
class HarmonyConversation:
    """Whole messages, and the opening of the one that the model writes next."""

    messages: tuple[Message | Verbatim, ...]
    opening: Opening = Opening()


def build_conversation(
    chat: Sequence[ChatMessage],
    system: SystemMessage,
    tools: Sequence[FunctionTool] = (),
    generated: Mapping[int, Verbatim] | None = None,
    *,
    finished: bool = False,
    keep_all_reasoning: bool = False,
    response_format: str = "",
) -> HarmonyConversation:
    """Return the Harmony messages of a chat. ``response_format`` is the last section of the developer message.

    Leading system and developer messages become one developer message, which the tools follow; later ones stay in
    place. A trailing assistant message is continued, not answered. ``generated`` has, by their place in the chat, the
    assistant messages whose own ids are known; they are replayed as long as their reasoning is to be seen.

    For training, ``finished`` makes a trailing assistant message a whole one too, and ``keep_all_reasoning`` drops no
    reasoning.

    Raises:
        ConversationError: reasoning on a role that cannot reason, media on a model that reads text only, a tool
            result that belongs to no call.
    """
    _check(chat)
    leading = 0
    while leading < len(chat) and chat[leading].role in ("system", "developer"):
        leading += 1
    instructions = "\n\n".join(message.text for message in chat[:leading] if message.text)

    messages: list[Message | Verbatim] = [Message("system", system.text(with_function_tools=bool(tools)))]
    developer = developer_text(instructions, tools, response_format)
    if developer:
        messages.append(Message("developer", developer))

    opening = Opening("final") if system.effort == "none" and not tools else Opening()
    names: dict[str, str] = {}
    last_answer = 0 if keep_all_reasoning else _last_final_answer(chat)
    for place, message in enumerate(chat[leading:], start=leading):
        if message.role == "assistant":
            names.update((call.id, call.name) for call in message.tool_calls)
            if generated and place in generated and place >= last_answer:
                messages.append(generated[place])
                continue
            written = list(_assistant(message, keep_reasoning=place >= last_answer))
            if place == len(chat) - 1 and not message.tool_calls and written and not finished:
                *written, unfinished = written
                opening = Opening(unfinished.channel, unfinished.content)
            messages += written
        elif message.role == "tool":
            messages.append(_tool_result(message, names))
        elif message.role == "user":
            messages.append(Message(f"user:{message.name}" if message.name else "user", message.text))
        elif message.text:
            messages.append(Message("developer", developer_text(message.text)))
    return HarmonyConversation(tuple(messages), opening)


def developer_text(instructions: str, tools: Sequence[FunctionTool] = (), response_format: str = "") -> str:
    """Return the content of a developer message; empty when there is nothing to say."""
    sections = []
    if instructions:
        sections.append(f"# Instructions\n\n{instructions}")
    if tools:
        functions = "\n\n".join(map(_declaration, tools))
        sections.append(
            f"# Tools\n\n## functions\n\nnamespace functions {{\n\n{functions}\n\n}} // namespace functions"
        )
    if response_format:
        sections.append(response_format)
    return "\n\n".join(sections)


def _declaration(tool: FunctionTool) -> str:
    comment = "".join(f"// {line}\n" for line in tool.description.splitlines())
    if tool.parameters is None:
        return f"{comment}type {tool.name} = () => any;"
    return f"{comment}type {tool.name} = (_: {parameters_type(tool.parameters)}) => any;"


def _check(chat: Sequence[ChatMessage]) -> None:
    for message in chat:
        where = f"messages[{message.index}]"
        if message.reasoning and message.role != "assistant":
            raise ConversationError(
                f"{where} has reasoning, but its role is '{message.role}': only the assistant reasons.", where
            )
        for part in message.content:
            if isinstance(part, MediaPart):
                raise ConversationError(
                    f"{where} has a part of type '{part.type}', but this model reads text only. "
                    "Leave the part out, or use a model with the label 'vision'.",
                    f"{where}.content",
                )


def _last_final_answer(chat: Sequence[ChatMessage]) -> int:
    """The place of the last assistant message that answered; reasoning before it is not shown to the model again.

    A trailing assistant message is an answer in the making, so the reasoning of its turn stays.
    """
    for place in range(len(chat) - 2, -1, -1):
        message = chat[place]
        if message.role == "assistant" and not message.tool_calls and message.text:
            return place + 1
    return 0


def _assistant(message: ChatMessage, *, keep_reasoning: bool) -> Iterator[Message]:
    if message.reasoning and keep_reasoning:
        yield Message("assistant", message.reasoning, channel="analysis")
    if message.text:
        yield Message("assistant", message.text, channel="commentary" if message.tool_calls else "final")
    for call in message.tool_calls:
        yield replace(
            Message("assistant", call.arguments, channel="commentary", end="<|call|>"),
            recipient=f"functions.{call.name}",
            content_type="<|constrain|>json",
        )


def _tool_result(message: ChatMessage, names: Mapping[str, str]) -> Message:
    where = f"messages[{message.index}]"
    name = names.get(message.tool_call_id) if message.tool_call_id else None
    name = name or message.name
    if not name:
        known = ", ".join(names) or "none"
        raise ConversationError(
            f"{where} answers the call '{message.tool_call_id}', but no assistant message before it made that call "
            f"(calls so far: {known}). Send the assistant message with its tool_calls, then the results.",
            f"{where}.tool_call_id",
        )
    return Message(f"functions.{name}", message.text, channel="commentary", recipient="assistant")
