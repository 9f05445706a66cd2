"""``lemonade-like pull NAME``: a model of the registry into the Hugging Face cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lemonade_like.models.download import Checkpoint, download
from lemonade_like.models.registry import Registry

if TYPE_CHECKING:
    from lemonade_like.settings import Settings


def pull_model(name: str, settings: Settings) -> None:
    """Downloads the model and says how to serve it; the Hub's library draws the progress bars."""
    model = Registry.from_settings(settings.model_copy(update={"models": ()})).find(name)
    if model.checkpoint is None:
        typer.echo(f"{model.name} comes with this package; there is nothing to download.")
        return
    path = download(Checkpoint.parse(model.checkpoint), on_file=_announce)
    typer.echo(f"{model.name} is at {path}.\nServe it: lemonade-like serve --model {model.name}")


def _announce(name: str, number: int, count: int) -> None:
    typer.echo(f"Fetching {name} ({number} of {count})", err=True)
