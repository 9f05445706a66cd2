"""A model from the Hub onto this machine: planned, checked for space, and fetched file by file."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lemonade_like.models.download import Checkpoint
from lemonade_like.models.fetch import PATIENCE, fetch, size_of
from lemonade_like.models.hub import Hub, HubPlace
from lemonade_like.models.hub_cache import CachedRepository
from lemonade_like.models.hub_errors import explain
from lemonade_like.models.space import RESERVE, DiskUsage, free_space, require_space

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lemonade_like.models.progress import Tracker
    from lemonade_like.models.registry import Model
    from lemonade_like.models.remote import Plan


@dataclass(frozen=True)
class Wanted:
    """What to pull.

    ``checkpoint`` is ``org/repo:QUANT``, ``mmproj`` the name of the projector's file there or a checkpoint of its own;
    ``vision`` has the best projector of the repository taken where none is named.
    """

    checkpoint: str
    mmproj: str | None = None
    vision: bool = False

    @classmethod
    def of(cls, model: Model) -> Wanted | None:
        """What the model needs; ``None`` if there is nothing to be pulled for it."""
        if model.checkpoint is None:
            return None
        return cls(model.checkpoint, model.mmproj, "vision" in model.labels)


class Pulling:
    """One pull, step by step: :meth:`plan`, then :meth:`run`; blocking. It can be begun again at any point.

    ``reserve`` are the bytes that must stay free, ``disk_usage`` is asked for those that are.
    """

    def __init__(
        self,
        wanted: Wanted,
        place: HubPlace,
        *,
        reserve: int = RESERVE,
        disk_usage: Callable[[Path], DiskUsage] = shutil.disk_usage,
        patience: Sequence[float] = PATIENCE,
    ) -> None:
        self._wanted = wanted
        self._hub = Hub(place)
        self._cache = place.folder
        self._reserve = reserve
        self._disk_usage = disk_usage
        self._patience = patience

    def plan(self) -> Plan:
        """Ask the Hub what the model is made of, and see that it fits. Raises ``DownloadError``."""
        wanted = self._wanted
        plan = self._hub.plan(Checkpoint.parse(wanted.checkpoint), wanted.mmproj, vision=wanted.vision)
        try:
            free = free_space(self._cache, self._disk_usage)
        except OSError as error:
            raise explain(error, wanted.checkpoint, self._hub.endpoint) from error
        require_space(wanted.checkpoint, self._missing(plan), free, self._cache, reserve=self._reserve)
        return plan

    def _missing(self, plan: Plan) -> int:
        """The bytes that are still to be fetched."""
        missing = 0
        for file in plan.files:
            cached = CachedRepository(self._cache, file.repo)
            there = cached.content(file) or cached.partial(file)
            missing += max(file.size - size_of(there), 0)
        return missing

    def run(self, plan: Plan, tracker: Tracker) -> Path:
        """Fetch what is missing, check all of it, and return the path of the model's first shard.

        Raises:
            DownloadError: it could not be done; what has come is kept, unless it was wrong.
        """
        for index, file in enumerate(plan.files):
            tracker.begin(index, file)
            fetch(file, CachedRepository(self._cache, file.repo), self._hub, tracker, patience=self._patience)
        last = plan.files[-1]
        try:
            for repo, revision in {(file.repo, file.revision) for file in plan.files}:
                CachedRepository(self._cache, repo).set_main(revision)
        except OSError as error:
            raise explain(error, last.repo, self._hub.endpoint) from error
        return CachedRepository(self._cache, last.repo).snapshot(last)
