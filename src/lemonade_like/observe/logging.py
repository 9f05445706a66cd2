"""Logs on standard error: for people one line a message, coloured on a terminal only; for programs a JSON object each.

A line has the time, the level, the part of the server that speaks, the request's id where there is one, and the
message. Facts that a program may want one by one are handed over as ``extra={"facts": {...}}``: JSON has them as
fields. Keys are never handed to a logger; prompts and answers only where the settings ask for it; a URL with a login in
it may be, by a library, and loses that.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.style import Style

from lemonade_like.errors import without_logins
from lemonade_like.observe.context import request_id_var

if TYPE_CHECKING:
    from lemonade_like.settings import LogFormat, LogLevel

_STYLES = {
    logging.DEBUG: Style.parse("dim"),
    logging.INFO: Style.parse("green"),
    logging.WARNING: Style.parse("yellow"),
    logging.ERROR: Style.parse("bold red"),
}
# These speak of each connection and start-up step at info; what matters of that we say ourselves.
_CHATTY = (
    *("uvicorn", "uvicorn.error", "uvicorn.access"),
    *("httpx", "httpx2", "httpcore", "httpcore2", "urllib3", "asyncio", "huggingface_hub"),
)
# MCP's SDK ("client" is its session's name). Whatever it says, also of errors, may have a server's URL with a key in
# it, a tool's arguments, or what it returned; which server is away, and why, we say ourselves.
_TELLTALE = ("mcp", "client")


class LineFormatter(logging.Formatter):
    """``12:30:01 INFO    pool: message``, with the request's id in brackets before the message."""

    def __init__(self, console: Console) -> None:
        super().__init__("%(asctime)s %(level)s %(where)s: %(request)s%(message)s", datefmt="%H:%M:%S")
        self._console = console

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback follows on lines of its own. Logins are taken out of URLs."""
        level = f"{record.levelname:<7}"
        record.level = self._console_text(level, _STYLES.get(record.levelno, Style.null()))
        record.where = record.name.removeprefix("lemonade_like.")
        request_id = request_id_var.get()
        record.request = f"[{request_id}] " if request_id else ""
        return without_logins(super().format(record))

    def _console_text(self, text: str, style: Style) -> str:
        # Rich knows what NO_COLOR, TERM and the Windows console allow.
        if not self._console.is_terminal or self._console.no_color or self._console.color_system is None:
            return text
        return style.render(text)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, whatever stands in it: see :func:`entry_of`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return json_line(entry_of(record))


_TRACEBACKS = logging.Formatter()


def entry_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what there is to tell of a record: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``,
    ``request_id`` where there is one, the record's facts, and the traceback as ``exception``. URLs have no
    logins in them."""
    time = datetime.fromtimestamp(record.created, timezone.utc)
    entry: dict[str, Any] = {
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": without_logins(record.getMessage()),
    }
    if (request_id := request_id_var.get()) is not None:
        entry["request_id"] = request_id
    entry |= {name: value for name, value in getattr(record, "facts", {}).items() if name not in entry}
    if record.exc_info:
        entry["exception"] = without_logins(_TRACEBACKS.formatException(record.exc_info))
    return entry


def json_line(entry: dict[str, Any]) -> str:
    """Return the entry as JSON, in ASCII: a log must take even what no encoding can."""
    return json.dumps(entry, default=str)


def is_no_cancellation(record: logging.LogRecord) -> bool:
    """False for the tracebacks of answers that a shutdown cut off: uvicorn says how many there were in a line."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def setup_logging(level: LogLevel, stream: TextIO | None = None, log_format: LogFormat = "text") -> None:
    """Sends all logs of the process, uvicorn's too, to ``stream`` (standard error); replaces what was set up before."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if log_format == "json" else LineFormatter(Console(file=stream)))
    handler.addFilter(is_no_cancellation)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.getLevelName(level.upper()))
    for name in _CHATTY:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET if level == "debug" and name.startswith("uvicorn") else logging.WARNING)
    for name in _TELLTALE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(True)
