"""Reads what a command is given: a file, or standard input."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from lemonade_like.errors import ServerError


class InputError(ServerError):
    """What was given cannot be read; three lines at most."""


class Trouble(ServerError):
    """A comparison could not be made. Its exit code is 2, as that of diff is: 1 says that there is a difference."""


def read_text(source: str) -> str:
    """Return the text of a file, or of standard input for ``-``. Raises :class:`InputError` or ``OSError``."""
    if source == "-" and sys.stdin.isatty():
        typer.echo("Reading standard input, up to Ctrl-D (on Windows: Ctrl-Z and Enter).", err=True)
    raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{named(source)} is no UTF-8 text: byte {error.start} cannot be read.") from None


def named(source: str) -> str:
    """Return how a source is called in a message."""
    return "Standard input" if source == "-" else source
