"""The commands that look at prompts and answers by themselves: no server is needed for them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from lemonade_like.cli.options import ConfigFile
from lemonade_like.configuration import load_settings


class PromptForm(str, Enum):
    """How a prompt is shown."""

    text = "text"
    ids = "ids"
    coloured = "coloured"


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
