"""The measurements as a table, for people or for the README."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.benchmark.measure import LLAMA_SERVER, OURS, RAW, Measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.benchmark.hostile import Held


@dataclass(frozen=True)
class Row:
    """One line of a table, as it is printed."""

    name: str
    raw: str = ""
    llama_server: str = ""
    ours: str = ""
    against_raw: str = ""
    budget: str = ""


HEADINGS = ("", RAW, LLAMA_SERVER, OURS, "ours to raw", "budget")


@dataclass(frozen=True)
class Budget:
    """What the front end may cost."""

    added_first_token_ms: float = 1.0
    cpu_us_per_chunk: float = 40.0
    share_of_raw: float = 0.95
    resident_mb: float = 150.0
    hostile_s: float = 1.0
    health_ms: float = 100.0


def rows(found: dict[str, Measured], resident_mb: float, streams: Sequence[int], budget: Budget) -> list[Row]:
    """Return the lines that compare the three ways."""
    lines = [
        _first_token("time to first text, median (ms)", found, 50, budget.added_first_token_ms),
        _first_token("time to first text, p95 (ms)", found, 95, None),
    ]
    for count in streams:
        lines.append(_rate(f"tokens/s, {_streams(count)}", found, count, budget if count == max(streams) else None))
    for count in streams:
        ours = found[OURS].throughput[count]
        per_chunk = ours.cpu * 1e6 / max(ours.chunks, 1)
        per_token = ours.cpu * 1e6 / max(ours.tokens, 1)
        lines.append(
            Row(
                f"CPU of our process per chunk, {_streams(count)} (µs)",
                ours=f"{per_chunk:.1f}",
                budget=_verdict(per_chunk <= budget.cpu_us_per_chunk, f"≤ {budget.cpu_us_per_chunk:g}"),
            )
        )
        lines.append(Row(f"CPU of our process per token, {_streams(count)} (µs)", ours=f"{per_token:.1f}"))
    within = _verdict(resident_mb <= budget.resident_mb, f"≤ {budget.resident_mb:g}")
    lines.append(Row("memory of our process, resident (MB)", ours=f"{resident_mb:.0f}", budget=within))
    return lines


def machine(engine_version: str, load_average: float | None) -> str:
    """Return what it was measured on, in two lines."""
    cores = os.cpu_count()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    busy = "" if load_average is None else f", load average {load_average:.1f} before"
    return (
        f"{_cpu_model()}, {usable} of {cores} cores{busy}; {_system()}; Python {platform.python_version()}\n"
        f"lemonade-like {version('lemonade-like')}, engine {engine_version}; "
        f"{datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M')} UTC"
    )


def markdown(lines: Sequence[Row], micro: dict[str, float], hostile: dict[str, Held]) -> str:
    """Return the tables in Markdown."""
    out = ["| " + " | ".join(HEADINGS) + " |", "|---|" + "---:|" * (len(HEADINGS) - 1)]
    out += ["| " + " | ".join(asdict(line).values()) + " |" for line in lines]
    out += ["", "| without an engine | ms |", "|---|---:|"]
    out += [f"| {name} | {_ms(value)} |" for name, value in micro.items()]
    out += ["", f"| {' | '.join(_HOSTILE)} |", "|---|---:|---:|---:|---|"]
    out += [f"| {' | '.join(row)} |" for row in _hostile(hostile, Budget())]
    return "\n".join(out)


def plain(lines: Sequence[Row], micro: dict[str, float], hostile: dict[str, Held]) -> str:
    """Return the tables in columns."""
    out = _columns([HEADINGS, *(tuple(asdict(line).values()) for line in lines)])
    width = max(map(len, micro), default=0)
    out += ["", "without an engine (ms)"]
    out += [f"{name:<{width}}  {_ms(value):>8}" for name, value in micro.items()]
    out += ["", *_columns([_HOSTILE, *_hostile(hostile, Budget())])]
    return "\n".join(out)


def as_json(
    found: dict[str, Measured],
    resident_mb: float,
    idle: float,
    micro: dict[str, float],
    hostile: dict[str, Held],
    machine_line: str,
) -> dict[str, Any]:
    """Return everything that was measured."""
    return {
        "machine": machine_line,
        "resident_mb": resident_mb,
        "idle_cpu_share": idle,
        "ways": {name: asdict(measured) for name, measured in found.items()},
        "micro_ms": micro,
        "hostile": {name: asdict(held) for name, held in hostile.items()},
    }


_HOSTILE = ("made to take long", "answer", "ms, engine left out", "longest /health (ms)", "budget")


def _hostile(hostile: dict[str, Held], budget: Budget) -> list[tuple[str, ...]]:
    limit = f"≤ {budget.hostile_s * 1000:g}, ≤ {budget.health_ms:g}"
    return [
        (
            name,
            str(held.status),
            f"{held.seconds * 1000:.0f}",
            f"{held.health * 1000:.0f}",
            _verdict(held.seconds <= budget.hostile_s and held.health * 1000 <= budget.health_ms, limit),
        )
        for name, held in hostile.items()
    ]


def _columns(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cells[place]) for cells in table) for place in range(len(table[0]))]
    return ["  ".join(_aligned(cells, widths)).rstrip() for cells in table]


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value below which ``percent`` of the values lie."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _first_token(name: str, found: dict[str, Measured], percent: int, limit: float | None) -> Row:
    times = {way: percentile(measured.first_text, percent) * 1000 for way, measured in found.items()}
    added = times[OURS] - times[RAW]
    return Row(
        name,
        f"{times[RAW]:.2f}",
        f"{times[LLAMA_SERVER]:.2f}",
        f"{times[OURS]:.2f}",
        f"{added:+.2f} ms",
        "" if limit is None else _verdict(added <= limit, f"≤ +{limit:g} ms"),
    )


def _rate(name: str, found: dict[str, Measured], count: int, budget: Budget | None) -> Row:
    rates = {way: measured.throughput[count].rates for way, measured in found.items()}
    # Each round is compared with itself: what slows the machine down slows all three.
    share = statistics.median(ours / raw for ours, raw in zip(rates[OURS], rates[RAW], strict=True))
    return Row(
        name,
        f"{statistics.median(rates[RAW]):,.0f}",
        f"{statistics.median(rates[LLAMA_SERVER]):,.0f}",
        f"{statistics.median(rates[OURS]):,.0f}",
        f"{share:.3f} ×",
        "" if budget is None else _verdict(share >= budget.share_of_raw, f"≥ {budget.share_of_raw:g} ×"),
    )


def _verdict(kept: bool, limit: str) -> str:
    return f"{limit} {'✓' if kept else '✗'}"


def _streams(count: int) -> str:
    return "1 stream" if count == 1 else f"{count} streams"


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *rest = zip(cells, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]


def _cpu_model() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _system() -> str:
    if sys.platform == "linux":
        try:
            name = platform.freedesktop_os_release()["PRETTY_NAME"]
        except (OSError, KeyError):
            name = "Linux"
        return f"{name} (Linux {platform.release()})"
    return platform.platform()
