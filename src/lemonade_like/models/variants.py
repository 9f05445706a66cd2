"""The models that a repository holds: which quantisations, how large, which of them is here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.models.download import Checkpoint, find_in_cache, whole_models
from lemonade_like.models.grouping import checkpoint_of, is_projector

if TYPE_CHECKING:
    from pathlib import Path

    from lemonade_like.models.remote import Repository

#: What to take when nobody has said: what GPT-OSS was trained in, then what Lemonade prefers.
_PREFERENCE: Final = ("MXFP4", "Q4_K_M", "UD-Q4_K_XL", "Q8_0", "Q4_0")


@dataclass(frozen=True)
class Variant:
    """One model of a repository. ``name`` after the repository's and a colon is the checkpoint that means it."""

    name: str
    files: tuple[str, ...]
    size_bytes: int
    downloaded: bool
    recommended: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as Lemonade's endpoint has it, and what this server knows beside it."""
        return {
            "name": self.name,
            "primary_file": self.files[0],
            "files": list(self.files),
            "sharded": len(self.files) > 1,
            "size_bytes": self.size_bytes,
            "downloaded": self.downloaded,
            "recommended": self.recommended,
        }


def variants_of(repository: Repository, hub_cache: Path | None = None) -> list[Variant]:
    """Return the repository's models that are complete, the recommended one first; reads the cache."""
    names = repository.file_names
    sizes = {file.name: file.size for file in repository.files}
    found = [
        Variant(
            name := Checkpoint.parse(checkpoint_of(repository.name, shards, names)).quant or shards[0],
            tuple(shards),
            sum(sizes[shard] for shard in shards),
            find_in_cache(Checkpoint(repository.name, name), hub_cache) is not None,
        )
        for shards in whole_models(names)
    ]
    found.sort(key=lambda variant: (_rank(variant.name), variant.name))
    return [
        Variant(each.name, each.files, each.size_bytes, each.downloaded, recommended=place == 0)
        for place, each in enumerate(found)
    ]


def suggested_labels(repository: Repository) -> list[str]:
    """Return what the files and the name of a repository say that its models can do."""
    name = repository.name.lower()
    labels = {
        "gpt-oss": "gpt-oss" in name or "gpt_oss" in name,
        "vision": any(is_projector(file) for file in repository.file_names),
        "embeddings": "embed" in name,
        "reranking": "rerank" in name,
    }
    return [label for label, applies in labels.items() if applies]


def projectors(repository: Repository) -> list[str]:
    """Return the repository's vision projectors."""
    return sorted(file for file in repository.file_names if is_projector(file))


def _rank(name: str) -> int:
    return _PREFERENCE.index(name) if name in _PREFERENCE else len(_PREFERENCE)
