"""Custom tools, which take text: the model is offered a function with that text as its one argument."""

from __future__ import annotations

from typing import Any, Final

import orjson

_FIELD: Final = "input"

#: What the model reads of such a function.
PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {_FIELD: {"type": "string", "description": "The whole input of the tool, as plain text."}},
    "required": [_FIELD],
    "additionalProperties": False,
}


def described(description: str, form: dict[str, Any] | None) -> str:
    """Return the tool's description with the grammar that its input must follow, for the model to read."""
    definition = (form or {}).get("definition")
    if not isinstance(definition, str) or not definition:
        return description
    syntax = (form or {}).get("syntax")
    told = f"The input must follow this {syntax if isinstance(syntax, str) else ''} grammar:".replace("  ", " ")
    return "\n".join(filter(None, (description, told, definition)))


def arguments_of(text: str) -> str:
    """Return the arguments of a call with this input, as compact JSON."""
    return orjson.dumps({_FIELD: text}).decode()


def input_of(arguments: str) -> str:
    """Return the input of a call. Arguments in any other form than the one asked for are the input themselves."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    text = value.get(_FIELD) if isinstance(value, dict) and len(value) == 1 else None
    return text if isinstance(text, str) else arguments
