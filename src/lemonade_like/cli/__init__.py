"""The command line, ``lemonade-like``: one module for each command, and the way all of them report errors."""

from __future__ import annotations

from lemonade_like.cli.commands import main

__all__ = ["main"]
