"""The commands for what can be served: list it, give it names, download and delete it."""

from __future__ import annotations

from typing import Annotated

import typer

from lemonade_like.cli.models import list_models
from lemonade_like.cli.options import ConfigFile
from lemonade_like.cli.register import forget_model, register_model
from lemonade_like.configuration import load_settings
from lemonade_like.models.model import LABELS


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigFile = None,
) -> None:
    """List the models that are known, and which of them are on this machine."""
    list_models(load_settings({"config": config}), as_json=as_json)


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


def forget(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that you registered.")],
    config: ConfigFile = None,
) -> None:
    """Take a name back that you registered. The model's files stay."""
    forget_model(name, load_settings({"config": config}))


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


def delete(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `lemonade-like models`.")],
    config: ConfigFile = None,
) -> None:
    """Delete a downloaded model from the Hugging Face cache, but nothing that another model needs."""
    from lemonade_like.cli.pull import delete_model  # noqa: PLC0415 - the other commands are faster without

    delete_model(name, load_settings({"config": config}))


def variants(
    repo: Annotated[str, typer.Argument(metavar="ORG/REPO", help="A repository of the Hugging Face Hub.")],
    config: ConfigFile = None,
) -> None:
    """List the quantisations that a repository has, with their sizes."""
    from lemonade_like.cli.pull import list_variants  # noqa: PLC0415 - the other commands are faster without

    list_variants(repo, load_settings({"config": config}))
