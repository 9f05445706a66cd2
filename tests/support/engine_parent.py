"""A server in miniature, to be killed: starts one engine, says its pids as JSON, and lives on.

``python -m tests.support.engine_parent GUARD ENGINE_MODEL LOG_DIR COMMAND…``
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
import psutil

from lemonade_like.engine.process import EngineProcess
from lemonade_like.engine.spec import EngineSpec


async def main() -> None:
    """Start the engine, print the pids of it and of what it started, and wait for ever."""
    guard, model, log_dir, *command = sys.argv[1:]
    spec = EngineSpec(tuple(command), "system", Path(model), "model", 256, 1, jinja=False)
    async with aiohttp.ClientSession() as session:
        engine = await EngineProcess.start(spec, log_dir=Path(log_dir), session=session, guard=guard)  # type: ignore[arg-type]
        children = psutil.Process(engine.pid).children(recursive=True)
        print(json.dumps([engine.pid, *(child.pid for child in children)]), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
