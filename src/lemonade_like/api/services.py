"""What the endpoints need of the rest of the server; the app hands it to them in its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastapi import Request
    from starlette.types import Scope

    from lemonade_like.models.registry import Model
    from lemonade_like.pool.resident import LoadedModel
    from lemonade_like.turns.events import Event
    from lemonade_like.turns.preview import RenderedPrompt
    from lemonade_like.turns.request import TurnRequest


class TurnRunner(Protocol):
    """Runs turns."""

    def run(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        """Yield all the events of each network read. Raises ``ServerError``; closing it cancels the turn."""

    async def render(self, request: TurnRequest) -> RenderedPrompt:
        """Return the prompt that the turn would begin with. Raises ``ServerError``."""


class ModelPool(Protocol):
    """Knows which engines run."""

    def loaded(self) -> list[LoadedModel]:
        """Return the models that are ready."""

    def loading(self) -> list[str]:
        """Return the names of those that are being loaded."""


class ModelCatalogue(Protocol):
    """Knows what can be served."""

    def models(self) -> list[Model]:
        """Return all models; blocking, reads the disk."""

    def find(self, name: str) -> Model:
        """Return the model of that name; blocking, reads the disk. Raises ``ModelNotFound``."""


class TurnStatistics(Protocol):
    """Knows what turns have cost."""

    def snapshot(self) -> dict[str, Any]:
        """Return the last turn and the totals, as JSON values."""


@dataclass
class Services:
    """The rooms that the endpoints reach."""

    turns: TurnRunner
    pool: ModelPool
    catalogue: ModelCatalogue
    statistics: TurnStatistics
    version: str
    started_at: float


def services(request: Request) -> Services:
    """Return the services of the app that got this request."""
    found: Services = request.app.state.services
    return found


def note(scope: Scope, **facts: object) -> None:
    """Add facts to the request's line in the log."""
    scope.setdefault("state", {}).setdefault("facts", {}).update(facts)
