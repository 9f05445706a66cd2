"""The bundled engine: llama.cpp's own HTTP server out of the xllamacpp wheel, behind llama-server's flags.

``python -m lemonade_like.engine.bundled --model FILE --port N …`` is a llama-server: same flags, same endpoints, same
log. xllamacpp has no argument parser, so ``bundled_flags`` maps the flags onto its fields by hand. Runs until SIGTERM
or SIGINT, then exits with 0 at once: its streams are to be closed before.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from lemonade_like.engine.bundled_flags import apply, make_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Exit codes: the model could not be loaded; the wheel is not there.
LOAD_FAILED: Final = 1
NOT_INSTALLED: Final = 3

_LOG_SECONDS: Final = 0.3


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; return the exit code."""
    try:
        import xllamacpp  # noqa: PLC0415 (optional: the extra "engine")
    except ImportError as error:
        return _fail(
            f"The bundled engine is not installed ({error}). Run: pip install 'lemonade-like[engine]'", NOT_INSTALLED
        )
    params = xllamacpp.CommonParams()
    try:
        parsed = make_parser(f"xllamacpp {xllamacpp.__version__}").parse_args(arguments)
        apply(parsed, params, xllamacpp, os.environ)
    except (OSError, ValueError) as error:
        return _fail(f"error: {error}", 2)
    # While it loads, the native code does not come back to Python, and handlers would not run: the default kills.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        server = xllamacpp.Server(params)
    except RuntimeError:
        # Its exception does not say why. Its log does, and is written by a thread that nobody waits for.
        time.sleep(_LOG_SECONDS)
        return _fail(f"The bundled engine could not load {params.model.path}.", LOAD_FAILED)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    while server is not None:
        threading.Event().wait()
    return 0


def _end(_number: int, _frame: object) -> None:
    """End the process. Nothing is worth saving, and an orderly shutdown would wait for open streams."""
    sys.stderr.flush()
    os._exit(0)


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)  # noqa: T201 (this is a command)
    return code


if __name__ == "__main__":
    sys.exit(main())
