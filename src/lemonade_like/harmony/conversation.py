"""A chat as its Harmony messages: what stands in the prompt, and in which order.

The rules, and where they come from: the Harmony response format guide for the layout, and for past reasoning its
"Handling reasoning output" section: analysis is kept only after the last final answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from lemonade_like.harmony.header import CHANNELS
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, MediaPart, Message, Verbatim
from lemonade_like.harmony.typescript import SchemaTooLarge, parameters_type

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
    """A chat that cannot be said in Harmony.

    ``param`` is the path of the part at fault, e.g. ``messages[2]``; ``code`` is a word for what is wrong with it.
    """

    def __init__(self, message: str, param: str, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


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
    content_type: str | None = None


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

    Leading system and developer messages become one developer message, which the tools follow; later ones, and those
    with a header of their own, stay in place. A trailing assistant message is continued, not answered. ``generated``
    has, by their place in the chat, the assistant messages whose own ids are known; they are replayed as long as their
    reasoning is to be seen.

    For training, ``finished`` makes a trailing assistant message a whole one too, and ``keep_all_reasoning`` drops no
    reasoning.

    Raises:
        ConversationError: reasoning on a role that cannot reason, a channel that GPT-OSS does not have, media on a
            model that reads text only, a tool result that belongs to no call, a tool too large to be written out.
    """
    _check(chat)
    leading = 0
    while leading < len(chat) and chat[leading].role in ("system", "developer") and not chat[leading].has_header:
        leading += 1
    instructions = "\n\n".join(message.text for message in chat[:leading] if message.text)

    messages: list[Message | Verbatim] = [Message("system", system.text(with_function_tools=bool(tools)))]
    developer = developer_text(instructions, tools, response_format)
    if developer:
        messages.append(Message("developer", developer))

    opening = Opening("final") if system.effort == "none" and not tools else Opening()
    called = _Called()
    last_answer = 0 if keep_all_reasoning else _last_final_answer(chat)
    for place, message in enumerate(chat[leading:], start=leading):
        if message.role == "assistant":
            called.note(message)
            if generated and place in generated and place >= last_answer and not message.has_header:
                messages.append(generated[place])
                continue
            written = list(_assistant(message, keep_reasoning=place >= last_answer))
            if place == len(chat) - 1 and written and written[-1].end != "<|call|>" and not finished:
                *written, unfinished = written
                opening = Opening(unfinished.channel, unfinished.content, unfinished.content_type)
            messages += written
        elif message.role == "tool":
            messages.append(_tool_result(message, called))
        elif message.role == "user":
            messages.append(_with_header(Message(f"user:{message.name}" if message.name else "user", ""), message))
        elif message.text:
            messages.append(
                replace(_with_header(Message("developer", ""), message), content=developer_text(message.text))
            )
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
    comment = "".join(f"// {line}\n" for line in _lines(tool.description))
    if tool.parameters is None:
        return f"{comment}type {tool.name} = () => any;"
    try:
        return f"{comment}type {tool.name} = (_: {parameters_type(tool.parameters)}) => any;"
    except SchemaTooLarge as error:
        raise ConversationError(
            f"The parameters of the tool '{tool.name}' cannot be shown: {error}", "tools"
        ) from error


def _lines(text: str) -> list[str]:
    """The lines as openai-harmony cuts them: at line feeds, whose carriage return goes too."""
    *lines, last = text.split("\n")
    return [line.removesuffix("\r") for line in lines] + ([last] if last else [])


def _check(chat: Sequence[ChatMessage]) -> None:
    for message in chat:
        where = f"messages[{message.index}]"
        if message.reasoning and message.role != "assistant":
            raise ConversationError(
                f"{where} has reasoning, but its role is '{message.role}': only the assistant reasons.", where
            )
        if message.channel is not None and message.channel not in CHANNELS:
            raise ConversationError(
                f"{where} is on the channel '{message.channel}', which is not declared: GPT-OSS has the channels "
                f"{', '.join(CHANNELS)}. Leave the channel out, and the message goes where its kind belongs.",
                f"{where}.channel",
                "invalid_channel",
            )
        for part in message.content:
            if isinstance(part, MediaPart):
                raise ConversationError(
                    f"{where} has a part of type '{part.type}', but this model reads text only. "
                    "Leave the part out, or use a model with the label 'vision'.",
                    f"{where}.content",
                )


def _last_final_answer(chat: Sequence[ChatMessage]) -> int:
    """The place after the last assistant message that answered; what was reasoned before is not shown again.

    A trailing assistant message is an answer in the making, so the reasoning of its turn stays.
    """
    for place in range(len(chat) - 2, -1, -1):
        message = chat[place]
        if message.role == "assistant" and message.text and _is_answer(message):
            return place + 1
    return 0


def _is_answer(message: ChatMessage) -> bool:
    if message.channel is not None:
        return message.channel == "final"
    return not message.tool_calls and message.recipient is None


def _assistant(message: ChatMessage, *, keep_reasoning: bool) -> Iterator[Message]:
    if message.reasoning and keep_reasoning:
        yield Message("assistant", message.reasoning, channel="analysis")
    thought = message.channel == "analysis" and message.recipient is None
    if (message.text or message.recipient is not None) and (keep_reasoning or not thought):
        calls = bool(message.tool_calls) or message.recipient is not None
        yield _with_header(
            Message(
                "assistant", "", "commentary" if calls else "final", end="<|call|>" if message.recipient else "<|end|>"
            ),
            message,
        )
    for call in message.tool_calls:
        yield Message(
            "assistant", call.arguments, "commentary", f"functions.{call.name}", "<|constrain|>json", end="<|call|>"
        )


def _with_header(default: Message, message: ChatMessage) -> Message:
    """The text of ``message``, under the header that it brings or, where it brings none, under the default."""
    return replace(
        default,
        content=message.text,
        channel=message.channel or default.channel,
        recipient=message.recipient or default.recipient,
        content_type=message.content_type or default.content_type,
    )


class _Called:
    """What the assistant has called so far: names by call id, and recipients that the client spelled out itself."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.recipients: set[str] = set()

    def note(self, message: ChatMessage) -> None:
        self.names.update((call.id, call.name) for call in message.tool_calls)
        if message.recipient is not None:
            self.recipients.add(message.recipient)


def _tool_result(message: ChatMessage, called: _Called) -> Message:
    where = f"messages[{message.index}]"
    name = called.names.get(message.tool_call_id) if message.tool_call_id else None
    name = name or message.name
    if not name:
        known = ", ".join(called.names) or "none"
        raise ConversationError(
            f"{where} answers the call '{message.tool_call_id}', but no assistant message before it made that call "
            f"(calls so far: {known}). Send the assistant message with its tool_calls, then the results.",
            f"{where}.tool_call_id",
        )
    # Whoever speaks Harmony says the whole name, of a tool that may be no function.
    whole = name in called.recipients or name.startswith("functions.")
    return _with_header(Message(name if whole else f"functions.{name}", "", "commentary", "assistant"), message)
