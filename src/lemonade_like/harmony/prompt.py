"""Builds prompts and training samples for GPT-OSS out of chats: as token ids, and as text to look at.

Sources: the Harmony response format guide for the layout; openai-harmony 0.0.8 for the ids, which are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final, TypedDict

from lemonade_like.harmony.conversation import (
    EFFORTS,
    IDENTITY,
    KNOWLEDGE_CUTOFF,
    ConversationError,
    HarmonyConversation,
    Opening,
    SystemMessage,
    build_conversation,
)
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, Message, TextPart
from lemonade_like.harmony.renderer import Renderer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lemonade_like.harmony.encoding import Encoder

#: What a prompt is built of: the chat, the tools, and the section of the developer message that tells the format.
Parts = tuple[Sequence[ChatMessage], Sequence[FunctionTool], str]
#: Reads messages, tools and response format of a client's wire format; those that are read already are left as they
#: are.
ReadChat = Callable[[Sequence[Any], Sequence[Any], Any], Parts]

#: Stands for the day on which a prompt is built.
TODAY: Final = "today"


@dataclass(frozen=True)
class BuiltPrompt:
    """A prompt, or a training sample.

    ``ids`` is what to give to a model: a flat list of o200k_harmony token ids, each below 201,088. ``text`` spells them
    out and is for reading only: a marker that a user wrote looks in it like a real one. ``messages`` are the whole
    Harmony messages. ``opening`` says how the message begins that the model goes on with; hand it to
    ``ResponseParser.parse`` together with what the model wrote.
    """

    ids: list[int]
    text: str = field(repr=False)
    messages: tuple[Message, ...]
    opening: Opening = field(default_factory=Opening)


class PromptSettings(TypedDict, total=False):
    """The settings of a prompt, each described at :class:`PromptBuilder`."""

    reasoning_level: str
    knowledge_cutoff: str
    current_date: str | date | None
    identity: str
    instructions: str
    tools: Sequence[Any]
    response_format: Any


class PromptBuilder:
    """Builds prompts with the same settings again and again; every call may override each of them.

    Args:
        encoder: the o200k_harmony encoding.
        read: reads messages and tools that are not yet ``ChatMessage`` and ``FunctionTool``, and a response format that
            is not yet text.
        reasoning_level: how much the model is to reason: ``low``, ``medium``, ``high``, another word for one of
            these (``quick``, ``balanced``, ``thorough``, …), or ``none``: the prompt then opens the final channel.
        knowledge_cutoff: as the system message says it, usually ``YYYY-MM``.
        current_date: ``YYYY-MM-DD`` or a ``date``; ``"today"`` is the day of the call; ``None`` leaves the line out.
            For prompts and samples that must stay the same, give a date.
        identity: the first line of the system message.
        instructions: text for the developer message, before what the chat's own leading system and developer
            messages say.
        tools: functions that the model may call.
        response_format: the form of the answer that the model is told, as the last section of the developer message;
            nothing here holds it to that form.
        today: the clock.

    Safe to share between threads. Messages that were seen before are not encoded again.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        read: ReadChat | None = None,
        reasoning_level: str = "medium",
        knowledge_cutoff: str = KNOWLEDGE_CUTOFF,
        current_date: str | date | None = TODAY,
        identity: str = IDENTITY,
        instructions: str = "",
        tools: Sequence[Any] = (),
        response_format: Any = None,
        today: Callable[[], date] = date.today,
    ) -> None:
        self._encoder = encoder
        self._renderer = Renderer(encoder)
        self._read = read or _as_they_are
        self._today = today
        self._defaults: PromptSettings = {
            "reasoning_level": reasoning_level,
            "knowledge_cutoff": knowledge_cutoff,
            "current_date": current_date,
            "identity": identity,
            "instructions": instructions,
            "tools": tools,
            "response_format": response_format,
        }
        self._system(self._defaults)  # what is wrong with a setting is said here, not at the first prompt

    def build(self, messages: Sequence[Any], **overrides: Unpack[PromptSettings]) -> BuiltPrompt:
        """Return the prompt for the assistant's next message.

        Past reasoning is shown to the model only after the last final answer, as GPT-OSS was trained. A trailing
        assistant message is continued: it becomes the prompt's ``opening``.

        Args:
            messages: the chat, oldest first.
            overrides: ``reasoning_level``, ``knowledge_cutoff``, ``current_date``, ``identity``, ``instructions``,
                ``tools`` or ``response_format``, for this prompt only.

        Raises:
            ConversationError: the chat or a setting cannot be said in Harmony; ``.param`` says which part.
            TypeError: an override that there is not.
        """
        (chat, tools, response_format), system = self._prepare(messages, overrides)
        conversation = build_conversation(chat, system, tools, response_format=response_format)
        prompt = self._renderer.render_for_completion(conversation)
        return BuiltPrompt(prompt.ids, self._encoder.decode(prompt.ids), _messages(conversation), prompt.opening)

    def build_for_training(
        self, messages: Sequence[Any], *, keep_analysis: bool = False, **overrides: Unpack[PromptSettings]
    ) -> BuiltPrompt:
        """Return a finished conversation as a sample to train on.

        Each channel is an assistant message of its own; a final answer that ends the sample ends with ``<|return|>``,
        which is what the model is to write there.

        With ``keep_analysis`` all reasoning stays, and the ids are those of openai-harmony's
        ``render_conversation_for_training`` with ``auto_drop_analysis=False``. Without it earlier reasoning is left
        out as it is from a prompt, while that of the last turn, which the sample teaches, stays. (The library's own
        default leaves out the reasoning before the *first* final answer, so that a sample of one turn teaches none,
        and one of three turns shows what no prompt shows.)

        Args and errors are those of :meth:`build`.
        """
        (chat, tools, response_format), system = self._prepare(messages, overrides)
        finished = training_messages(chat, system, tools, keep_analysis=keep_analysis, response_format=response_format)
        ids = self._renderer.render_messages(finished)
        return BuiltPrompt(ids, self._encoder.decode(ids), finished)

    def _prepare(self, messages: Sequence[Any], overrides: PromptSettings) -> tuple[Parts, SystemMessage]:
        unknown = [name for name in overrides if name not in self._defaults]
        if unknown:
            raise TypeError(f"{unknown[0]!r} is no setting of a prompt; there are {', '.join(self._defaults)}.")
        chosen: PromptSettings = {**self._defaults, **overrides}
        chat, tools, response_format = self._read(messages, chosen["tools"] or (), chosen["response_format"])
        if chosen["instructions"]:
            chat = [ChatMessage("developer", (TextPart(chosen["instructions"]),)), *chat]
        return (chat, tools, response_format), self._system(chosen)

    def _system(self, chosen: PromptSettings) -> SystemMessage:
        effort = EFFORTS.get(chosen["reasoning_level"])
        if effort is None:
            raise ConversationError(
                f"reasoning_level is {chosen['reasoning_level']!r}, but must be one of {', '.join(EFFORTS)}.",
                "reasoning_level",
            )
        return SystemMessage(
            effort, self._date_line(chosen["current_date"]), chosen["identity"], chosen["knowledge_cutoff"]
        )

    def _date_line(self, given: str | date | None) -> str | None:
        if given is None:
            return None
        try:
            day = self._today() if given == TODAY else given
            day = day if isinstance(day, date) else date.fromisoformat(day)
            return date(day.year, day.month, day.day).isoformat()
        except (TypeError, ValueError):
            raise ConversationError(
                f"current_date is {given!r}, but must be a date such as '2026-01-31', 'today' or None.", "current_date"
            ) from None


def training_messages(
    chat: Sequence[ChatMessage],
    system: SystemMessage,
    tools: Sequence[FunctionTool],
    *,
    keep_analysis: bool,
    response_format: str = "",
) -> tuple[Message, ...]:
    """Return the messages of a finished conversation, the last one as the model is to write it, to its end.

    Raises:
        ConversationError: the chat cannot be said in Harmony.
    """
    conversation = build_conversation(
        chat, system, tools, finished=True, keep_all_reasoning=keep_analysis, response_format=response_format
    )
    *before, last = _messages(conversation)
    if last.role == "assistant" and last.channel == "final":
        last = replace(last, end="<|return|>")
    return (*before, last)


def _messages(conversation: HarmonyConversation) -> tuple[Message, ...]:
    # Only a server, which remembers what was generated, has messages that are known by their ids alone.
    return tuple(message for message in conversation.messages if isinstance(message, Message))


def _as_they_are(messages: Sequence[Any], tools: Sequence[Any], response_format: Any) -> Parts:
    for one in (*messages, *tools):
        if not isinstance(one, ChatMessage | FunctionTool):
            raise TypeError(f"A chat is made of ChatMessage and FunctionTool here, not of {type(one).__name__}.")
    if not isinstance(response_format, str | None):
        raise TypeError(f"A response format is text here, not {type(response_format).__name__}.")
    return messages, tools, response_format or ""
