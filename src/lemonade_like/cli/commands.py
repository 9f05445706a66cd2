"""The program put together: ``serve`` and its options here, every other command from the modules beside this one.

Errors of a known kind are written in three lines at most, without a traceback: exit code 2 for a command line or
setting that is wrong, 1 for anything that fails later.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from typing import Annotated, NoReturn

import typer

from lemonade_like.cli.backend_commands import backends_app
from lemonade_like.cli.harmony_commands import parse, render, replay
from lemonade_like.cli.model_commands import delete, forget, models, pull, register, variants
from lemonade_like.cli.options import ConfigFile
from lemonade_like.cli.reading import Trouble
from lemonade_like.cli.running_commands import load, ps, stop, unload
from lemonade_like.configuration import load_settings, sample_config
from lemonade_like.errors import ServerError
from lemonade_like.settings import Settings, SettingsError, allowed_values, flag

_PROGRAM = "lemonade-like"

app = typer.Typer(
    name=_PROGRAM,
    help="An OpenAI-compatible server for llama.cpp that gets GPT-OSS and Harmony right.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _option(name: str, metavar: str) -> typer.models.OptionInfo:
    """The option for a field of the settings, with that field's description."""
    field = Settings.model_fields[name]
    choices = allowed_values(name)
    if choices.startswith("one of "):
        metavar = choices.removeprefix("one of ").replace(", ", "|")
    default = field.default
    shown = f" [default: {default}]" if default not in (None, "", (), 0) else ""
    option: typer.models.OptionInfo = typer.Option(
        flag(name), metavar=metavar, help=f"{field.description}{shown}", show_default=False
    )
    return option


def _switch(name: str) -> typer.models.OptionInfo:
    """A setting that is on or off."""
    option: typer.models.OptionInfo = typer.Option(flag(name), help=Settings.model_fields[name].description)
    return option


@app.command()
def serve(
    host: Annotated[str | None, _option("host", "ADDRESS")] = None,
    port: Annotated[str | None, _option("port", "PORT")] = None,
    model: Annotated[list[str] | None, _option("models", "NAME|FILE")] = None,
    backend: Annotated[str | None, _option("backend", "NAME")] = None,
    llama_server: Annotated[str | None, _option("llama_server", "FILE")] = None,
    ctx_size: Annotated[str | None, _option("ctx_size", "TOKENS")] = None,
    parallel: Annotated[str | None, _option("parallel", "N")] = None,
    queue_size: Annotated[str | None, _option("queue_size", "N")] = None,
    max_loaded_models: Annotated[str | None, _option("max_loaded_models", "N")] = None,
    memory_budget: Annotated[str | None, _option("memory_budget", "GB")] = None,
    idle_timeout: Annotated[str | None, _option("idle_timeout", "SECONDS")] = None,
    llamacpp_args: Annotated[str | None, _option("llamacpp_args", "ARGS")] = None,
    reasoning_level: Annotated[str | None, _option("reasoning_level", "LEVEL")] = None,
    reasoning_format: Annotated[str | None, _option("reasoning_format", "FORMAT")] = None,
    harmony: Annotated[str | None, _option("harmony", "MODE")] = None,
    no_harmony: Annotated[bool, typer.Option("--no-harmony", help="The same as --harmony never.")] = False,
    api_key: Annotated[list[str] | None, _option("api_key", "KEY")] = None,
    api_key_file: Annotated[str | None, _option("api_key_file", "FILE")] = None,
    admin_key: Annotated[list[str] | None, _option("admin_key", "KEY")] = None,
    admin_key_file: Annotated[str | None, _option("admin_key_file", "FILE")] = None,
    insecure: Annotated[bool, _option("insecure", "")] = False,
    allowed_host: Annotated[list[str] | None, _option("allowed_hosts", "NAME")] = None,
    cors_origin: Annotated[list[str] | None, _option("cors_origins", "ORIGIN")] = None,
    config: ConfigFile = None,
    log_level: Annotated[str | None, _option("log_level", "LEVEL")] = None,
    log_format: Annotated[str | None, _option("log_format", "FORMAT")] = None,
    log_prompts: Annotated[bool, _switch("log_prompts")] = False,
    record_turns: Annotated[str | None, _option("record_turns", "FOLDER|FILE")] = None,
) -> None:
    """Start the server. Every option can also be set in the environment (LEMONADE_LIKE_PORT=8000) or in a file."""
    given = {
        "host": host,
        "port": port,
        "models": model or None,
        "backend": backend,
        "llama_server": llama_server,
        "ctx_size": ctx_size,
        "parallel": parallel,
        "queue_size": queue_size,
        "max_loaded_models": max_loaded_models,
        "memory_budget": memory_budget,
        "idle_timeout": idle_timeout,
        "llamacpp_args": llamacpp_args,
        "reasoning_level": reasoning_level,
        "reasoning_format": reasoning_format,
        "harmony": harmony,
        "no_harmony": no_harmony or None,
        "api_key": api_key or None,
        "api_key_file": api_key_file,
        "admin_key": admin_key or None,
        "admin_key_file": admin_key_file,
        "insecure": insecure or None,
        "allowed_hosts": allowed_host or None,
        "cors_origins": cors_origin or None,
        "config": config,
        "log_level": log_level,
        "log_format": log_format,
        "log_prompts": log_prompts or None,
        "record_turns": record_turns,
    }
    settings = load_settings(given)
    # The web framework is imported for this command only: the others answer in half the time.
    from lemonade_like.cli.serve import run_server  # noqa: PLC0415

    run_server(settings)


# In the order of the help.
for _command in (models, register, forget, pull, delete, variants, ps, load, unload, stop, render, parse, replay):
    app.command()(_command)
app.add_typer(backends_app, name="backends")


@app.command(name="config")
def show_config() -> None:
    """Print a configuration file with every option, described and at its default."""
    typer.echo(sample_config(), nl=False)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"{_PROGRAM} {installed_version(_PROGRAM)}")


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _options_of_the_program(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options that stand before any command."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command and ends the process with its exit code."""
    try:
        code = app(arguments, prog_name=_PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        _fail(f"{error.format_message()}\nTry `{_PROGRAM} --help`.", error.exit_code)
    except (SettingsError, Trouble) as error:
        _fail(error.message, 2)
    except ServerError as error:
        _fail(str(error), 1)
    except OSError as error:
        _fail(f"{error.filename or 'The system'}: {error.strerror or error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    first, *rest = [line for line in message.splitlines() if line.strip()]
    typer.echo("\n".join([f"Error: {first}", *rest]), err=True)
    sys.exit(code)
