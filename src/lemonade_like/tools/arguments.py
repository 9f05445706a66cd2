"""Checks a call's arguments before the tool sees them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import orjson
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from lemonade_like.tools.errors import InvalidArguments

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_logger = logging.getLogger("lemonade_like.tools")

_LONGEST_MESSAGE: Final = 300


class ArgumentCheck:
    """Holds arguments to a tool's schema. One that is no JSON Schema checks nothing: the tool has the last word."""

    def __init__(self, schema: dict[str, Any], tool: str) -> None:
        self._tool = tool
        self._validator: Validator | None = None
        kind = validator_for(schema, default=Draft202012Validator)
        try:
            kind.check_schema(schema)
            # With a registry of its own, nothing is fetched that the schema refers to.
            self._validator = kind(schema, registry=Registry())
        except (SchemaError, RecursionError):
            _logger.warning("The tool %s has a schema that is none, so its arguments are not checked.", tool)

    def check(self, arguments: dict[str, Any]) -> None:
        """Return if the arguments are right. Raises ``InvalidArguments`` that names what is wrong with which."""
        if self._validator is None:
            return
        try:
            error = best_match(self._validator.iter_errors(arguments))
        except (Unresolvable, RecursionError):
            _logger.warning(
                "The schema of the tool %s cannot be followed, so its arguments are not checked.", self._tool
            )
            return
        if error is None:
            return
        path = "arguments" + "".join(
            f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path
        )
        message = error.message if len(error.message) <= _LONGEST_MESSAGE else f"{error.message[:_LONGEST_MESSAGE]}…"
        raise InvalidArguments(f"'{path}' is not what the tool {self._tool} takes: {message}.", param=path)


def parsed_arguments(text: str, tool: str) -> dict[str, Any]:
    """Return the arguments that a model has written; none at all are an empty object.

    Raises:
        InvalidArguments: the text is no JSON object.
    """
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidArguments(
            f"The arguments of {tool} are not valid JSON ({error}). Write them as one JSON object.", param="arguments"
        ) from None
    if not isinstance(value, dict):
        raise InvalidArguments(f"The arguments of {tool} must be a JSON object.", param="arguments")
    return value
