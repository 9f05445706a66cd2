"""What Prometheus is told: counted from requests, turns and engines as they happen, in a registry of the app's own.

No label has a value that a client can make up: endpoints are those of the routes, models have their own names, and
whatever is none of them is ``unknown``.
"""

from __future__ import annotations

import platform
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from lemonade_like.observe.record import GAP_BOUNDS
from lemonade_like.observe.requests import METHODS
from lemonade_like.observe.scrape import PoolGauges
from lemonade_like.pool.news import Crashed, Loaded, LoadFailed, News, Resumed, Stopped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client.metrics_core import Metric

    from lemonade_like.observe.record import TurnRecord
    from lemonade_like.observe.vectors import VectorRecord
    from lemonade_like.pool.status import ModelStatus

NAMESPACE: Final = "lemonade_like"
#: In the place of the name of a model, or of the path of an endpoint, that is none.
UNKNOWN: Final = "unknown"

#: In seconds: from the refusal of a request to a turn that thinks for minutes.
_REQUEST_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_FIRST_TOKEN_BOUNDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)
_WAIT_BOUNDS: Final = (0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
_LOAD_BOUNDS: Final = (0.25, 0.5, 1, 2, 5, 10, 20, 40, 60, 120, 300, 600)


class Metrics:
    """The metrics of one app. All methods must be called from its event loop."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        self._gauges = PoolGauges(NAMESPACE)
        self._registry.register(self._gauges)
        self._gaps = _Gaps()
        self._registry.register(self._gaps)
        ProcessCollector(registry=self._registry)
        build = Info("build", "The version of this server, and of its Python.", (), NAMESPACE, registry=self._registry)
        build.info({"version": version, "python": platform.python_version()})

        self._requests = self._counter(
            "http_requests", "Requests by how they were answered; 499 if the client went away before.",
            "method", "endpoint", "status",
        )  # fmt: skip
        self._request_seconds = self._histogram(
            "http_request_duration_seconds", "Time from a request to the end of its answer, streams included.",
            _REQUEST_BOUNDS, "method", "endpoint",
        )  # fmt: skip

        self._turns = self._counter(
            "turns", "Turns that are over, by how they ended: a finish reason, cancelled, or error.", "model", "outcome"
        )
        self._errors = self._counter("turn_errors", "Turns that ended in an error, by its code.", "model", "code")
        self._turn_seconds = self._histogram(
            "turn_duration_seconds", "Time from the beginning of a turn to its end.", _REQUEST_BOUNDS, "model"
        )
        self._wait_seconds = self._histogram(
            "queue_wait_seconds", "Time that turns waited for a slot, loading included.", _WAIT_BOUNDS, "model"
        )
        self._first_seconds = self._histogram(
            "time_to_first_token_seconds",
            "Time from the beginning of a turn to the first token that was shown.",
            _FIRST_TOKEN_BOUNDS,
            "model",
        )
        self._prompt_tokens = self._counter("prompt_tokens", "Tokens of prompts, cached ones included.", "model")
        self._cached_tokens = self._counter(
            "cached_prompt_tokens", "Tokens of prompts that the engine did not have to read again.", "model"
        )
        self._tokens = self._counter("generated_tokens", "Tokens that were generated.", "model", "channel")
        self._seconds = self._counter(
            "generated_seconds", "Time between generated tokens, by the channel of the later one.", "model", "channel"
        )
        self._calls = self._counter("tool_calls", "Tool calls that models began.", "model")
        self._recoveries = self._counter(
            "recoveries", "What was malformed in the output of models and mended, or kept from clients.",
            "model", "kind",
        )  # fmt: skip

        self._vectors = self._counter(
            "vector_requests", "Embeddings and rankings, by how they ended: ok, cancelled, or error.",
            "model", "kind", "outcome",
        )  # fmt: skip
        self._vector_tokens = self._counter(
            "vector_prompt_tokens", "Tokens that were read to embed or rank.", "model", "kind"
        )
        self._vector_seconds = self._histogram(
            "vector_request_duration_seconds", "Time from a request to embed or rank to its answer.",
            _REQUEST_BOUNDS, "model", "kind",
        )  # fmt: skip

        self._loads = self._counter("loads", "Loads of models, by result: ok or failed.", "model", "result")
        self._load_seconds = self._histogram(
            "load_duration_seconds", "Time that engines took to load a model.", _LOAD_BOUNDS, "model"
        )
        self._unloads = self._counter(
            "unloads", "Engines that were stopped: evicted for another model, idle, requested, reloaded, replaced.",
            "model", "reason",
        )  # fmt: skip
        self._crashes = self._counter("crashes", "Engines that died or hung after they were ready.", "model")
        self._resumes = self._counter("resumes", "Turns that lost their engine and went on.", "model")

    def request(self, method: str, endpoint: str | None, status: int, seconds: float) -> None:
        """Count a request that is over; ``endpoint`` is the path of its route, if it got to one."""
        method, endpoint = method if method in METHODS else UNKNOWN, endpoint or UNKNOWN
        self._requests.labels(method, endpoint, status).inc()
        self._request_seconds.labels(method, endpoint).observe(seconds)

    def turn(self, turn: TurnRecord) -> None:
        """Count a turn that is over."""
        model = turn.model or UNKNOWN
        self._turns.labels(model, turn.outcome).inc()
        self._turn_seconds.labels(model).observe(turn.duration)
        if turn.error is not None:
            self._errors.labels(model, turn.error).inc()
        if turn.model is None:
            return
        if turn.waited is not None:
            self._wait_seconds.labels(model).observe(turn.waited)
        if turn.time_to_first_token is not None:
            self._first_seconds.labels(model).observe(turn.time_to_first_token)
            self._gaps.add(model, turn.gaps, turn.gap_seconds)
        self._prompt_tokens.labels(model).inc(turn.prompt_tokens)
        self._cached_tokens.labels(model).inc(turn.cached_tokens)
        self._calls.labels(model).inc(turn.tool_calls)
        for channel, tokens in turn.tokens_by_channel.items():
            self._tokens.labels(model, channel).inc(tokens)
        for channel, seconds in turn.seconds_by_channel.items():
            self._seconds.labels(model, channel).inc(seconds)
        for kind, times in turn.recovered.items():
            self._recoveries.labels(model, kind).inc(times)

    def vectors(self, request: VectorRecord) -> None:
        """Count a request to embed or rank that is over."""
        model = request.model or UNKNOWN
        self._vectors.labels(model, request.kind, request.outcome).inc()
        self._vector_seconds.labels(model, request.kind).observe(request.duration)
        if request.model is not None:
            self._vector_tokens.labels(model, request.kind).inc(request.prompt_tokens)

    def engine(self, news: News) -> None:
        """Count what has happened to an engine."""
        if isinstance(news, Loaded):
            self._loads.labels(news.model, "ok").inc()
            self._load_seconds.labels(news.model).observe(news.seconds)
        elif isinstance(news, LoadFailed):
            self._loads.labels(news.model, "failed").inc()
        elif isinstance(news, Stopped):
            self._unloads.labels(news.model, news.reason).inc()
        elif isinstance(news, Crashed):
            self._crashes.labels(news.model).inc()
        elif isinstance(news, Resumed):
            self._resumes.labels(news.model).inc()

    def page(self, models: Sequence[ModelStatus], *, draining: bool, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics, and the content type that they are written in: the best that ``accept`` takes.

        ``models`` and ``draining`` are what the pool says of itself now.
        """
        self._gauges.take(models, draining=draining)
        encode, content_type = choose_encoder(accept)
        return encode(_Page(self._registry)), content_type

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, NAMESPACE, registry=self._registry)

    def _histogram(self, name: str, help_text: str, bounds: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, help_text, labels, NAMESPACE, registry=self._registry, buckets=bounds)


class _Gaps(Collector):
    """The time between tokens. It is counted by whoever follows the turn, and comes here a turn at a time."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0] * (len(GAP_BOUNDS) + 1))
        self._sums: dict[str, float] = defaultdict(float)

    def add(self, model: str, gaps: Sequence[int], seconds: float) -> None:
        counts = self._counts[model]
        for place, count in enumerate(gaps):
            counts[place] += count
        self._sums[model] += seconds

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(
            f"{NAMESPACE}_inter_token_seconds",
            "Time between two tokens of a turn that were shown.",
            labels=("model",),
        )
        bounds = [*map(floatToGoString, GAP_BOUNDS), "+Inf"]
        for model, counts in self._counts.items():
            below, buckets = 0, []
            for bound, count in zip(bounds, counts, strict=True):
                below += count
                buckets.append((bound, float(below)))
            family.add_metric((model,), buckets, self._sums[model])
        yield family


class _Page(Collector):
    """All metrics without the times at which their series began, which would double their number."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
