"""What the scheduler can decide. Whoever carries it out reports back what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lemonade_like.errors import ServerError
    from lemonade_like.pool.state import Place, StopReason


@dataclass(frozen=True)
class Survey:
    """Find out what loading the model takes; report ``surveyed`` or ``failed``."""

    model: str


@dataclass(frozen=True)
class Load:
    """Start the engine; report ``loaded`` or ``failed``. ``warning`` is for the log."""

    model: str
    warning: str = ""


@dataclass(frozen=True)
class Stop:
    """End the engine, on which no turn runs; report ``stopped``. ``why`` is for the log."""

    model: str
    why: str
    reason: StopReason


@dataclass(frozen=True)
class Admit:
    """Tell the place that it has its slot, or that its model is loaded."""

    place: Place


@dataclass(frozen=True)
class Resume:
    """Tell a turn whose engine died that the model runs again."""

    place: Place


@dataclass(frozen=True)
class Refuse:
    """Tell the place what went wrong. A turn that had a slot has it until it leaves."""

    place: Place
    error: ServerError


Action = Survey | Load | Stop | Admit | Resume | Refuse
