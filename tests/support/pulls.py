"""Pulls from the local hub, in this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lemonade_like.models.download import Checkpoint, find_in_cache
from lemonade_like.models.hub import HubPlace
from lemonade_like.models.progress import Tracker
from lemonade_like.models.pull import Pulling, Wanted

if TYPE_CHECKING:
    from tests.support.hub import Hub


#: As often as in a real pull, but at once.
AT_ONCE = (0.0, 0.0)


@dataclass
class Disk:
    """A disk with so many bytes free."""

    free: int

    def __call__(self, _: Path) -> Disk:
        return self


@dataclass
class Puller:
    """Pulls from ``hub`` into ``cache``."""

    hub: Hub
    cache: Path

    @property
    def place(self) -> HubPlace:
        return HubPlace(self.hub.url, self.cache)

    def pull(self, checkpoint: str, mmproj: str | None = None, *, vision: bool = False, **options: Any) -> Path:
        """The first shard of the model."""
        pulling = self.begin(checkpoint, mmproj, vision=vision, **options)
        plan = pulling.plan()
        return pulling.run(plan, Tracker(plan))

    def begin(self, checkpoint: str, mmproj: str | None = None, *, vision: bool = False, **options: Any) -> Pulling:
        """A pull that nothing has been done of."""
        options = {"reserve": 0, "patience": AT_ONCE, **options}
        return Pulling(Wanted(checkpoint, mmproj, vision), self.place, **options)

    def found(self, checkpoint: str) -> Path | None:
        """The model, if it counts as downloaded."""
        return find_in_cache(Checkpoint.parse(checkpoint), self.cache)

    def files(self) -> list[str]:
        """What is in the repository's folder but for links and folders, by name."""
        return sorted(path.name for path in self.cache.rglob("*") if path.is_file() and path.suffix != ".lock")
