"""``lemonade-like ps``, ``load``, ``unload`` and ``stop``: what a running server has in memory, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from lemonade_like.access.keys import best_key
from lemonade_like.cli.listening import url_of
from lemonade_like.cli.server_client import RunningServer, ServerRefused
from lemonade_like.pool.eviction import size_of

if TYPE_CHECKING:
    from lemonade_like.settings import Settings

_WIDTH_IN_A_PIPE: Final = 160
_IF_AWAY: Final = "Start one with `lemonade-like serve`, or say where it is with --host and --port."
_WHICH_KEY: Final = (
    "This command sends the admin key (LEMONADE_LIKE_ADMIN_KEY, admin_key, admin_key_file), or else the API key "
    "(LEMONADE_LIKE_API_KEY, api_key, api_key_file)."
)


def show_running(settings: Settings, console: Console | None = None) -> None:
    """Prints the models that are loaded or wanted, with who uses them and what they take."""
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_IN_A_PIPE)
    models = _ask(settings, "GET", "/health").get("models")
    if models is None:
        raise ServerRefused("The server wants an API key to say what it runs.\nSet LEMONADE_LIKE_API_KEY.")
    if not models:
        console.print("No model is loaded.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Model", "State", "Backend", "Requests", "Waiting", "Memory", "Idle", "Detail"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "Model")
    for model in models:
        table.add_row(*_row(model))
    console.print(table)


def load_model(settings: Settings, name: str, options: dict[str, Any]) -> None:
    """Has the server load a model, and says what that took."""
    given = {field: value for field, value in options.items() if value is not None}
    answer = _ask(settings, "POST", "/load", {"model_name": name, **given})
    for why in answer["evicted"]:
        typer.echo(why)
    typer.echo(answer["message"])


def unload_model(settings: Settings, name: str | None) -> None:
    """Has the server unload a model, or all."""
    typer.echo(_ask(settings, "POST", "/unload", {"model_name": name})["message"])


def stop_server(settings: Settings) -> None:
    """Has the server finish what runs, and stop."""
    typer.echo(_ask(settings, "POST", "/shutdown")["message"])


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    idle = model["idle_seconds"]
    return (
        model["name"] + (" (pinned)" if model["pinned"] else ""),
        model["state"],
        model.get("backend", ""),
        f"{model['slots']['busy']} of {model['slots']['total']}",
        str(model["queue"]["length"]),
        size_of(model["memory"]["resident"] or model["memory"]["estimate"]),
        "" if idle is None else f"{idle:.0f} s",
        model["detail"],
    )


def _ask(settings: Settings, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    url = url_of(settings.host, settings.port)
    return RunningServer(url, best_key(settings), _IF_AWAY, _WHICH_KEY).ask(method, path, body)
