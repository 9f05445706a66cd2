"""A machine with models on it: a Hugging Face cache, folders, and registries over them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lemonade_like.models.registry import Registry
from lemonade_like.settings import Settings


@dataclass(frozen=True)
class Machine:
    """Everything is below ``folder``."""

    folder: Path

    @property
    def hub_cache(self) -> Path:
        return self.folder / "hub"

    def settings(self, **options: Any) -> Settings:
        return Settings(**{"cache_dir": self.folder / "cache", "data_dir": self.folder / "data", **options})

    def registry(self, **options: Any) -> Registry:
        """A registry as another process would make it."""
        return Registry.from_settings(self.settings(**options), hub_cache=self.hub_cache)

    def cached(self, repo: str, *files: str, revision: str = "abc") -> list[Path]:
        """Files of a repository in the Hub's cache."""
        snapshot = self.hub_cache / f"models--{repo.replace('/', '--')}" / "snapshots" / revision
        return [put_file(snapshot / file) for file in files]


def put_file(path: Path) -> Path:
    """A file that has the name of a model, which is all that is looked at before it is loaded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF")
    return path
