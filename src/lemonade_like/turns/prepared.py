"""Turns that are ready for their engines: what is posted, and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lemonade_like.harmony.conversation import SystemMessage
    from lemonade_like.harmony.renderer import Prompt
    from lemonade_like.turns.memory import Remembered


@dataclass(frozen=True)
class Plan:
    """What a request means in Harmony, decided before the engine is asked."""

    system: SystemMessage
    tools: bool

    @property
    def reasons(self) -> bool:
        """Whether the model may reason."""
        return self.system.effort != "none"


@dataclass(frozen=True)
class Prepared:
    """A turn that is ready for its engine: the prompt, what is posted with it, and what both were made from.

    ``current_date`` is the date that the prompt names. ``recalled`` has the turns that are replayed in it, by their
    place among the messages.
    """

    chosen: Plan
    prompt: Prompt
    payload: dict[str, Any]
    current_date: str
    recalled: Mapping[int, Remembered]


@dataclass(frozen=True)
class PreparedCompletion:
    """A completion that is ready for its engine: the prompt's ids (none where a suffix is put in), and what is posted.
    A ``payload`` of ``None`` has nothing generated."""

    ids: list[int]
    payload: dict[str, Any] | None

    @property
    def path(self) -> Literal["/completion", "/infill"]:
        """Where it is posted."""
        return "/infill" if self.payload is not None and "input_suffix" in self.payload else "/completion"
