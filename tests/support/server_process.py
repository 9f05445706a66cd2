"""``lemonade-like serve`` as users start it: a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def server_process(cache_dir: Path, *options: str, stderr: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """A server on a free port, with nothing of the user's own configuration; killed at the end, if it still runs.

    Its registered models are the test's own: those of a server that the test started before.
    """
    environ = os.environ | {
        "XDG_CONFIG_HOME": str(cache_dir / "config"),
        "APPDATA": str(cache_dir / "config"),
        "LEMONADE_LIKE_CACHE_DIR": str(cache_dir),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "lemonade_like", "serve", "--port", "0", *options],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def address(process: subprocess.Popen[str]) -> str:
    """The server's base URL, as its first line says when it is ready."""
    assert process.stdout is not None
    first_line = process.stdout.readline()
    assert first_line.startswith("lemonade-like is ready at "), first_line
    return first_line.split()[4].removesuffix("/v1")
