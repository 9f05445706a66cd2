"""Tool calls in Anthropic's form: their ids, and their input, which is an object whatever the model wrote."""

from __future__ import annotations

from typing import Any, Final

import orjson

#: How a turn's own ids begin, and how Anthropic's do. What follows stays as it is: a turn is remembered by it.
_OURS: Final = "call_"
_THEIRS: Final = "toolu_"
_OF_SERVER: Final = "mcptoolu_"

#: The key under which Anthropic's documentation has arguments wrapped that are no JSON.
INVALID_JSON: Final = "INVALID_JSON"

#: Clients parse an input with parsers that stop somewhere, and send it back within a body that does.
_MAX_DEPTH: Final = 64


def shown_id(call_id: str) -> str:
    """Return the id of a call as Anthropic's clients know ids; an id that the engine made stays as it is."""
    return _THEIRS + call_id.removeprefix(_OURS) if call_id.startswith(_OURS) else call_id


def server_id(call_id: str) -> str:
    """Return the id of a call that the server ran, as Anthropic's clients know those."""
    return _OF_SERVER + call_id.removeprefix(_OURS) if call_id.startswith(_OURS) else call_id


def own_id(shown: str) -> str:
    """Return the id that was shown so."""
    theirs = next((prefix for prefix in (_THEIRS, _OF_SERVER) if shown.startswith(prefix)), None)
    return shown if theirs is None else _OURS + shown.removeprefix(theirs)


def input_json(arguments: str) -> str:
    """Return the JSON text of a call's input: the arguments as the model wrote them.

    Arguments that are no JSON object are kept as the one string of an object, under ``INVALID_JSON``. None at all are
    an empty object.
    """
    if not arguments.strip():
        return "{}"
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict) and not _is_deeper(value, _MAX_DEPTH):
        return arguments
    return orjson.dumps({INVALID_JSON: arguments}).decode()


def arguments_of(value: dict[str, Any]) -> str:
    """Return the arguments whose input this is, in compact JSON."""
    wrapped = value.get(INVALID_JSON)
    if isinstance(wrapped, str) and len(value) == 1:
        return wrapped
    return orjson.dumps(value).decode()


def _is_deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            child
            for node in layer
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not layer:
            return False
    return True
