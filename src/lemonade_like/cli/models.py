"""``lemonade-like models``: a table of what can be served, or the same as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from lemonade_like.models.registry import Registry

if TYPE_CHECKING:
    from lemonade_like.models.describe import Description
    from lemonade_like.settings import Settings


_WIDTH_IN_A_PIPE = 200  # columns, so that a model keeps to its line and grep finds all of it


def list_models(settings: Settings, console: Console | None = None, *, as_json: bool = False) -> None:
    """Prints every model: whether it is on this machine, its size, context and labels, and where it comes from."""
    registry = Registry.from_settings(settings)
    described = [registry.describe(model) for model in registry.models()]
    if as_json:
        typer.echo(json.dumps([each.as_json() for each in described], indent=2, ensure_ascii=False))
        return
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_IN_A_PIPE)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Model", "State", "Size", "Context", "Labels", "From"):
        # Folded, never cut: a name that is cut cannot be copied.
        table.add_column(
            heading,
            overflow="fold",
            no_wrap=heading in ("Model", "State", "Size"),
            justify="right" if heading in ("Size", "Context") else "left",
        )
    for each in described:
        table.add_row(each.model.name, _state(each), _size(each), _context(each), ", ".join(each.labels), _origin(each))
    console.print(table)
    console.print(
        "`lemonade-like pull NAME` downloads a model, also any other org/repo:QUANT of the Hub.", markup=False
    )


def _state(described: Description) -> str:
    model = described.model
    if model.bundled:
        return "bundled"
    if model.checkpoint is None:
        state = "local file" if described.present else "file is gone"
    else:
        state = "downloaded" if described.present else "not downloaded"
    return f"{state}, unreadable" if described.unreadable else state


def _size(described: Description) -> str:
    size = described.size_bytes
    if size is None:
        return ""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _context(described: Description) -> str:
    return f"{described.facts.context_length:,}" if described.facts and described.facts.context_length else ""


def _origin(described: Description) -> str:
    model = described.model
    if model.bundled:
        return "this package"
    return model.checkpoint or str(model.path or "")
