"""What can go wrong with a tool.

::

    ServerError
    ├── BadRequest
    │   └── InvalidArguments    400  invalid_tool_arguments: the arguments are not what the tool takes
    ├── ToolNotFound            404  tool_not_found
    ├── ToolFailed              502  tool_failed: the tool ran, and says that it failed
    ├── ToolServerUnavailable   503  tool_server_unavailable: its server cannot be reached, or is gone
    └── ToolTimeout             504  tool_timeout: it took too long, and was told to stop
"""

from __future__ import annotations

from lemonade_like.errors import BadRequest, ServerError


class InvalidArguments(BadRequest):
    """The arguments are not what the tool takes; ``param`` is the path of what is wrong."""

    default_code = "invalid_tool_arguments"


class ToolNotFound(ServerError):
    """No tool of that name may run here."""

    status = 404
    type = "invalid_request_error"
    default_code = "tool_not_found"


class ToolFailed(ServerError):
    """The tool ran and failed; ``text`` is what it says itself."""

    status = 502
    default_code = "tool_failed"

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text


class ToolServerUnavailable(ServerError):
    """The tool's server cannot be reached, or went away."""

    status = 503
    default_code = "tool_server_unavailable"


class ToolTimeout(ServerError):
    """The tool took longer than its server is allowed."""

    status = 504
    default_code = "tool_timeout"
