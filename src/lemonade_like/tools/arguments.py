"""Checks a call's arguments before the tool sees them."""

from __future__ import annotations

import asyncio
import logging
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import orjson
from jsonschema.exceptions import best_match
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry

from lemonade_like.tools.errors import InvalidArguments

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_logger = logging.getLogger("lemonade_like.tools")

#: Bytes of JSON. More than a model writes, and than a tool is likely to take.
MAX_BYTES: Final = 1_000_000
#: So many are checked at once; more take long enough to be checked beside the event loop.
_AT_ONCE_BYTES: Final = 4_000
_LONGEST_MESSAGE: Final = 300


class ArgumentCheck:
    """Holds arguments to a tool's schema. One that is no JSON Schema checks nothing: the tool has the last word.

    What is wrong with a schema is a matter of the tool's server, and it has more ways to be wrong than the library has
    errors for.
    """

    def __init__(self, schema: dict[str, Any], tool: str) -> None:
        self._tool = tool
        self._validator: Validator | None = None
        try:
            kind = validator_for(schema, default=Draft202012Validator)
            kind.check_schema(schema)
            # With a registry of its own, nothing is fetched that the schema refers to.
            self._validator = kind(schema, registry=Registry())
        except Exception as error:
            _logger.warning(
                "The tool %s has a schema that is none, so its arguments are not checked (%s)",
                tool,
                type(error).__name__,
            )

    @property
    def checks(self) -> bool:
        """Whether there is a schema to hold arguments to."""
        return self._validator is not None

    async def check(self, arguments: dict[str, Any]) -> None:
        """Return if the arguments are right; what is large holds up nobody else meanwhile.

        Raises:
            InvalidArguments: names the first thing that is wrong.
        """
        if self._validator is None:
            return
        if _is_small(arguments):
            self._check(self._validator, arguments)
        else:
            await asyncio.to_thread(self._check, self._validator, arguments)

    def _check(self, validator: Validator, arguments: dict[str, Any]) -> None:
        try:
            # One is enough: a list may have a hundred thousand.
            error = best_match(islice(validator.iter_errors(arguments), 1))
        except Exception as failed:
            _logger.warning(
                "The schema of the tool %s cannot be followed, so its arguments are not checked (%s)",
                self._tool,
                type(failed).__name__,
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
        InvalidArguments: the text is no JSON object, or has more than ``MAX_BYTES``.
    """
    if len(text.encode()) > MAX_BYTES:
        raise InvalidArguments(
            f"The arguments of {tool} have more than {MAX_BYTES:,} bytes. Call it with less, or in several calls.",
            param="arguments",
        )
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


def _is_small(arguments: dict[str, Any]) -> bool:
    try:
        return len(orjson.dumps(arguments)) <= _AT_ONCE_BYTES
    except TypeError:
        # It is nested more deeply than can be written.
        return False
