"""What has happened to engines, for whoever counts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lemonade_like.pool.state import StopReason


@dataclass(frozen=True)
class Loaded:
    """An engine is ready; ``seconds`` is what it took."""

    model: str
    seconds: float


@dataclass(frozen=True)
class LoadFailed:
    """A model that was found could not be loaded; ``code`` is that of the error."""

    model: str
    code: str


@dataclass(frozen=True)
class Stopped:
    """An engine is stopped on purpose, while the server goes on."""

    model: str
    reason: StopReason


@dataclass(frozen=True)
class Crashed:
    """An engine that was ready has ended by itself, or was killed because it hung."""

    model: str


@dataclass(frozen=True)
class Resumed:
    """A turn that had lost its engine goes on."""

    model: str


News = Loaded | LoadFailed | Stopped | Crashed | Resumed
