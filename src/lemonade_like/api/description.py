"""What ``/docs`` and ``/openapi.json`` say in words."""

from __future__ import annotations

from typing import Any, Final

ABOUT: Final = """\
Chat Completions, Responses and Anthropic's Messages over the same models, and what it takes to run those. Harmony is
the format that GPT-OSS models were trained on.

**Where.** Point a client's `base_url` at `/v1` of this server. Everything is also under `/api/v1`, where Lemonade's
clients look for it, and does the same; `/health`, `/live` and `/metrics` are at the root, too. Every `GET` takes
`HEAD`.

**Keys.** If the server was started with an API key, send it as `Authorization: Bearer KEY` or `x-api-key: KEY`.
Otherwise any key will do, or none. Only the probes and this page are open to everybody; what concerns everybody wants
the admin key.

**Requests** are JSON objects of at most 64 MiB, whatever their content type says. Fields that an endpoint does not know
are ignored, as OpenAI's clients expect, but refused where models are loaded and managed; a field with a value that it
cannot have is a 400 that names it.

**Streams** are server-sent events. What goes wrong before the first of them has its own status; what goes wrong later
is an event. A silent stream sends comments every few seconds, so that no proxy cuts it.

**Errors** are OpenAI's object, `{"error": {"message", "type", "param", "code"}}`, and Anthropic's under `/v1/messages`.
Each answer has an `x-request-id`, under which the server's log tells the rest. `docs/api/errors.md` has every code, and
what to do about it."""

#: The server's tags, in the order in which they are shown.
TAGS: Final = {
    "chat": "OpenAI's Chat Completions. See docs/api/README.md for all pages.",
    "responses": "OpenAI's Responses, with a bounded store of those that may be continued. See docs/api/responses.md.",
    "completions": "OpenAI's older Completions: a text goes on.",
    "embeddings": "Vectors of texts, and which of them fit a question best.",
    "tokens": "Texts as tokens and back, and messages as prompts, in llama-server's forms.",
    "messages": "Anthropic's Messages, for Claude Code and Anthropic's SDKs. See docs/api/messages.md.",
    "tools": "Tools that the server runs itself.",
    "models": "What can be served: list, pull, register, load, unload, delete. See docs/models.md.",
    "health": "How the server is, and what its turns have cost. See docs/operations.md.",
    "observability": "Metrics and logs.",
    "engines": "What single engines say of themselves.",
    "server": "The server itself.",
    "system": "The machine, and the engines that models run on. See docs/operations.md.",
}

#: What a status that is not a success means, wherever it is answered.
STATUSES: Final = {
    400: "The request is wrong. `param` names the field.",
    401: "The API key is missing, or wrong.",
    403: "The key is not that of an admin; or the request comes by a name, or from a web page, that is not known here.",
    404: "There is no such thing here: the model, or whatever else the request names.",
    409: "Something else has to end first.",
    413: "The body is too large.",
    431: "The headers are too many, or too large.",
    429: "Too many requests wait already. Come again after `Retry-After` seconds.",
    500: "The server or its engine failed; the message says how, or under which id the log does.",
    502: "Where models or engines come from failed or cannot be reached; or a tool failed.",
    501: "The engine does not offer this.",
    503: "The server is going to stop, or an engine that crashed is given time. Come again.",
    504: "A tool took too long.",
    507: "There is not enough space on the disk.",
    529: "The server is going to stop, or an engine that crashed is given time. Come again.",
}

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "x-request-id": {
        "description": "The request's id: the client's `X-Request-ID` if it sent one that is sane, else a new one.",
        "required": True,
        "schema": {"type": "string"},
    },
    "request-id": {
        "description": "The same, where Anthropic's clients look for it.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds after which to come again, where that is known.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {
        "description": "How to send the key.",
        "required": True,
        "schema": {"type": "string"},
    },
}

SECURITY_SCHEMES: Final[dict[str, dict[str, Any]]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The API key, as OpenAI's clients send it."},
    "x-api-key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The API key, as Anthropic's clients send it.",
    },
}

#: What FastAPI wants to know of the whole.
INFO: Final[dict[str, Any]] = {
    "title": "lemonade-like",
    "summary": "An OpenAI-compatible server for llama.cpp that speaks Harmony.",
    "description": ABOUT,
    "license_info": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
    "openapi_external_docs": {
        "description": "The manual",
        "url": "https://github.com/lemonade-like/lemonade_like#readme",
    },
    "servers": [{"url": "/", "description": "This server"}],
}
