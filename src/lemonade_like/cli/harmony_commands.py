"""The commands that look at prompts and answers by themselves: no running server is needed for them."""

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


def replay(
    place: Annotated[str, typer.Argument(metavar="FILE", help="A file of recorded turns, or a folder of them.")],
    id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The turns of a request, or one turn.", show_default=False)
    ] = None,
    last: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="The last N turns. [default: 1]", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="The turns of a model.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All turns.")] = False,
    as_list: Annotated[bool, typer.Option("--list", help="Only list the turns; all, unless others are named.")] = False,
    render: Annotated[
        bool, typer.Option("--render", help="Render the prompt anew from the request, and say if it is another.")
    ] = False,
    parse_only: Annotated[
        bool, typer.Option("--parse-only", help="Only parse what the model wrote anew. Needs no engine.")
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Ask a running server instead of an engine of our own.", show_default=False),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="The key of that server. [default: the API key of the settings]", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each turn.")] = False,
    config: ConfigFile = None,
) -> None:
    """Run recorded turns again, and say whether they come out the same.

    The exit code is 0 if they do, 1 if one does not, and 2 if one could not be run.
    """
    from lemonade_like.access.keys import user_key  # noqa: PLC0415 - the other commands are faster without all these
    from lemonade_like.cli.replay import Choice, replay_turns  # noqa: PLC0415
    from lemonade_like.cli.server_client import RunningServer  # noqa: PLC0415

    if parse_only and (server or render):
        raise typer.BadParameter("--parse-only needs neither --server nor --render: nothing is generated.")
    settings = load_settings({"config": config, "api_key": [api_key] if api_key else None})
    choice = Choice(id=id, model=model, last=last, everything=everything or (as_list and last is None))
    code = replay_turns(
        place,
        settings,
        choice,
        server=RunningServer(server, user_key(settings)) if server is not None else None,
        render=render,
        parse_only=parse_only,
        as_list=as_list,
        as_json=as_json,
    )
    raise typer.Exit(code)
