"""``lemonade-like pull``, ``delete`` and ``variants``: models into the Hugging Face cache, and out of it again.

They work on the cache themselves, beside a server that runs or without one: whoever fetches a file holds the Hub's own
lock on it, and everybody else waits for that.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from lemonade_like.cli.register import hub_entry, known_models
from lemonade_like.models.fetch import read_little_at_a_time
from lemonade_like.models.hub import HubPlace
from lemonade_like.models.management import ModelManager
from lemonade_like.models.model import model_of
from lemonade_like.models.names import require_user_name
from lemonade_like.models.progress import Sampler, Tracker
from lemonade_like.models.pull import Pulling, Wanted
from lemonade_like.models.pulling import Pulls
from lemonade_like.models.space import readable_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from lemonade_like.models.progress import Progress as PullProgress
    from lemonade_like.models.remote import Plan
    from lemonade_like.settings import Settings

_STAGES = {"downloading": "", "verifying": "checking ", "waiting": "waiting for another process: "}


def pull_model(
    name: str,
    settings: Settings,
    *,
    checkpoint: str | None = None,
    mmproj: str | None = None,
    labels: Sequence[str] = (),
) -> None:
    """Downloads the model, which ``checkpoint`` registers first, and says how to serve it."""
    registry = known_models(settings)
    entry = None
    if checkpoint is not None:
        name, entry = require_user_name(name), hub_entry(checkpoint, labels, mmproj)
        wanted = Wanted.of(model_of(name, entry))
    else:
        model = registry.to_pull(name)
        name, wanted = model.name, Wanted.of(model)
    if wanted is None:
        typer.echo(f"{name} is on this machine already; there is nothing to download.")
        return
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of each retry, into the bar
    read_little_at_a_time()
    pulling = Pulling(wanted, HubPlace())
    plan = pulling.plan()
    if entry is not None:
        registry.register(name, entry)
    tracker = Tracker(plan)
    shown, listener = _progress_on(Console(stderr=True), plan)
    try:
        with shown, Sampler(tracker, listener):
            path = pulling.run(plan, tracker)
    except KeyboardInterrupt:
        typer.echo("Stopped. What has been fetched is kept: pull again, and it goes on from there.", err=True)
        sys.exit(130)
    typer.echo(f"{name} is at {path}.\nServe it: lemonade-like serve --model {name}")


def delete_model(name: str, settings: Settings) -> None:
    """Deletes the model's files, and says what that frees."""
    manager = _manager(settings)
    name, deleted = asyncio.run(manager.delete(name))
    kept = f" {', '.join(deleted.kept)} is kept: other models need it." if deleted.kept else ""
    typer.echo(f"Deleted {name}: {readable_size(deleted.bytes)} are free again.{kept}")


def list_variants(checkpoint: str, settings: Settings, console: Console | None = None) -> None:
    """Prints the models of a repository of the Hub."""
    repository, variants = asyncio.run(_manager(settings).variants(checkpoint))
    console = console or Console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Quantisation", "Size", "Files", "State"):
        table.add_column(heading, overflow="fold", no_wrap=heading != "Files")
    for variant in variants:
        state = "downloaded" if variant.downloaded else ("recommended" if variant.recommended else "")
        table.add_row(variant.name, readable_size(variant.size_bytes), str(len(variant.files)), state)
    console.print(table)
    console.print(f"`lemonade-like pull {repository.name}:QUANTISATION` downloads one.", markup=False)


def _manager(settings: Settings) -> ModelManager:
    place = HubPlace()
    return ModelManager(known_models(settings), Pulls(place), place, in_use=lambda _: False)


def _progress_on(console: Console, plan: Plan) -> tuple[AbstractContextManager[object], Callable[[PullProgress], None]]:
    """A bar for all files together, which says which is worked on; a line for each file where there is no terminal."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task(plan.files[0].name, total=plan.size)
    named: set[tuple[int, str]] = set()

    def show(progress: PullProgress) -> None:
        where = f"{progress.file} ({progress.file_index} of {progress.total_files})"
        what = f"{_STAGES[progress.stage]}{where}"
        bar.update(task, completed=progress.total_bytes_downloaded, description=what)
        if bar.disable and (progress.file_index, progress.stage) not in named:
            named.add((progress.file_index, progress.stage))
            typer.echo(f"Fetching {where}" if progress.stage == "downloading" else what.capitalize(), err=True)

    return bar, show
