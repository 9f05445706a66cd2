"""All that can be told of a model: what its entry says, and what its file says where that is on this machine."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.models import facts
from lemonade_like.models.bundled import GGUF_SIZE
from lemonade_like.models.detection import mode_of
from lemonade_like.models.gguf import GGUFError
from lemonade_like.models.grouping import quantisation_in

if TYPE_CHECKING:
    from pathlib import Path

    from lemonade_like.models.facts import ModelFacts
    from lemonade_like.models.model import Model
    from lemonade_like.settings import Mode

_logger: Final = logging.getLogger("lemonade_like.models")


@dataclass(frozen=True)
class Description:
    """A model, and what is known of its file.

    ``present`` says whether it can be loaded as it is. ``size_bytes`` is that of all its files on the disk, the
    projector's too, or else what the entry says of the download. ``facts`` are ``None`` as long as there is no file, or
    if it cannot be read; ``unreadable`` says why.
    """

    model: Model
    present: bool
    size_bytes: int | None
    facts: ModelFacts | None = None
    unreadable: str | None = None

    @property
    def labels(self) -> list[str]:
        """What the model is good for, sorted; of a model that nobody described, what its file gives away."""
        labels: set[str] = set(self.model.labels)
        if self.model.source in ("user", "local", "hub"):
            labels |= self.facts.labels if self.facts else set()
            labels |= {"vision"} if self.model.mmproj_path else set()
        return sorted(labels)

    @property
    def mode(self) -> Mode:
        """What the model is for; of a model that is not here yet, as far as its entry says."""
        return mode_of(self.model.labels, self.facts.labels if self.facts else ())

    @property
    def quantisation(self) -> str | None:
        """Such as ``Q4_K_M``: as it was asked for, or as the file says."""
        asked = (self.model.checkpoint or "").partition(":")[2]
        named = quantisation_in(asked if asked.lower().endswith(".gguf") else f"{asked}.gguf") if asked else None
        return named or (self.facts.quantisation if self.facts else None)

    def as_json(self) -> dict[str, Any]:
        """The fields that the API and ``lemonade-like models --json`` have alike; sizes are in GB (1e9 bytes)."""
        model, known = self.model, self.facts
        return {
            "id": model.name,
            "checkpoint": model.checkpoint,
            "recipe": model.recipe,
            "labels": self.labels,
            "mode": self.mode,
            "source": model.source,
            "suggested": model.suggested,
            "downloaded": self.present,
            "size": round(self.size_bytes / 1e9, 3) if self.size_bytes is not None else None,
            "context_length": (known.context_length or None) if known else None,
            "quantization": self.quantisation,
            "parameters": (known.parameters or None) if known else None,
            "architecture": known.architecture if known else None,
            "recipe_options": model.options.model_dump(exclude_none=True),
        }


def describe(model: Model, path: Path | None) -> Description:
    """Describe a model whose file is at ``path``, if it is there. Blocking; reads the file's header, once."""
    if path is None:
        size = GGUF_SIZE if model.bundled else int(model.size * 1e9) if model.size else None
        return Description(model, model.bundled, size)
    try:
        known = facts.of(path)
        projector = model.mmproj_path.stat().st_size if model.mmproj_path else 0
    except (GGUFError, OSError) as error:
        _logger.debug("%s cannot be described: %s", model.name, error)
        return Description(model, True, None, unreadable=str(error))
    return Description(model, True, known.file_bytes + projector, known)
