"""What is true now of the engines and of those who wait for them, as gauges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from lemonade_like.pool.status import ModelStatus, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client.metrics_core import Metric

STATES: Final[tuple[str, ...]] = get_args(Phase)


class PoolGauges(Collector):
    """Shows what the pool last said of itself; it is asked before each look."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._models: Sequence[ModelStatus] = ()
        self._draining = False

    def take(self, models: Sequence[ModelStatus], *, draining: bool) -> None:
        """Show this from now on."""
        # Of a model that has no size nobody knows yet whether it exists: its name is what a client has sent.
        self._models = [model for model in models if model.memory_estimate]
        self._draining = draining

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        yield self._family("draining", "1 while the server takes no new turns, to stop.", [((), self._draining)])
        yield self._family(
            "models_loaded", "Models that are in memory.", [((), sum(model.state == "ready" for model in self._models))]
        )
        yield self._of_models(
            "model_state",
            "1 for the state that a model is in: ready, loading, restarting, stopping or unloaded.",
            [((model.name, state), model.state == state) for model in self._models for state in STATES],
            "state",
        )
        yield self._of_models(
            "queue_length",
            "Turns in line for a slot.",
            [((model.name,), len(model.waiting)) for model in self._models],
        )
        yield self._of_models(
            "queue_oldest_seconds",
            "For how long the turn has waited that waits for longest.",
            [((model.name,), max(model.waiting, default=0.0)) for model in self._models],
        )
        yield self._of_models(
            "running_turns", "Turns that have a slot.", [((model.name,), model.slots_busy) for model in self._models]
        )
        yield self._of_models(
            "slots",
            "Turns that a model takes at the same time.",
            [((model.name,), model.slots_total) for model in self._models],
        )
        yield self._of_models(
            "model_memory_bytes",
            "Memory of a model: estimate is what it was thought to take, resident what its engine has in main memory.",
            [
                ((model.name, kind), size)
                for model in self._models
                for kind, size in (("estimate", model.memory_estimate), ("resident", model.memory_resident))
                if size is not None
            ],
            "kind",
        )

    def _of_models(
        self, name: str, help_text: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str
    ) -> GaugeMetricFamily:
        return self._family(name, help_text, values, "model", *labels)

    def _family(
        self, name: str, help_text: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str
    ) -> GaugeMetricFamily:
        family = GaugeMetricFamily(f"{self._namespace}_{name}", help_text, labels=labels)
        for names, value in values:
            family.add_metric(names, float(value))
        return family
