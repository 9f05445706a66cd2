"""``lemonade-like parse``: what GPT-OSS wrote, by its channels."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lemonade_like.cli.reading import InputError, named, read_text
from lemonade_like.harmony.response import ResponseParser
from lemonade_like.library import BundledEncoding

if TYPE_CHECKING:
    from lemonade_like.harmony.completion import Completion
    from lemonade_like.harmony.response import ParsedResponse
    from lemonade_like.harmony.validation import Validation
    from lemonade_like.settings import Settings

_WIDTH_IN_A_PIPE: Final = 160  # columns


def parse_completion(source: str, settings: Settings, *, as_json: bool = False, console: Console | None = None) -> None:
    """Prints the messages of a completion and what is wrong with it.

    Raises:
        InputError, OSError: the file cannot be read, or has numbers that are no ids.
    """
    completion = _completion(read_text(source))
    parser = ResponseParser(BundledEncoding(settings.cache_dir))
    try:
        parsed, validation = parser.parse(completion), parser.validate_harmony_format(completion)
    except ValueError as error:
        raise InputError(f"{named(source)}: {error}") from None
    if as_json:
        typer.echo(json.dumps(as_plain(parsed, validation), ensure_ascii=False, indent=2))
        return
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_IN_A_PIPE)
    console.print(_table(parsed))
    for line in _remarks(parsed, validation):
        console.print(Text(line))


def as_plain(parsed: ParsedResponse, validation: Validation) -> dict[str, Any]:
    """Return a parsed completion as what JSON can say."""
    return {
        "final": parsed.final,
        "analysis": parsed.analysis,
        "commentary": parsed.commentary,
        "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in parsed.tool_calls],
        "channels": {name: [asdict(one) for one in messages] for name, messages in parsed.channels.items()},
        "messages": [asdict(one) for one in parsed.messages],
        "metadata": asdict(parsed.metadata),
        "problems": [asdict(problem) for problem in validation.problems],
    }


def _completion(text: str) -> Completion:
    """Return ids if the text is a JSON list of numbers, and else the text without the line end that editors add."""
    if text.lstrip().startswith("["):
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if isinstance(value, list) and value and all(type(one) is int for one in value):
            return value
    return text.removesuffix("\n").removesuffix("\r")


def _table(parsed: ParsedResponse) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True)
    for heading in ("Role", "Channel", "To", "Content", "End"):
        # Folded, never cut: nothing of what the model wrote is left out.
        table.add_column(heading, overflow="fold")
    for message in parsed.messages:
        cells = (message.role, message.channel, message.recipient, message.content, message.end)
        # Text, not str: what a model wrote in brackets is no markup.
        table.add_row(*(Text(cell or "") for cell in cells))
    return table


def _remarks(parsed: ParsedResponse, validation: Validation) -> list[str]:
    lines = [str(problem) for problem in validation.problems] or ["Well-formed."]
    counts = parsed.metadata.tokens
    if counts is not None:
        shares = ", ".join(f"{name} {count}" for name, count in asdict(counts).items() if count)
        lines.append(f"{counts.total} tokens: {shares}")
    return lines
