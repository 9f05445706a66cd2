#!/usr/bin/env python3
"""Measure what the front end costs, side by side on one engine.

The same prompts go three ways to the same llama-server process: raw to its /completion as token ids, through its own
/v1/chat/completions, and through ours. Run it with the project's environment: ``.venv/bin/python scripts/bench.py``.
On a machine that does nothing else; the engine computes with one thread, so that the server has a core to itself.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.benchmark import report
from scripts.benchmark.hostile import hostile_rows
from scripts.benchmark.measure import (
    OURS,
    RAW,
    Measured,
    check_prompts,
    idle_share,
    measure_round,
    ways,
)
from scripts.benchmark.micro import micro_rows
from scripts.benchmark.servers import BenchError, Engine, running_generator, running_server

from lemonade_like.configuration import load_settings
from lemonade_like.errors import ServerError
from lemonade_like.harmony.encoding import HarmonyEncoding
from lemonade_like.models.bundled import BUNDLED_MODEL, bundled_model_path
from lemonade_like.models.vocabulary import vocabulary_dir

#: What a prompt needs beside the tokens that are generated.
_PROMPT_ROOM = 1_024


def main() -> int:
    """Measure, and print what was found; return the exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _measure(options)
    except (BenchError, ServerError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _measure(options: argparse.Namespace) -> None:
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    streams = sorted({1, options.parallel})
    cache = load_settings({}).cache_dir
    bundled = vocabulary_dir(bundled_model_path(cache), cache)
    model = Path(options.model).stem if options.model.endswith(".gguf") else options.model
    with tempfile.TemporaryDirectory(prefix="lemonade-like-bench-") as folder:
        serve = ["--model", options.model, "--parallel", str(options.parallel)]
        serve += ["--ctx-size", str(options.tokens + _PROMPT_ROOM), f"--llamacpp-args={options.llamacpp_args}"]
        if options.llama_server:
            serve += ["--llama-server", options.llama_server]
        with running_server(Path(folder), serve) as server, running_generator() as generator:
            _say(f"The server is ready at {server.address.url}; loading {model} …")
            engine = server.engine(model)
            encoding = HarmonyEncoding.load(vocabulary_dir(engine.model_path, cache)) if engine.harmony else None
            three = ways(server, engine, model, encoding)
            by_name = {way.name: way for way in three}
            check_prompts(by_name[RAW], by_name[OURS])
            idle = idle_share(server)
            found = {way.name: Measured() for way in three}
            for number in range(1, options.rounds + 1):
                _say(f"Round {number} of {options.rounds} …")
                measure_round(
                    three,
                    server,
                    generator,
                    found,
                    turns=options.turns,
                    tokens=options.tokens,
                    streams=streams,
                    idle=idle,
                )
            resident = server.resident_mb()
            _say("Prompts that are made to take long …")
            hostile = hostile_rows(server.address.url, model)
            about = report.machine(_version(engine), load_average)
    _say("Rendering and parsing …")
    micro = micro_rows(HarmonyEncoding.load(bundled))
    lines = report.rows(found, resident, streams, report.Budget())
    print((report.markdown if options.markdown else report.plain)(lines, micro, hostile))
    print(f"\n{about}")
    print(
        f"{model}, {options.rounds} rounds of {options.turns} short turns and of {options.tokens} tokens a stream; "
        f"{options.parallel} slots, {options.llamacpp_args}"
    )
    if options.json:
        options.json.write_text(
            json.dumps(report.as_json(found, resident, idle, micro, hostile, about), indent=2) + "\n"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what the front end costs, side by side on one engine.")
    parser.add_argument("--rounds", type=_positive, default=5, help="how often everything is measured (%(default)s)")
    parser.add_argument("--turns", type=_positive, default=40, help="short turns in a round (%(default)s)")
    parser.add_argument("--tokens", type=_positive, default=1024, help="tokens of a long stream (%(default)s)")
    parser.add_argument("--parallel", type=_positive, default=4, help="slots, and streams at once (%(default)s)")
    parser.add_argument("--model", default=BUNDLED_MODEL, metavar="NAME|FILE", help="what to serve (%(default)s)")
    parser.add_argument("--llama-server", metavar="FILE", help="the engine, as for serve")
    parser.add_argument("--llamacpp-args", default="--threads 1", metavar="ARGS", help="as for serve (%(default)s)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured to this file")
    return parser.parse_args()


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _version(engine: Engine) -> str:
    build = engine.get("/props").get("build_info", "of unknown version")
    return f"{Path(engine.command[0]).name if '-m' not in engine.command else 'bundled'} {build}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
