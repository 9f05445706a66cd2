"""The models that a repository holds: which quantisations, how large, which of them is here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.models.download import Checkpoint, NoSuchFiles, choose_files, find_in_cache, models_in
from lemonade_like.models.hub import is_projector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lemonade_like.models.hub import Repository

_QUANT: Final = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:I?Q\d\w*|TQ\d\w*|MXFP4\w*|NVFP4\w*|BF16|FP?16|FP?32))(?![A-Za-z0-9])", re.IGNORECASE
)
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
            name := _name(base, shards, names),
            tuple(shards),
            sum(sizes[shard] for shard in shards),
            find_in_cache(Checkpoint(repository.name, name), hub_cache) is not None,
        )
        for base, shards in models_in(names).items()
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


def _name(base: str, shards: list[str], files: Sequence[str]) -> str:
    """The quantisation, where that means just this model; else its file."""
    found = _QUANT.findall(PurePosixPath(base).name) or _QUANT.findall(base)
    if found:
        try:
            if choose_files(files, found[-1]) == shards:
                return str(found[-1])
        except NoSuchFiles:
            pass
    return shards[0]


def _rank(name: str) -> int:
    upper = name.upper()
    return _PREFERENCE.index(upper) if upper in _PREFERENCE else len(_PREFERENCE)
