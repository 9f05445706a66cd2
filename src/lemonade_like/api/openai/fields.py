"""What the fields of a request may hold: types that check a value, and forms that clients send one in."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Final

import orjson
from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from lemonade_like.api.json_schema import spelt

_FUNCTION_NAME: Final = re.compile(r"[a-zA-Z0-9_.\-]{1,64}")
_WORD: Final = re.compile(r"\S{1,256}")
_CONTENT_TYPE: Final = re.compile(r"(?:<\|constrain\|>)?[\w.+/-]{1,64}|<\|constrain\|>")
_TOKEN_ID: Final = re.compile(r"[0-9]{1,9}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _function_name(name: str) -> str:
    if not _FUNCTION_NAME.fullmatch(name):
        raise PydanticCustomError("name", "must be 1 to 64 letters, digits, '_', '.' or '-'")
    return name


def word(name: str) -> str:
    """Check a name that no declaration has to have allowed."""
    if not _WORD.fullmatch(name):
        raise PydanticCustomError("name", "must be a name of at most 256 characters without spaces")
    return name


def _content_type(text: str) -> str:
    if not _CONTENT_TYPE.fullmatch(text):
        raise PydanticCustomError("content_type", "must be a word such as 'json', or '<|constrain|>' and a word")
    return text


def _date(text: str) -> str:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text).isoformat()
    except ValueError:  # there is no 31st of February
        pass
    raise PydanticCustomError("date", "must be a date, as in 2026-01-31")


def as_parts(content: Any) -> Any:
    """Return content as a list of parts; a string is one part."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if content is not None and not isinstance(content, list):
        raise PydanticCustomError("content", "must be a string or a list of parts")
    return content


def as_list(value: Any) -> Any:
    """Return one stop string or several as a list."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise PydanticCustomError("stop", "must be a string or a list of strings")
    return value


def _token_id(token: str) -> str:
    if not _TOKEN_ID.fullmatch(token):
        raise PydanticCustomError(
            "token_id", "must name tokens by their ids, as in {\"15043\": -100}, not '{token}'", {"token": token[:40]}
        )
    return token


def as_json_text(arguments: Any) -> Any:
    """Some clients send a call's arguments as the object itself."""
    return orjson.dumps(arguments).decode() if isinstance(arguments, dict) else arguments


def nested_function(tool: Any) -> Any:
    """Check that a tool has its name where chat completions have it."""
    if isinstance(tool, dict) and tool.get("type") == "function" and "name" in tool and "function" not in tool:
        raise PydanticCustomError(
            "flat_function",
            "has the form of the Responses API. Here the name goes inside 'function': "
            '{"type": "function", "function": {"name": …}}',
        )
    return tool


FunctionName = Annotated[str, AfterValidator(_function_name), spelt(_FUNCTION_NAME)]
#: A name in the history is what a model wrote, which no declaration has to have allowed.
CalledName = Annotated[str, AfterValidator(word), spelt(_WORD)]
ContentType = Annotated[str, AfterValidator(_content_type), spelt(_CONTENT_TYPE)]
Date = Annotated[str, AfterValidator(_date), WithJsonSchema({"type": "string", "format": "date"})]
Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
TokenLimit = Annotated[int, Field(ge=1, le=2**31 - 1)]
TokenBudget = Annotated[int, Field(ge=0, le=2**31 - 1)]
#: The engine allocates this many tokens for each slot, so it is bounded by the longest context there is.
LastTokens = Annotated[int, Field(ge=-1, le=1_048_576)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
TokenId = Annotated[str, AfterValidator(_token_id), spelt(_TOKEN_ID)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0, le=1_000_000)]
