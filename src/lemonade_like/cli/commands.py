"""The commands and their options; what they do is in the modules beside this one.

Errors of a known kind are written in three lines at most, without a traceback: exit code 2 for a command line or
setting that is wrong, 1 for anything that fails later.
"""

from __future__ import annotations

import sys
from enum import Enum
from importlib.metadata import version as installed_version
from typing import Annotated, NoReturn

import typer

from lemonade_like.cli.models import list_models
from lemonade_like.cli.register import forget_model, register_model
from lemonade_like.configuration import load_settings, sample_config
from lemonade_like.errors import ServerError
from lemonade_like.models.model import LABELS
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


class PromptForm(str, Enum):
    """How a prompt is shown."""

    text = "text"
    ids = "ids"
    coloured = "coloured"


ConfigFile = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration file (YAML; `lemonade-like config` prints a sample).",
        show_default=False,
    ),
]


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
    }
    settings = load_settings(given)
    # The web framework is imported for this command only: the others answer in half the time.
    from lemonade_like.cli.serve import run_server  # noqa: PLC0415

    run_server(settings)


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigFile = None,
) -> None:
    """List the models that are known, and which of them are on this machine."""
    list_models(load_settings({"config": config}), as_json=as_json)


@app.command()
def register(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model's name will be user.NAME.")],
    what: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT|FILE", help="org/repo:QUANT of the Hugging Face Hub, or the path of a .gguf file."
        ),
    ],
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL", help=f"What the model is good for ({', '.join(LABELS)}); may be given more than once."
        ),
    ] = None,
    mmproj: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Vision projector: a file of the same repository, org/repo:file.gguf, or a path.",
            show_default=False,
        ),
    ] = None,
    ctx_size: Annotated[
        int | None, typer.Option(metavar="TOKENS", help="Context of each request.", show_default=False)
    ] = None,
    llamacpp_args: Annotated[
        str | None, typer.Option(metavar="ARGS", help="More arguments for llama-server.", show_default=False)
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Give a model of the Hub, or a GGUF file, a name of your own. A server that runs knows it at once."""
    settings = load_settings({"config": config})
    options = {"ctx_size": ctx_size, "llamacpp_args": llamacpp_args}
    register_model(name, what, settings, labels=label or [], mmproj=mmproj, options=options)


@app.command()
def forget(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that you registered.")],
    config: ConfigFile = None,
) -> None:
    """Take a name back that you registered. The model's files stay."""
    forget_model(name, load_settings({"config": config}))


@app.command()
def pull(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A name from `lemonade-like models`, an org/repo:QUANT of the Hub, or a new user.NAME.",
        ),
    ],
    checkpoint: Annotated[
        str | None,
        typer.Option(metavar="REPO:QUANT", help="Register user.NAME as this, org/repo:QUANT.", show_default=False),
    ] = None,
    mmproj: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="With --checkpoint: the vision projector's file.", show_default=False),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="With --checkpoint: what it can do, such as vision.", show_default=False),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Download a model into the Hugging Face cache. Stopped with Ctrl-C, it goes on from there the next time."""
    from lemonade_like.cli.pull import pull_model  # noqa: PLC0415 - the other commands are faster without

    settings = load_settings({"config": config})
    pull_model(name, settings, checkpoint=checkpoint, mmproj=mmproj, labels=label or ())


@app.command()
def delete(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `lemonade-like models`.")],
    config: ConfigFile = None,
) -> None:
    """Delete a downloaded model from the Hugging Face cache, but nothing that another model needs."""
    from lemonade_like.cli.pull import delete_model  # noqa: PLC0415 - the other commands are faster without

    delete_model(name, load_settings({"config": config}))


@app.command()
def variants(
    repo: Annotated[str, typer.Argument(metavar="ORG/REPO", help="A repository of the Hugging Face Hub.")],
    config: ConfigFile = None,
) -> None:
    """List the quantisations that a repository has, with their sizes."""
    from lemonade_like.cli.pull import list_variants  # noqa: PLC0415 - the other commands are faster without

    list_variants(repo, load_settings({"config": config}))


backends_app = typer.Typer(
    help="List what models can run on here; install and remove released engines of llama.cpp.",
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(backends_app, name="backends")

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


ServerHost = Annotated[
    str | None, typer.Option("--host", metavar="ADDRESS", help="Where the server listens.", show_default=False)
]
ServerPort = Annotated[
    str | None, typer.Option("--port", metavar="PORT", help="Its port. [default: 8000]", show_default=False)
]


@app.command()
def ps(host: ServerHost = None, port: ServerPort = None, config: ConfigFile = None) -> None:
    """List what a running server has in memory, who uses it, and who waits."""
    from lemonade_like.cli.running import show_running  # noqa: PLC0415 - the other commands are faster without

    show_running(load_settings({"host": host, "port": port, "config": config}))


@app.command()
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


@app.command()
def unload(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A loaded model; without one, all.")] = None,
    host: ServerHost = None,
    port: ServerPort = None,
    config: ConfigFile = None,
) -> None:
    """Have a running server unload a model when its requests are done; without a name, all."""
    from lemonade_like.cli.running import unload_model  # noqa: PLC0415 - the other commands are faster without

    unload_model(load_settings({"host": host, "port": port, "config": config}), name)


@app.command()
def stop(host: ServerHost = None, port: ServerPort = None, config: ConfigFile = None) -> None:
    """Have a running server finish what runs, and stop."""
    from lemonade_like.cli.running import stop_server  # noqa: PLC0415 - the other commands are faster without

    stop_server(load_settings({"host": host, "port": port, "config": config}))


@app.command()
def render(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A chat completion request as JSON; - is standard input.")
    ],
    form: Annotated[
        PromptForm | None,
        typer.Option(
            "--format",
            help="text spells the tokens out, ids is a JSON list, coloured tells control tokens and channels apart "
            "[default: coloured on a terminal, else text]",
            show_default=False,
        ),
    ] = None,
    training: Annotated[
        bool, typer.Option("--training", help="Render a finished conversation to train on, with <|return|> at its end.")
    ] = False,
    keep_analysis: Annotated[
        bool, typer.Option("--keep-analysis", help="With --training: keep the reasoning of all turns.")
    ] = False,
    reasoning_level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="Instead of what the request says.", show_default=False),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="The current date, where the request names none. [default: as the server is set, or today]",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Show the prompt that GPT-OSS gets for a request. Needs no server and no engine."""
    from lemonade_like.cli.render import render_request  # noqa: PLC0415 - the other commands are faster without

    settings = load_settings({"config": config})
    render_request(
        file,
        settings,
        form=form,
        training=training,
        keep_analysis=keep_analysis,
        reasoning_level=reasoning_level,
        day=date,
    )


@app.command()
def parse(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Token ids as a JSON list, or text. - is standard input.")
    ] = "-",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigFile = None,
) -> None:
    """Take apart what GPT-OSS wrote: its channels, its calls, what is malformed. Needs no server and no engine.

    In text, every spelled-out marker such as <|end|> counts as the control token.
    """
    from lemonade_like.cli.parse import parse_completion  # noqa: PLC0415 - the other commands are faster without

    parse_completion(file, load_settings({"config": config}), as_json=as_json)


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
    except SettingsError as error:
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
