"""The commands for engines: list what there is for this machine, install and remove it."""

from __future__ import annotations

from typing import Annotated

import typer

from lemonade_like.cli.options import ConfigFile
from lemonade_like.configuration import load_settings

backends_app = typer.Typer(
    help="List what models can run on here; install and remove released engines of llama.cpp.",
    add_completion=False,
    rich_markup_mode=None,
)

BackendArgument = Annotated[str, typer.Argument(metavar="NAME", help="cpu, vulkan, cuda, rocm or metal.")]


@backends_app.callback(invoke_without_command=True)
def backends(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigFile = None,
) -> None:
    """List what models can run on here; install and remove released engines of llama.cpp."""
    if context.invoked_subcommand is not None:
        return
    from lemonade_like.cli.backends import list_backends  # noqa: PLC0415 - the other commands are faster without

    list_backends(load_settings({"config": config}), as_json=as_json)


@backends_app.command()
def install(
    name: BackendArgument,
    release: Annotated[
        str | None,
        typer.Option(
            "--version", metavar="bNNNN", help="Release of llama.cpp. [default: the latest]", show_default=False
        ),
    ] = None,
    allow_unverified: Annotated[
        bool, typer.Option("--allow-unverified", help="Also if the release publishes no sha256 to check it against.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Fetch a release of llama.cpp for this machine, check it, and put it in place."""
    from lemonade_like.cli.backends import install_backend  # noqa: PLC0415 - the other commands are faster without

    install_backend(load_settings({"config": config}), name, version=release, allow_unverified=allow_unverified)


@backends_app.command()
def uninstall(name: BackendArgument, config: ConfigFile = None) -> None:
    """Remove an engine that was installed."""
    from lemonade_like.cli.backends import uninstall_backend  # noqa: PLC0415 - the other commands are faster without

    uninstall_backend(load_settings({"config": config}), name)
