"""``lemonade-like models``: a table of what can be served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from lemonade_like.models.registry import Registry

if TYPE_CHECKING:
    from lemonade_like.models.registry import Model
    from lemonade_like.settings import Settings


_WIDTH_IN_A_PIPE = 160  # columns, so that a model keeps to its line and grep finds all of it


def list_models(settings: Settings, console: Console | None = None) -> None:
    """Prints every model with its labels, where it comes from, and whether it is on this machine."""
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_IN_A_PIPE)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Model", "State", "Labels", "From"):
        # Folded, never cut: a name that is cut cannot be copied.
        table.add_column(heading, overflow="fold", no_wrap=heading in ("Model", "State"))
    for model in Registry.from_settings(settings).models():
        table.add_row(model.name, _state(model), ", ".join(sorted(model.labels)), _source(model))
    console.print(table)
    console.print("`lemonade-like pull NAME` downloads a model.", markup=False)


def _state(model: Model) -> str:
    if model.bundled:
        return "bundled"
    return "downloaded" if model.available else "not downloaded"


def _source(model: Model) -> str:
    if model.bundled:
        return "this package"
    return model.checkpoint or str(model.path)
