"""``lemonade-like render``: the prompt that GPT-OSS gets for a chat completion request."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.openai.turn import turn_request
from lemonade_like.api.validation import validated
from lemonade_like.cli.reading import InputError, named, read_text
from lemonade_like.errors import BadRequest
from lemonade_like.harmony import tokens
from lemonade_like.harmony.completion import parts_of
from lemonade_like.harmony.conversation import EFFORTS, ConversationError
from lemonade_like.harmony.prompt import training_messages
from lemonade_like.harmony.renderer import Renderer
from lemonade_like.library import BundledEncoding
from lemonade_like.models.bundled import BUNDLED_MODEL
from lemonade_like.settings import SettingsError
from lemonade_like.turns.constraint import told_format
from lemonade_like.turns.harmony_turn import plan, render
from lemonade_like.turns.presets import with_preset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lemonade_like.harmony.encoding import Encoder
    from lemonade_like.settings import Settings
    from lemonade_like.turns.prepared import Plan
    from lemonade_like.turns.request import TurnRequest

_MARKER: Final = "bold magenta"
_HEADER: Final = "cyan"
_BODIES: Final = {"analysis": "yellow", "commentary": "blue", "final": "green"}


def render_request(
    source: str,
    settings: Settings,
    *,
    form: str | None = None,
    training: bool = False,
    keep_analysis: bool = False,
    reasoning_level: str | None = None,
    day: str | None = None,
) -> None:
    """Prints the prompt, exactly as the server would make it.

    Raises:
        SettingsError: an option has a value that it cannot have.
        InputError, OSError: the file cannot be read, or is no request.
        BadRequest: the server would refuse the request.
    """
    if reasoning_level is not None and reasoning_level not in EFFORTS:
        raise SettingsError(
            f"{reasoning_level!r} is no value for --reasoning-level.\nIt must be one of {', '.join(EFFORTS)}."
        )
    today = _date(day or settings.current_date)
    request = with_preset(turn_request(validated(ChatCompletionRequest, _body(source))))
    request = replace(
        request,
        reasoning_effort=reasoning_level or request.reasoning_effort,
        model_identity=request.model_identity or settings.model_identity,
        knowledge_cutoff=request.knowledge_cutoff or settings.knowledge_cutoff,
    )
    chosen = plan(request, default_effort=settings.reasoning_level, current_date=request.current_date or today)
    encoder = BundledEncoding(settings.cache_dir)
    renderer = Renderer(encoder)
    if training:
        ids = _training_ids(request, chosen, renderer, keep_analysis=keep_analysis)
    else:
        ids = asyncio.run(render(request, chosen, renderer)).ids
    _show(ids, encoder, form)


def coloured(ids: Sequence[int], encoder: Encoder) -> Text:
    """Return a prompt with its control tokens, headers and channels in colours; a forged marker is in none of them."""
    shown = Text()
    header, channel = False, ""
    for part in parts_of(ids, encoder):
        if isinstance(part.value, int):
            shown.append(tokens.spelling(part.value), _MARKER)
            header = part.value in (tokens.START, tokens.CHANNEL, tokens.CONSTRAIN)
            if part.value == tokens.START:
                channel = ""
        elif header:
            shown.append(part.value, _HEADER)
            channel = next((name for name in _BODIES if part.value.startswith(name)), channel)
        else:
            shown.append(part.value, _BODIES.get(channel, ""))
    return shown


def _date(day: str | None) -> str:
    try:
        return (date.fromisoformat(day) if day is not None else date.today()).isoformat()
    except ValueError:
        raise SettingsError(f"{day!r} is no value for --date.\nIt must be a date such as 2026-01-31.") from None


def _body(source: str) -> dict[str, Any]:
    try:
        body = json.loads(read_text(source))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{named(source)} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}.\n"
            'It must hold a chat completion request, such as {"messages": [{"role": "user", "content": "Hello"}]}.'
        ) from None
    if isinstance(body, list):
        body = {"messages": body}
    if not isinstance(body, dict):
        raise InputError(f"{named(source)} is no chat completion request: it must be a JSON object.")
    # The prompt is the same for every GPT-OSS model.
    return {"model": BUNDLED_MODEL, **body}


def _training_ids(request: TurnRequest, chosen: Plan, renderer: Renderer, *, keep_analysis: bool) -> list[int]:
    tools = request.tools if chosen.tools else ()
    try:
        messages = training_messages(
            request.messages,
            chosen.system,
            tools,
            keep_analysis=keep_analysis,
            response_format=told_format(request.response_format),
        )
    except ConversationError as error:
        raise BadRequest(str(error), param=error.param) from error
    return renderer.render_messages(messages)


def _show(ids: list[int], encoder: Encoder, form: str | None) -> None:
    console = Console()
    if form == "ids":
        typer.echo(json.dumps(ids))
    elif form == "coloured" or (form is None and console.is_terminal):
        if not console.is_terminal:
            console = Console(force_terminal=True)
        console.print(coloured(ids, encoder), soft_wrap=True)
    else:
        typer.echo(encoder.decode(ids))
