"""``PromptBuilder`` and ``ResponseParser`` for Python users: bound to the vocabulary of the bundled model.

The vocabulary is unpacked into the user's cache once (about a second), by whoever needs it first, and loaded once in a
process (0.2 s, about 60 MB), when ids are first made or read.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.openai.turn import turn_request
from lemonade_like.api.validation import validated
from lemonade_like.configuration import load_settings
from lemonade_like.errors import BadRequest, HarmonyUnavailable
from lemonade_like.harmony import encoding, prompt, response
from lemonade_like.harmony.conversation import ConversationError
from lemonade_like.harmony.encoding import HarmonyEncoding
from lemonade_like.harmony.messages import ChatMessage, FunctionTool
from lemonade_like.models.bundled import bundled_model_path
from lemonade_like.models.vocabulary import vocabulary_dir
from lemonade_like.turns.constraint import told_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from typing_extensions import Unpack

    from lemonade_like.harmony.prompt import Parts, PromptSettings

#: Stands where a message is that needs no reading, so that errors name the place of those that do.
_READ_ALREADY: dict[str, Any] = {"role": "user", "content": ""}


class PromptBuilder(prompt.PromptBuilder):
    """Builds prompts and training samples for GPT-OSS, as token ids and as text.

    ::

        builder = PromptBuilder(reasoning_level="high", current_date="2026-01-31", instructions="Be brief.")
        prompt = builder.build([{"role": "user", "content": "What is 2+2?"}])
        prompt.ids, prompt.text

    Messages are OpenAI's dicts, as the server takes them (with ``tool_calls``, ``reasoning_content``, ``reasoning`` or
    ``thinking``), or ``ChatMessage``; tools are OpenAI's dicts or ``FunctionTool``; a response format is OpenAI's dict,
    or the text of its section. Whatever a message says, its text never becomes a control token.

    Args:
        cache_dir: the folder for the vocabulary; by default the user's cache, or ``LEMONADE_LIKE_CACHE_DIR``.
        settings: see :class:`lemonade_like.harmony.prompt.PromptBuilder`: ``reasoning_level``, ``knowledge_cutoff``,
            ``current_date``, ``identity``, ``instructions``, ``tools``, ``response_format``.

    Raises:
        ConversationError: a setting that cannot be; ``build`` also for a chat that cannot be said in Harmony.
        HarmonyUnavailable, OSError: on the first ``build``, when the vocabulary cannot be unpacked or loaded.

    Safe to share between threads.
    """

    def __init__(self, *, cache_dir: str | Path | None = None, **settings: Unpack[PromptSettings]) -> None:
        super().__init__(BundledEncoding(cache_dir), read=read_openai, **settings)


class ResponseParser(response.ResponseParser):
    """Takes what a GPT-OSS model wrote apart: answer, reasoning, commentary, tool calls.

    ::

        parsed = ResponseParser().parse("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant…")
        parsed.final, parsed.analysis, parsed.commentary, parsed.tool_calls, parsed.channels, parsed.metadata

    Ids or text, well-formed or not: see :class:`lemonade_like.harmony.response.ResponseParser`.

    Args:
        cache_dir: the folder for the vocabulary; by default the user's cache, or ``LEMONADE_LIKE_CACHE_DIR``.
        tools: the functions that were offered, or their names; only recipients without ``functions.`` need them.

    Raises:
        HarmonyUnavailable, OSError: when ids are parsed and the vocabulary cannot be unpacked or loaded.

    Safe to share between threads.
    """

    def __init__(
        self,
        *,
        tools: Iterable[str | FunctionTool | Mapping[str, Any]] = (),
        cache_dir: str | Path | None = None,
    ) -> None:
        super().__init__(BundledEncoding(cache_dir), tools=tools)


def read_openai(messages: Sequence[Any], tools: Sequence[Any], response_format: Any = None) -> Parts:
    """Return OpenAI's dicts as the server reads them; what is read already stays as it is.

    Raises:
        ConversationError: a dict that the server would not take; the message and ``.param`` name the field.
    """
    told = response_format if isinstance(response_format, str) else ""
    if all(isinstance(one, ChatMessage | FunctionTool) for one in (*messages, *tools)) and (
        told or response_format is None
    ):
        return messages, tools, told
    unread_tools = [tool for tool in tools if not isinstance(tool, FunctionTool)]
    body = {
        "model": "any",
        "messages": [_READ_ALREADY if isinstance(one, ChatMessage) else one for one in messages] or [_READ_ALREADY],
        "tools": unread_tools,
        "response_format": None if told else response_format,
    }
    try:
        request = turn_request(validated(ChatCompletionRequest, body))
        told = told or told_format(request.response_format)
    except BadRequest as error:
        raise ConversationError(error.message, error.param or "messages") from None
    chat = [
        one if isinstance(one, ChatMessage) else read for one, read in zip(messages, request.messages, strict=False)
    ]
    newly_read = iter(request.tools)
    return chat, [tool if isinstance(tool, FunctionTool) else next(newly_read) for tool in tools], told


class BundledEncoding:
    """The encoding of the bundled model's vocabulary, loaded when it is first used.

    Raises:
        HarmonyUnavailable, OSError: then, when the vocabulary cannot be unpacked or loaded.
    """

    def __init__(self, cache_dir: str | Path | None = None) -> None:
        self._cache_dir = cache_dir
        self._loaded: HarmonyEncoding | None = None

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text`` as ordinary text."""
        return self._encoding().encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``, control tokens spelled out."""
        return self._encoding().decode(ids)

    def _encoding(self) -> HarmonyEncoding:
        if self._loaded is None:
            folder = Path(self._cache_dir) if self._cache_dir is not None else load_settings({}).cache_dir
            with _loading:
                self._loaded = _load(folder)
        return self._loaded


_loading = Lock()


@cache
def _load(folder: Path) -> HarmonyEncoding:
    """Load the vocabulary, once in a process for all who share a cache; it takes 60 MB."""
    try:
        return HarmonyEncoding.load(vocabulary_dir(bundled_model_path(folder), folder))
    except encoding.HarmonyUnavailable as error:
        raise HarmonyUnavailable(str(error)) from error
