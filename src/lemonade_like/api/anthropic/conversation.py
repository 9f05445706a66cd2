"""Messages of blocks as a chat: one message may be several, since what tools returned stands in the user's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from lemonade_like.api.anthropic.calls import arguments_of, own_id
from lemonade_like.api.anthropic.schema import UNREADABLE, BlockIn, BlockMessageIn, SourceIn
from lemonade_like.api.validation import wrong
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import ChatMessage, ContentPart, MediaPart, TextPart, ToolCall
from lemonade_like.tools.catalogue import word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")

_BELONGS: Final = {
    "thinking": "assistant",
    "tool_use": "assistant",
    "mcp_tool_use": "assistant",
    "mcp_tool_result": "assistant",
    "tool_result": "user",
}


@dataclass
class _Turn:
    """An assistant's message in the making, with the ``results`` of those of its calls that the server ran."""

    index: int
    parts: list[ContentPart] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[ChatMessage] = field(default_factory=list)

    def messages(self) -> Iterator[ChatMessage]:
        # Blocks of one kind are joined as a turn joins them.
        reasoning = "\n".join(self.reasoning) or None
        yield ChatMessage(
            "assistant", tuple(self.parts), reasoning=reasoning, tool_calls=tuple(self.calls), index=self.index
        )
        yield from self.results


class BlockReader:
    """Reads the messages of one request in their order; knows the calls that were made so far."""

    def __init__(self) -> None:
        self._called: set[str] = set()
        #: By its id, which call the server ran: the tool server's label, and the tool's name there.
        self.server_calls: dict[str, tuple[str, str]] = {}

    def chat(self, messages: Sequence[BlockMessageIn]) -> Iterator[ChatMessage]:
        """Yield the messages of the chat. Raises ``BadRequest`` for a block that cannot be shown to a model."""
        for index, message in enumerate(messages):
            where = f"messages[{index}]"
            for place, block in enumerate(message.content):
                wanted = _BELONGS.get(block.type, message.role)
                if wanted != message.role:
                    raise wrong(
                        f"{where}.content[{place}]",
                        f"is a block of type '{block.type}', which belongs in a message of role '{wanted}', "
                        f"not '{message.role}'",
                    )
            if message.role == "assistant":
                yield from self._assistant(message, index, where)
            else:
                yield from self._others(message, index, where)

    def _assistant(self, message: BlockMessageIn, index: int, where: str) -> Iterator[ChatMessage]:
        """What the server's own tools returned stands within the message; each round up to there is one of its own."""
        turn = _Turn(index)
        for place, block in enumerate(message.content):
            path = f"{where}.content[{place}]"
            if turn.results and block.type not in ("mcp_tool_result", "mcp_tool_use", "tool_use"):
                # What follows a result was written when that had been read.
                yield from turn.messages()
                turn = _Turn(index)
            if block.type == "thinking":
                turn.reasoning.append(_needed(block.thinking, block, path, "thinking"))
            elif block.type in ("tool_use", "mcp_tool_use"):
                turn.calls.append(self._call(block, path))
            elif block.type == "mcp_tool_result":
                turn.results.append(self._result(block, index, path))
            else:
                turn.parts += _parts(block, path)
        yield from turn.messages()

    def _call(self, block: BlockIn, path: str) -> ToolCall:
        call_id = own_id(_needed(block.id, block, path, "id"))
        name = _needed(block.name, block, path, "name")
        arguments = arguments_of(_needed(block.input, block, path, "input"))
        self._called.add(call_id)
        if block.type == "mcp_tool_use":
            self.server_calls[call_id] = (_needed(block.server_name, block, path, "server_name"), name)
            name = word(name)
        return ToolCall(call_id, name, arguments)

    def _others(self, message: BlockMessageIn, index: int, where: str) -> Iterator[ChatMessage]:
        """Results come before what the user says, wherever they stand: a model reads them after its calls."""
        parts: list[ContentPart] = []
        results = 0
        for place, block in enumerate(message.content):
            path = f"{where}.content[{place}]"
            if block.type == "tool_result":
                results += 1
                yield self._result(block, index, path)
            else:
                parts += _parts(block, path)
        if parts or not results:
            yield ChatMessage("system" if message.role == "system" else "user", tuple(parts), index=index)

    def _result(self, block: BlockIn, index: int, path: str) -> ChatMessage:
        shown = _needed(block.tool_use_id, block, path, "tool_use_id")
        call_id = own_id(shown)
        if call_id not in self._called:
            raise wrong(
                f"{path}.tool_use_id",
                f"is '{shown}', but no message before it has a 'tool_use' block of this id. Send the assistant's "
                "message with its blocks, then the results",
            )
        parts: list[ContentPart] = []
        for place, inner in enumerate(block.content or ()):
            parts += _parts(inner, f"{path}.content[{place}]")
        if block.is_error:
            parts = _told_as_error(parts)
        return ChatMessage("tool", tuple(parts), tool_call_id=call_id, index=index)


def _told_as_error(parts: list[ContentPart]) -> list[ContentPart]:
    """A chat has no mark for a result that is an error, so its text says so."""
    first = parts[0] if parts else TextPart("the tool failed.")
    if not isinstance(first, TextPart):
        return [TextPart("Error:"), *parts]
    if first.text.lstrip("<[").lower().startswith(("error", "tool_use_error")):
        return parts
    return [TextPart(f"Error: {first.text}"), *parts[1:]]


def _parts(block: BlockIn, path: str) -> list[ContentPart]:
    """What a block says to the model; nothing, if only Anthropic can read it."""
    if block.type == "text":
        return [TextPart(_needed(block.text, block, path, "text"))]
    if block.type == "image":
        return [MediaPart("image", _image(_needed(block.source, block, path, "source"), f"{path}.source"))]
    if block.type == "document":
        parts = _document(_needed(block.source, block, path, "source"), f"{path}.source")
        return [*(TextPart(said) for said in (block.title, block.context) if said), *parts]
    if block.type == "search_result":
        said = [block.title, block.source.url if block.source is not None else None]
        inner = _needed(block.content, block, path, "content")
        return [*(TextPart(each) for each in said if each), *_all_parts(inner, path)]
    if block.type == "compaction":
        return list(_all_parts(block.content or (), path))
    if block.type == "tool_reference" or UNREADABLE.fullmatch(block.type):
        return []
    raise wrong(f"{path}.type", f"is '{block.type}', a block that cannot be shown to a model here. Leave it out")


def _all_parts(blocks: Sequence[BlockIn], path: str) -> Iterator[ContentPart]:
    for place, block in enumerate(blocks):
        yield from _parts(block, f"{path}.content[{place}]")


def _image(source: SourceIn, path: str) -> dict[str, object]:
    """The image in the form that llama.cpp's chat takes."""
    if source.type == "base64" and source.data is not None and source.media_type is not None:
        return _image_url(f"data:{source.media_type};base64,{source.data}")
    if source.type == "url" and source.url is not None:
        return _image_url(source.url)
    raise wrong(path, "must be of type 'base64', with 'media_type' and 'data', or of type 'url', with 'url'")


def _image_url(url: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url}}


def _document(source: SourceIn, path: str) -> list[ContentPart]:
    if source.type == "text" and source.data is not None:
        return [TextPart(source.data)]
    if source.type == "content" and source.content is not None:
        return list(_all_parts(source.content, path))
    raise wrong(
        path,
        f"is of type '{source.type}', but documents are read as text only. Send what it says, as a source of type "
        "'text' with 'data'",
    )


def _needed(value: T | None, block: BlockIn, path: str, field: str) -> T:
    if value is None:
        raise BadRequest(
            f"'{path}.{field}' is required in a block of type '{block.type}', but missing.",
            param=f"{path}.{field}",
            code="missing_required_parameter",
        )
    return value
