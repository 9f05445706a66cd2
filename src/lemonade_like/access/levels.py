"""What each endpoint asks of whoever calls it. Pure: a table, and how it is read."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """How much somebody may do; each includes those before it."""

    OPEN = 0
    """What tells nothing that needs protection."""
    USER = 1
    """What concerns only oneself."""
    ADMIN = 2
    """What concerns everybody: what is loaded and what is on the disk, and what shows other people's prompts."""


#: Where the endpoints are. Some are at the root, too.
PREFIXES: Final = ("", "/v1", "/api/v1")

#: By method and path behind the prefix. An endpoint that is not here is for admins, and a test fails: where a new one
#: belongs is for somebody to decide.
LEVELS: Final[dict[str, Level]] = {
    # ``health`` says no more than a word to whoever has no key.
    **dict.fromkeys(("GET /", "GET /live", "GET /health"), Level.OPEN),
    # The manual: a browser could send no key for it, and it is the same on every server.
    **dict.fromkeys(
        (
            "GET /docs",
            "GET /docs/start.js",
            "GET /docs/swagger-ui.css",
            "GET /docs/swagger-ui-bundle.js",
            "GET /openapi.json",
        ),
        Level.OPEN,
    ),
    **dict.fromkeys(
        (
            "GET /models",
            "GET /models/{model_id:path}",
            "POST /chat/completions",
            "POST /chat/completions/render",
            "POST /completions",
            "POST /responses",
            "POST /responses/input_tokens",
            "GET /responses/{response_id}",
            "DELETE /responses/{response_id}",
            "GET /responses/{response_id}/input_items",
            "POST /messages",
            "POST /messages/count_tokens",
            "POST /embeddings",
            "POST /rerank",
            "POST /reranking",
            "POST /tokenize",
            "POST /detokenize",
            "POST /apply-template",
            "GET /tools",
            "POST /tools/{tool_name}",
            # Numbers of the whole server, and no word of a prompt.
            "GET /metrics",
            "GET /props",
            "GET /system-info",
        ),
        Level.USER,
    ),
    **dict.fromkeys(
        (
            "POST /load",
            "POST /unload",
            "POST /models/register",
            "POST /pull",
            "POST /pull/cancel",
            # The Hub is asked with the server's own token, which may see what is private.
            "GET /pull/variants",
            "POST /delete",
            "POST /install",
            "POST /uninstall",
            "POST /shutdown",
            # These show other people's prompts, or what of them there was and when.
            "GET /slots",
            "GET /logs/stream",
            "GET /stats",
        ),
        Level.ADMIN,
    ),
}


def level_of(method: str, path: str) -> Level:
    """Return what it takes to call that endpoint; one that is not in the table is for admins."""
    # Whoever may read something may also ask what reading it would say.
    method = "GET" if method == "HEAD" else method
    level = _EXACT.get((method, path))
    if level is None:
        fitting = (level for known, pattern, level in _PATTERNS if known == method and pattern.fullmatch(path))
        level = next(fitting, Level.ADMIN)
    return level


def is_classified(method: str, path: str) -> bool:
    """Whether an endpoint, by its path as it is declared (``/v1/models/{model_id:path}``), is in the table."""
    return any(f"{method} {path.removeprefix(prefix)}" in LEVELS for prefix in PREFIXES if path.startswith(prefix))


def _method_and_path(endpoint: str) -> tuple[str, str]:
    method, _, path = endpoint.partition(" ")
    return method, path


def _pattern(path: str) -> re.Pattern[str]:
    prefixes = "|".join(map(re.escape, PREFIXES))
    # Parts in braces are as in the routes: one step of the path, or with ``:path`` any number.
    pieces = re.split(r"\{\w+(:path)?\}", path)
    behind = "".join(
        re.escape(piece) if place % 2 == 0 else (".+" if piece else "[^/]+") for place, piece in enumerate(pieces)
    )
    return re.compile(f"(?:{prefixes}){behind}", re.DOTALL)


_SPLIT: Final = [(*_method_and_path(endpoint), level) for endpoint, level in LEVELS.items()]
_EXACT: Final = {
    (method, prefix + path): level for method, path, level in _SPLIT if "{" not in path for prefix in PREFIXES
}
_PATTERNS: Final = [(method, _pattern(path), level) for method, path, level in _SPLIT if "{" in path]
