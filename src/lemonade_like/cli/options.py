"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

ConfigFile = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration file (YAML; `lemonade-like config` prints a sample).",
        show_default=False,
    ),
]
ServerHost = Annotated[
    str | None, typer.Option("--host", metavar="ADDRESS", help="Where the server listens.", show_default=False)
]
ServerPort = Annotated[
    str | None, typer.Option("--port", metavar="PORT", help="Its port. [default: 8000]", show_default=False)
]
