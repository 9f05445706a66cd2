"""Items as a chat: those that one assistant's turn is made of are one message, as the turn that wrote them was."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lemonade_like.api.openai.responses import custom
from lemonade_like.api.openai.responses.ids import input_id
from lemonade_like.api.openai.responses.sealed import unsealed
from lemonade_like.api.openai.responses.tools import full_name
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import ChatMessage, ContentPart, MediaPart, TextPart, ToolCall
from lemonade_like.tools.catalogue import word
from lemonade_like.tools.results import told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lemonade_like.api.openai.responses.schema import InputPartIn, ItemIn
    from lemonade_like.harmony.messages import Role

T = TypeVar("T")

#: What tools on OpenAI's servers did, or a client's tool that only OpenAI's models know. It is not shown to the model.
UNREADABLE: Final = re.compile(
    r"(web_search|file_search|image_generation|code_interpreter|computer|local_shell|shell|apply_patch|tool_search)"
    r"_(call|call_output|output)|mcp_list_tools|mcp_approval_request|mcp_approval_response"
    r"|additional_tools|configuration_update|program|program_output|compaction|compaction_trigger"
)

_CALLS: Final = ("function_call", "custom_tool_call", "mcp_call")
_OUTPUTS: Final = ("function_call_output", "custom_tool_call_output")
_TEXTS: Final = ("input_text", "output_text", "reasoning_text", "summary_text", "text")
#: How ids of items begin, by type.
_KINDS: Final = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "function_call_output": "fco",
    "custom_tool_call_output": "ctco",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
}


@dataclass
class _Assistant:
    """An assistant's message in the making, with the ``results`` of those of its calls that the server ran."""

    index: int
    parts: list[ContentPart] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[ChatMessage] = field(default_factory=list)

    def messages(self) -> tuple[ChatMessage, ...]:
        """Return it, and the results that follow it."""
        return (self.message(), *self.results)

    def message(self) -> ChatMessage:
        # Blocks of one kind are joined as a turn joins them.
        return ChatMessage(
            "assistant",
            tuple(self.parts),
            reasoning="\n".join(self.reasoning) or None,
            tool_calls=tuple(self.calls),
            index=self.index,
        )


def chat(history: Sequence[ItemIn], items: Sequence[ItemIn]) -> Iterator[ChatMessage]:
    """Yield the messages of what was said before, and of the input.

    A message's index is its first item's place in the input; what comes from the history has the index -1.

    Raises:
        BadRequest: an item lacks what its type needs or cannot be shown to a model, or an output answers no call.
    """
    called: set[str] = set()
    assistant: _Assistant | None = None
    placed = [*((-1, item) for item in history), *enumerate(items)]
    for index, item in placed:
        path = f"input[{index}]" if index >= 0 else "previous_response_id"
        if UNREADABLE.fullmatch(item.type):
            continue
        if item.type in ("reasoning", *_CALLS) or (item.type == "message" and item.role == "assistant"):
            if assistant is not None and assistant.results and item.type in ("reasoning", "message"):
                # What follows a result was written when that had been read.
                yield from assistant.messages()
                assistant = None
            assistant = assistant or _Assistant(index)
            _add(item, assistant, path)
            called.update(call.id for call in assistant.calls)
            continue
        if assistant is not None:
            yield from assistant.messages()
            assistant = None
        if item.type == "message":
            role: Role = _needed(item.role, item, path, "role")
            content = _needed(item.content, item, path, "content")
            yield ChatMessage(role, tuple(_parts(content, f"{path}.content")), index=index)
        elif item.type in _OUTPUTS:
            yield _output(item, called, index, path)
        else:
            raise BadRequest(
                f"'{path}.type' is '{item.type}', an item that cannot be shown to a model here. Leave it out.",
                param=f"{path}.type",
                code="invalid_value",
            )
    if assistant is not None:
        yield from assistant.messages()


def server_calls(items: Iterable[ItemIn]) -> dict[str, tuple[str, str]]:
    """Return by its id which call the server ran: the tool server's label, and the tool's name there."""
    return {
        call_id: (item.server_label or "", item.name or "")
        for item in items
        if item.type == "mcp_call" and (call_id := _server_call_id(item)) is not None
    }


def listed_servers(items: Iterable[ItemIn]) -> frozenset[str]:
    """Return the labels of the tool servers whose tools a conversation lists."""
    return frozenset(item.server_label for item in items if item.type == "mcp_list_tools" and item.server_label)


def _server_call_id(item: ItemIn) -> str | None:
    """The id by which the model knows it; a client may have kept no more than OpenAI's fields."""
    return item.call_id or item.id


def _add(item: ItemIn, assistant: _Assistant, path: str) -> None:
    if item.type == "message":
        assistant.parts += _parts(_needed(item.content, item, path, "content"), f"{path}.content")
    elif item.type == "reasoning":
        if said := _reasoning(item):
            assistant.reasoning.append(said)
    elif item.type == "mcp_call":
        call_id = _needed(_server_call_id(item), item, path, "id")
        name = _needed(item.name, item, path, "name")
        _needed(item.server_label, item, path, "server_label")
        assistant.calls.append(ToolCall(call_id, word(name), _needed(item.arguments, item, path, "arguments")))
        text = told(_error(item.error) if item.error else _texts(item.output), failed=bool(item.error))
        result = ChatMessage("tool", (TextPart(text),), tool_call_id=call_id, index=assistant.index)
        assistant.results.append(result)
    else:
        call_id = _needed(item.call_id, item, path, "call_id")
        name = full_name(item.namespace, _needed(item.name, item, path, "name"))
        if item.type == "function_call":
            arguments = _needed(item.arguments, item, path, "arguments")
        else:
            arguments = custom.arguments_of(_needed(item.input, item, path, "input"))
        assistant.calls.append(ToolCall(call_id, name, arguments))


def _error(error: dict[str, Any] | str) -> str:
    """What a failed call says, in any of OpenAI's forms."""
    if isinstance(error, str):
        return error
    parts = error.get("content")
    if isinstance(parts, list):
        return "\n".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)
    return str(parts or error.get("message") or "The tool failed.")


def _reasoning(item: ItemIn) -> str:
    """What was thought: in full if it is there, else as it was packed here, else its summary."""
    if said := _texts(item.content):
        return said
    packed = unsealed(item.encrypted_content) if item.encrypted_content else None
    return packed if packed is not None else _texts(item.summary)


def _texts(parts: Sequence[InputPartIn] | None) -> str:
    return "\n".join(part.text for part in parts or () if part.text is not None)


def _output(item: ItemIn, called: set[str], index: int, path: str) -> ChatMessage:
    call_id = _needed(item.call_id, item, path, "call_id")
    if call_id not in called:
        raise BadRequest(
            f"No tool call found for function call output with call_id {call_id} ('{path}.call_id'). Send the call "
            "before its output, or the 'previous_response_id' of the response that made it.",
            param=f"{path}.call_id",
            code="invalid_value",
        )
    output = _needed(item.output, item, path, "output")
    return ChatMessage("tool", tuple(_parts(output, f"{path}.output")), tool_call_id=call_id, index=index)


def _parts(parts: Sequence[InputPartIn], path: str) -> Iterator[ContentPart]:
    for place, part in enumerate(parts):
        if part.text is not None and part.type in _TEXTS:
            yield TextPart(part.text)
        elif part.refusal is not None and part.type == "refusal":
            yield TextPart(part.refusal)
        elif part.type == "input_image" and part.image_url is not None:
            # The form that llama.cpp's chat takes.
            yield MediaPart("input_image", {"type": "image_url", "image_url": {"url": part.image_url}})
        elif part.type == "input_audio":
            yield MediaPart("input_audio", part.model_dump(exclude_unset=True))
        else:
            raise BadRequest(_unusable(part, f"{path}[{place}]"), param=f"{path}[{place}]", code="invalid_value")


def _unusable(part: InputPartIn, path: str) -> str:
    if part.type == "input_image":
        return f"'{path}' has no 'image_url': no files are kept here, so an image is sent as a URL or a data URL."
    if part.type == "input_file":
        return f"'{path}' is a file, which is not read here. Send what it says as a part of type 'input_text'."
    return f"'{path}' is of type '{part.type}', which cannot be shown to a model here. Leave it out."


def _needed(value: T | None, item: ItemIn, path: str, name: str) -> T:
    if value is None:
        raise BadRequest(
            f"'{path}.{name}' is required in an item of type '{item.type}', but missing.",
            param=f"{path}.{name}",
            code="missing_required_parameter",
        )
    return value


def kept_items(items: Sequence[ItemIn], response_id: str) -> list[dict[str, Any]]:
    """Return the items of an input as they are kept and listed: whole, each with an id."""
    return [
        _kept(item, item.id or input_id(response_id, _KINDS[item.type], index))
        for index, item in enumerate(items)
        if item.type in _KINDS
    ]


def _kept(item: ItemIn, item_id: str) -> dict[str, Any]:
    kept: dict[str, Any] = {"id": item_id, "type": item.type, "status": "completed"}
    if item.type == "message":
        written = _kept_answer if item.role == "assistant" else _kept_input
        kept |= {"role": item.role, "content": [written(part) for part in item.content or ()]}
        if item.phase is not None:
            kept["phase"] = item.phase
    elif item.type == "reasoning":
        kept["summary"] = [{"type": "summary_text", "text": part.text or ""} for part in item.summary or ()]
        if item.content is not None:
            kept["content"] = [{"type": "reasoning_text", "text": part.text or ""} for part in item.content]
        if item.encrypted_content is not None:
            kept["encrypted_content"] = item.encrypted_content
    elif item.type in _OUTPUTS:
        parts = item.output or []
        as_text = len(parts) == 1 and parts[0].type == "input_text"
        kept |= {"call_id": item.call_id, "output": parts[0].text if as_text else [_kept_input(one) for one in parts]}
    elif item.type == "mcp_list_tools":
        kept |= {"server_label": item.server_label, "tools": item.tools or [], "error": item.error}
        del kept["status"]
    elif item.type == "mcp_call":
        kept |= {"server_label": item.server_label, "name": item.name, "arguments": item.arguments}
        kept |= {"output": _texts(item.output) if item.output else None, "error": item.error}
        kept |= {"status": "failed" if item.error else "completed", "call_id": _server_call_id(item)}
    else:
        text = "arguments" if item.type == "function_call" else "input"
        kept |= {"call_id": item.call_id, "name": item.name, text: getattr(item, text)}
        if item.namespace is not None:
            kept["namespace"] = item.namespace
    return kept


def _kept_answer(part: InputPartIn) -> dict[str, Any]:
    if part.refusal is not None:
        return {"type": "refusal", "refusal": part.refusal}
    return {"type": "output_text", "text": part.text or "", "annotations": [], "logprobs": []}


def _kept_input(part: InputPartIn) -> dict[str, Any]:
    if part.text is not None:
        return {"type": "input_text", "text": part.text}
    if part.refusal is not None:
        return {"type": "input_text", "text": part.refusal}
    return {"detail": "auto", **part.model_dump(exclude_unset=True)}
