"""All that watches one app: its statistics, its metrics, its log's readers and, where asked for, its traces."""

from __future__ import annotations

import importlib.util
import logging
import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from lemonade_like.observe.lines import LogLines
from lemonade_like.observe.metrics import Metrics
from lemonade_like.observe.stats import Statistics
from lemonade_like.observe.turns import ObservedTurns
from lemonade_like.observe.vectors import ObservedVectors
from lemonade_like.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lemonade_like.observe.tracing import Tracing
    from lemonade_like.observe.turns import Runner
    from lemonade_like.observe.vectors import VectorMaker
    from lemonade_like.settings import Settings

_logger = logging.getLogger(__name__)

_INSTALL: Final = "pip install 'lemonade-like[otel]'"
_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Observation:
    """Made before the app, which it watches from ``open`` to ``close``."""

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.statistics = Statistics()
        self.metrics = Metrics(version("lemonade-like"))
        self.logs = LogLines()
        self.tracing = tracing

    @classmethod
    def from_settings(cls, settings: Settings) -> Observation:
        """Return what the settings ask for. Raises ``SettingsError`` for traces without what they need."""
        return cls(open_tracing(settings.otlp_endpoint))

    def of(self, turns: Runner, name_of: Callable[[str], str | None]) -> ObservedTurns:
        """Return the turns, watched; ``name_of`` gives the own name of the model that a client asked for."""
        ended = [self.statistics.ended, self.metrics.turn]
        if self.tracing is not None:
            ended.append(self.tracing.turn)
        return ObservedTurns(turns, name_of=name_of, began=self.statistics.began, ended=ended)

    def of_vectors(self, vectors: VectorMaker, name_of: Callable[[str], str | None]) -> ObservedVectors:
        """Return what embeds and reranks, watched; ``name_of`` as in ``of``."""
        return ObservedVectors(vectors, name_of=name_of, ended=self.metrics.vectors)

    def open(self) -> None:
        """Begin to watch."""
        self.logs.open()

    async def close(self) -> None:
        """Watch no longer, and send what is left of the traces."""
        self.logs.close()
        if self.tracing is not None:
            await self.tracing.close()


def open_tracing(endpoint: str | None, environ: Mapping[str, str] = os.environ) -> Tracing | None:
    """Return the traces that go to ``endpoint``, or where OpenTelemetry's own variables say; ``None`` if neither does.

    Raises:
        SettingsError: they are asked for by the setting, but what they need is not installed. Variables may be meant
            for other programs on the machine, so then there is only a warning.
    """
    variable = next((name for name in _VARIABLES if environ.get(name)), None)
    if endpoint is None and variable is None:
        return None
    if not _installed():
        if endpoint is not None:
            raise SettingsError(f"Traces (otlp_endpoint) need OpenTelemetry, which is not installed.\nRun: {_INSTALL}")
        _logger.warning("%s is set, but there are no traces without OpenTelemetry. Run: %s", variable, _INSTALL)
        return None
    from lemonade_like.observe.tracing import Tracing  # noqa: PLC0415 - an extra, and slow to import

    return Tracing(endpoint)


def _installed() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http.trace_exporter") is not None
    except ModuleNotFoundError:
        return False
