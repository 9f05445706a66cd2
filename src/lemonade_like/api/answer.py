"""What answers look like, for ``/openapi.json``.

Answers are written straight as JSON, never through these models: what a model here says of them is held against what is
sent by the tests, which check every answer that they get.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

#: The default of a field that may be missing, but is never null unless its type says so.
ABSENT: Final[Any] = None


def _forget_defaults(schema: dict[str, Any]) -> None:
    for part in schema.get("properties", {}).values():
        part.pop("default", None)


class Answer(BaseModel):
    """An object in an answer. A field with a default may be missing."""

    model_config = ConfigDict(json_schema_extra=_forget_defaults, protected_namespaces=())


class ErrorDetail(Answer):
    """What went wrong."""

    message: str = Field(description="What happened, why, and what to do.")
    type: Literal["invalid_request_error", "rate_limit_error", "server_error"] = Field(
        description="Whose doing it was: the client's, the crowd's, or the server's."
    )
    param: str | None = Field(description="The field of the request that is at fault, where one is.")
    code: str | None = Field(description="A word for programs. docs/api/errors.md lists all.")


class ErrorAnswer(Answer):
    """OpenAI's error object."""

    error: ErrorDetail


class Success(Answer):
    """It is done."""

    status: Literal["success"]
