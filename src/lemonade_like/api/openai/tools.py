"""Tools in a chat completion's request, and the choice between them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from lemonade_like.api.openai.fields import FunctionName, nested_function
from lemonade_like.api.openai.server_tools import ServerToolFields


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", protected_namespaces=())


class FunctionIn(_Wire):
    """A function that the client offers; ``parameters`` is its JSON Schema."""

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolIn(_Wire, ServerToolFields):
    """A tool: a function that the client offers, or the tools of one of the server's tool servers."""

    type: Literal["function", "mcp"] = "function"
    function: FunctionIn | None = Field(default=None, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _has_the_form_of_this_api(cls, tool: Any) -> Any:
        return nested_function(tool)

    @field_validator("function")
    @classmethod
    def _functions_are_there(cls, function: FunctionIn | None, info: ValidationInfo) -> FunctionIn | None:
        if function is None and info.data.get("type") == "function":
            raise PydanticKnownError("missing")
        return function


class NamedFunctionIn(_Wire):
    """The name of a tool in a tool choice."""

    name: FunctionName


class NamedToolIn(_Wire):
    """A tool, named."""

    type: Literal["function"] = "function"
    function: NamedFunctionIn


class AllowedToolsIn(_Wire):
    """Some of the tools, and whether one of them must be called."""

    mode: Literal["auto", "required"]
    tools: list[NamedToolIn] = Field(min_length=1)


class ToolChoiceIn(_Wire):
    """Any of the forms that a tool choice is sent in, as one: how free the model is, and between which tools."""

    type: Literal["none", "auto", "required", "function", "allowed_tools"]
    function: NamedFunctionIn | None = Field(default=None, validate_default=True)
    allowed_tools: AllowedToolsIn | None = Field(default=None, validate_default=True)

    @field_validator("function", "allowed_tools")
    @classmethod
    def _object_forms_are_whole(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.data.get("type") == info.field_name:
            raise PydanticCustomError("missing_name", "is required in a tool choice of this type")
        return value

    @property
    def mode(self) -> Literal["none", "auto", "required"]:
        """How free the model is to call."""
        if self.type == "function":
            return "required"
        if self.type == "allowed_tools":
            return self.allowed_tools.mode if self.allowed_tools else "auto"
        return self.type

    @property
    def names(self) -> list[str] | None:
        """The only tools to choose from; ``None`` is all of them."""
        if self.type == "function" and self.function:
            return [self.function.name]
        if self.type == "allowed_tools" and self.allowed_tools:
            return [tool.function.name for tool in self.allowed_tools.tools]
        return None


def tool_choice_form(choice: Any) -> Any:
    """Return a ``tool_choice`` in its one form. Raises a validation error for what is no choice."""
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise PydanticCustomError("choice", "must be 'none', 'auto', 'required', or an object that names a tool")
        return {"type": choice}
    return nested_function(choice)


def function_call_form(choice: Any) -> Any:
    """Return a ``function_call``, which is what ``tool_choice`` was called before, in the same form."""
    if choice in ("none", "auto"):
        return {"type": choice}
    if isinstance(choice, dict) and isinstance(choice.get("name"), str):
        return {"type": "function", "function": {"name": choice["name"]}}
    raise PydanticCustomError("choice", "must be 'none', 'auto', or an object with the name of a function")
