"""Turns what pydantic finds wrong into one sentence that names the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from lemonade_like.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ModelT = TypeVar("ModelT", bound=BaseModel)

_WANTED: Final = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of a sensible size",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}

_BOUNDS: Final = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("greater than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}

_LONGEST_VALUE_SHOWN: Final = 60


def validated(model: type[ModelT], data: Mapping[str, Any]) -> ModelT:
    """Return ``data`` as a ``model``.

    Raises:
        BadRequest: with the path of the first field that is wrong as ``param``.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise as_bad_request(error.errors(include_url=False)) from None


def wrong(field: str, what: str) -> BadRequest:
    """Return the error that says ``what`` is wrong with a field, in words that go on from its name."""
    return BadRequest(f"'{field}' {what}.", param=field, code="invalid_value")


def as_bad_request(errors: Sequence[Mapping[str, Any]]) -> BadRequest:
    """Return pydantic's errors as one BadRequest about the first of them."""
    first = errors[0]
    # Of a key that is wrong pydantic says so in the path; the field is what holds it.
    location = first["loc"][:-2] if first["loc"] and first["loc"][-1] == "[key]" else first["loc"]
    path = field_path(location)
    code = "missing_required_parameter" if first["type"] in ("missing", "nothing_said") else "invalid_value"
    return BadRequest(_sentence(path, first), param=path or first.get("ctx", {}).get("param"), code=code)


def field_path(location: Sequence[str | int]) -> str:
    """Return a pydantic location as clients write it: ``messages[1].content``."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step}" if path else step
    return path


def _sentence(path: str, error: Mapping[str, Any]) -> str:
    kind: str = error["type"]
    context: Mapping[str, Any] = error.get("ctx", {})
    value = error.get("input")
    if kind == "missing":
        return f"'{path}' is required, but missing."
    if wanted := _WANTED.get(kind):
        return f"'{path}' must be {wanted}, not {_describe(value)}."
    if bound := _BOUNDS.get(kind):
        words, key = bound
        limit = context[key]
        shown = int(limit) if float(limit).is_integer() else limit
        return f"'{path}' must be {words} {shown}, but is {_describe(value)}."
    if kind == "literal_error":
        return f"'{path}' must be {context['expected']}, but is {_describe(value)}."
    if kind == "too_short":
        return f"'{path}' must not be empty."
    if kind == "too_long":
        return f"'{path}' takes at most {context['max_length']} entries, but has {context['actual_length']}."
    if kind == "string_too_short":
        return f"'{path}' must not be an empty string."
    if kind == "string_too_long":
        return f"'{path}' takes at most {context['max_length']} characters."
    if kind == "extra_forbidden":
        return f"'{path}' is no field of this request."
    # What a check of ours says is a sentence of its own if it is of the whole, or begins with the field's name.
    said = error["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{said}." if not path or said.startswith(path) else f"'{path}' {said}."


def _describe(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= _LONGEST_VALUE_SHOWN else "a string"
    return "a list" if isinstance(value, list) else "an object"
