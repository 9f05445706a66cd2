"""Turns that are watched, and what there is to count of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from lemonade_like.observe.metrics import Metrics
from lemonade_like.observe.record import CHANNELS, GAP_BOUNDS, TurnRecord
from lemonade_like.observe.stats import Statistics
from lemonade_like.observe.turns import ObservedTurns
from lemonade_like.observe.vectors import VectorRecord
from lemonade_like.pool.news import Crashed, Loaded, LoadFailed, Resumed, Stopped
from lemonade_like.pool.status import ModelStatus
from lemonade_like.turns.request import TurnRequest
from tests.support.turns import ScriptedTurns, Step

#: The samples of a page: values by name and labels.
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Watched:
    """Scripted turns that are watched, on a clock that ticks a second each time that somebody looks at it."""

    def __init__(self, script: Iterable[Step], known: str | None = "m") -> None:
        ticks = itertools.count(100)
        self.statistics = Statistics()
        self.records: list[TurnRecord] = []
        self.turns = ObservedTurns(
            ScriptedTurns(script),
            name_of=lambda _: known,
            began=self.statistics.began,
            ended=[self.statistics.ended, self.records.append],
            clock=lambda: float(next(ticks)),
        )

    async def run(self) -> list[list[Any]]:
        """All batches of one turn."""
        return [batch async for batch in self.turns.run(TurnRequest("M", ()))]


def a_record(**more: Any) -> TurnRecord:
    """A turn of the model ``m`` that came to its end, of 5 tokens."""
    told: dict[str, Any] = {
        "request": TurnRequest("M", ()),
        "model": "m",
        "outcome": "stop",
        "error": None,
        "started": 1_700_000_000.0,
        "duration": 4.0,
        "waited": 1.0,
        "time_to_first_token": 2.0,
        "tokens_per_second": 2.5,
        "prompt_tokens": 10,
        "cached_tokens": 4,
        "completion_tokens": 5,
        "reasoning_tokens": 2,
        "tool_calls": 1,
        "tokens_by_channel": dict.fromkeys(CHANNELS, 1),
        "seconds_by_channel": dict.fromkeys(CHANNELS, 0.5),
        "recovered": {"missing_end": 2},
        "gaps": (0,) * len(GAP_BOUNDS) + (4,),
        "gap_seconds": 40.0,
        "stages": (),
    }
    return TurnRecord(**told | more)


def a_status(**more: Any) -> ModelStatus:
    """The model ``m``, ready, with one turn running and two waiting."""
    told: dict[str, Any] = {
        "name": "m",
        "state": "ready",
        "detail": "",
        "seconds": 1.0,
        "pinned": False,
        "slots_busy": 1,
        "slots_total": 4,
        "waiting": (3.0, 1.0),
        "memory_estimate": 1000,
        "memory_resident": 900,
    }
    return ModelStatus(**told | more)


def exercised_metrics() -> Metrics:
    """Metrics to which everything that can be counted has happened once."""
    metrics = Metrics("1.2.3")
    metrics.request("GET", "/models", 200, 0.01)
    metrics.turn(a_record())
    metrics.turn(a_record(outcome="error", error="queue_full"))
    metrics.vectors(VectorRecord("m", "embeddings", "ok", 0.5, 12))
    for news in (Loaded("m", 3.0), LoadFailed("m", "x"), Stopped("m", "evicted"), Crashed("m"), Resumed("m")):
        metrics.engine(news)
    return metrics


def samples_of(page: str) -> Samples:
    """Return the samples of a page; no two may be the same."""
    found: Samples = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return one sample, 0 if it is not there."""
    return samples.get((f"lemonade_like_{name}", frozenset(labels.items())), 0.0)
