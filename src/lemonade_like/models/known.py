"""The models that are known by name, in all the ways in which a name is spelt."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lemonade_like.models.names import read_checkpoint, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lemonade_like.models.model import Model
    from lemonade_like.models.user_models import Saved


@dataclass(frozen=True)
class Known:
    """The models that have names, and the other ways to spell them. ``saved`` is what the user's are made from."""

    saved: Saved
    models: Mapping[str, Model]
    by_folded: Mapping[str, str]
    by_checkpoint: Mapping[str, str]

    @classmethod
    def of(cls, saved: Saved, models: Mapping[str, Model]) -> Known:
        """All of these, by all of their names."""
        checkpoints = [(model.checkpoint, name) for name, model in models.items() if model.checkpoint]
        return cls(
            saved,
            models,
            {name.casefold(): name for name in models},
            # Of several with one checkpoint the first has it: the built-in one.
            {checkpoint.casefold(): name for checkpoint, name in reversed(checkpoints)},
        )

    def name_of(self, text: str) -> str | None:
        """The name of the model that ``text`` spells, also by its checkpoint, if it is one of these."""
        if text in self.models:
            return text
        if name := self.by_folded.get(text.casefold()):
            return name
        checkpoint = read_checkpoint(text)
        return self.by_checkpoint.get(checkpoint.casefold()) if checkpoint else None

    def lacking(self, name: str) -> str:
        """What to say of a name that none of them has: those that are near it, and where more are."""
        # To compare a name takes a second for each megabyte.
        name = shortened(name)
        near = difflib.get_close_matches(name.casefold(), self.by_folded, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(self.by_folded[folded] for folded in near)}? " if near else ""
        return (
            f"There is no model called {name!r} here. {hint}`lemonade-like models` lists all names, "
            "`lemonade-like pull NAME` downloads one, and `--model FILE.gguf` serves a file."
        )
