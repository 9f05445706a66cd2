"""What bounds the pool."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lemonade_like.pool.scheduler import Rules

if TYPE_CHECKING:
    from lemonade_like.settings import Settings


@dataclass(frozen=True)
class PoolLimits:
    """``max_loaded_models`` and ``memory_budget`` (bytes) are 0 where nothing but the machine's memory limits them;
    ``max_crashes`` is how many crashes one turn survives, less one."""

    rules: Rules = field(default_factory=Rules)
    max_loaded_models: int = 0
    memory_budget: int = 0
    max_crashes: int = 3

    @classmethod
    def from_settings(cls, settings: Settings) -> PoolLimits:
        """Return what the settings say."""
        return cls(
            Rules(settings.queue_size, settings.parallel, settings.idle_timeout),
            max_loaded_models=settings.max_loaded_models,
            memory_budget=int(settings.memory_budget * 1e9),
            max_crashes=settings.max_crashes,
        )
