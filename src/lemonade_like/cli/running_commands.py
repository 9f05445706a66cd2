"""The commands for a server that runs: what it has in memory, and what it shall have."""

from __future__ import annotations

from typing import Annotated

import typer

from lemonade_like.cli.options import ConfigFile, ServerHost, ServerPort
from lemonade_like.configuration import load_settings


def ps(host: ServerHost = None, port: ServerPort = None, config: ConfigFile = None) -> None:
    """List what a running server has in memory, who uses it, and who waits."""
    from lemonade_like.cli.running import show_running  # noqa: PLC0415 - the other commands are faster without

    show_running(load_settings({"host": host, "port": port, "config": config}))


def load(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `lemonade-like models`.")],
    ctx_size: Annotated[
        int | None, typer.Option(metavar="TOKENS", help="Context of each request.", show_default=False)
    ] = None,
    backend: Annotated[str | None, typer.Option(metavar="NAME", help="Engine to run on.", show_default=False)] = None,
    llamacpp_args: Annotated[
        str | None, typer.Option(metavar="ARGS", help="More arguments for llama-server.", show_default=False)
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Keep these options for later loads.")] = False,
    pin: Annotated[
        bool | None, typer.Option("--pin/--no-pin", help="Keep it loaded whatever else wants the memory.")
    ] = None,
    host: ServerHost = None,
    port: ServerPort = None,
    config: ConfigFile = None,
) -> None:
    """Have a running server load a model, and say what had to go for it."""
    from lemonade_like.cli.running import load_model  # noqa: PLC0415 - the other commands are faster without

    options = {
        "ctx_size": ctx_size,
        "llamacpp_backend": backend,
        "llamacpp_args": llamacpp_args,
        "save_options": save or None,
        "pinned": pin,
    }
    load_model(load_settings({"host": host, "port": port, "config": config}), name, options)


def unload(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A loaded model; without one, all.")] = None,
    host: ServerHost = None,
    port: ServerPort = None,
    config: ConfigFile = None,
) -> None:
    """Have a running server unload a model when its requests are done; without a name, all."""
    from lemonade_like.cli.running import unload_model  # noqa: PLC0415 - the other commands are faster without

    unload_model(load_settings({"host": host, "port": port, "config": config}), name)


def stop(host: ServerHost = None, port: ServerPort = None, config: ConfigFile = None) -> None:
    """Have a running server finish what runs, and stop."""
    from lemonade_like.cli.running import stop_server  # noqa: PLC0415 - the other commands are faster without

    stop_server(load_settings({"host": host, "port": port, "config": config}))
