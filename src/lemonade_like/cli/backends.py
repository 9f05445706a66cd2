"""``lemonade-like backends``: what models can run on here; installing and removing released engines."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import httpx
import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from lemonade_like.engine.backends.assets import BackendError
from lemonade_like.engine.backends.install import Installer
from lemonade_like.engine.backends.installed import installed_engines, remember_latest
from lemonade_like.engine.backends.machine import detect_machine
from lemonade_like.engine.backends.releases import Releases
from lemonade_like.engine.backends.states import BackendState, Engines
from lemonade_like.engine.backends.support import RELEASED, no_release, why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lemonade_like.engine.backends.machine import Machine
    from lemonade_like.settings import Settings

_WIDTH_IN_A_PIPE: Final = 200  # columns, so that a backend keeps to its line and grep finds all of it
_STATES: Final = {"update_available": "update available"}
#: For a table that somebody waits for.
_UPDATE_SECONDS: Final = 3.0


def list_backends(settings: Settings, *, as_json: bool) -> None:
    """Prints every backend: whether it can run here, what is installed, and which one is used."""
    machine = detect_machine()
    _look_for_updates(settings)
    engines = Engines(settings.llama_server, settings.backend, settings.backends_dir)
    states = engines.states(machine)
    if as_json:
        used = engines.used(machine)
        default = None if used is None else {"backend": used.backend, "source": used.source, "command": used.command}
        report = {"backend": settings.backend, "used": default, "backends": [asdict(state) for state in states]}
        typer.echo(json.dumps(report, indent=2))
        return
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_IN_A_PIPE)
    console.print(_table(states, settings.backend))
    console.print("`lemonade-like backends install NAME` installs one.", markup=False)


def install_backend(settings: Settings, name: str, *, version: str | None, allow_unverified: bool) -> None:
    """Fetches, checks and installs an engine of llama.cpp, and says how to use it."""
    with _installer(settings) as installer:
        if doubt := _doubt(name, installer.machine):
            typer.echo(f"This machine does not look as if it could run {name}: {doubt}", err=True)
        with _progress() as progress:
            engine = installer.install(name, version, allow_unverified=allow_unverified, progress=progress)
    if engine.manifest and not all(asset.verified for asset in engine.manifest.assets):
        typer.echo("Nobody has vouched for what was installed: its release publishes no sha256.", err=True)
    typer.echo(f"{name} {engine.version} is at {engine.executable}.\nUse it: lemonade-like serve --backend {name}")


def uninstall_backend(settings: Settings, name: str) -> None:
    """Removes an engine that was installed."""
    with _installer(settings) as installer:
        installer.uninstall(name)
    typer.echo(f"{name} is removed.")


def _doubt(name: str, machine: Machine) -> str | None:
    """Return why an engine may not run here that can be installed. What was detected may be wrong, or come later."""
    return None if name not in RELEASED or no_release(name, machine) else why_not(name, machine)


@contextmanager
def _installer(settings: Settings) -> Iterator[Installer]:
    with httpx.Client() as client:
        releases = Releases(settings.releases_url, client, os.environ.get("GITHUB_TOKEN"))
        yield Installer(settings.backends_dir, releases, detect_machine(), settings.releases_url, os.environ)


def _look_for_updates(settings: Settings) -> None:
    """Ask once what the latest release is, if something is installed that could be older; without it, so be it."""
    if not any(engine.manifest for engine in installed_engines(settings.backends_dir)):
        return
    with httpx.Client() as client:
        releases = Releases(settings.releases_url, client, os.environ.get("GITHUB_TOKEN"), seconds=_UPDATE_SECONDS)
        try:
            remember_latest(settings.backends_dir, releases.find(None).tag)
        except (BackendError, OSError) as error:
            typer.echo(f"Updates are not known: {str(error).splitlines()[0]}", err=True)


def _table(states: list[BackendState], wanted: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Backend", "State", "Version", "Used", "Path, or what to do"):
        # Folded, never cut: a path that is cut cannot be copied.
        table.add_column(heading, overflow="fold", no_wrap=heading in ("Backend", "State"))
    for state in states:
        used = f"with {wanted}" if state.used else ""
        what = "  ".join(part for part in (state.path, state.message, state.action) if part)
        table.add_row(state.name, _STATES.get(state.state, state.state), state.version or "", used, what)
    return table


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Lend what draws the progress of downloads: bars on a terminal, else a line for each file."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks = {}

        def step(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total or None)
                if not console.is_terminal:
                    typer.echo(f"Fetching {name} ({total / 1e6:.1f} MB)", err=True)
            bars.update(tasks[name], completed=done)

        yield step
