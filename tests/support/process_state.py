"""What a command sets up for its whole process, put back as it was."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.access")
_CLIENTS = ("httpx", "httpx2", "httpcore", "httpcore2", "urllib3", "huggingface_hub", "mcp", "client")


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Puts log handlers, log levels and signal handlers back when the block is left."""
    loggers = [logging.getLogger(name) for name in ("", "asyncio", *_SERVERS, *_CLIENTS)]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
            logger.handlers[:] = handlers
            logger.setLevel(level)
            logger.propagate = propagate
        logging.captureWarnings(False)
        for number, handler in signals.items():
            signal.signal(number, handler)
