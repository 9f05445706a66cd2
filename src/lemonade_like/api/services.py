"""What the endpoints need of the rest of the server; the app hands it to them in its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from lemonade_like.api.limits import BodyLimits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from fastapi import Request
    from starlette.types import Scope

    from lemonade_like.engine.backends.manager import InstallStep
    from lemonade_like.engine.backends.report import SystemReport
    from lemonade_like.models.describe import Description
    from lemonade_like.models.management import ModelManager
    from lemonade_like.models.model import Model, ModelEntry, ModelOptions
    from lemonade_like.pool.inspection import Inspected
    from lemonade_like.pool.loader import LoadOptions
    from lemonade_like.pool.pool import LoadReport
    from lemonade_like.pool.status import ModelStatus
    from lemonade_like.store.responses import ResponseStore
    from lemonade_like.tools.catalogue import Tool
    from lemonade_like.tools.results import ToolOutcome
    from lemonade_like.tools.toolbox import ToolServerReport
    from lemonade_like.turns.events import Event, Usage
    from lemonade_like.turns.preview import RenderedPrompt
    from lemonade_like.turns.request import CompletionRequest, TurnRequest
    from lemonade_like.turns.tokens import TokenizeRequest
    from lemonade_like.vectors.request import Embeddings, EmbeddingsRequest, Ranking, RerankRequest


class TurnRunner(Protocol):
    """Runs turns."""

    def run(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        """Yield all the events of each network read. Raises ``ServerError``; closing it cancels the turn."""

    async def render(self, request: TurnRequest) -> RenderedPrompt:
        """Return the prompt that the turn would begin with. Raises ``ServerError``."""


class RawTextRunner(Protocol):
    """Goes on with texts as they stand, and knows their tokens."""

    def complete(self, request: CompletionRequest) -> AsyncGenerator[list[Event], None]:
        """Go on with a text; otherwise as ``TurnRunner.run``."""

    async def tokenize(self, request: TokenizeRequest) -> list[Any]:
        """Return the ids of a text, or objects of ``id`` and ``piece``. Raises ``ServerError``."""

    async def detokenize(self, model: str, ids: Sequence[int], client: str = "") -> str:
        """Return the text of ids. Raises ``ServerError``."""


class VectorMaker(Protocol):
    """Embeds and reranks."""

    async def embed(self, request: EmbeddingsRequest) -> Embeddings:
        """Return a vector for each input. Raises ``ServerError``; cancelling it frees the engine."""

    async def rerank(self, request: RerankRequest) -> Ranking:
        """Return the documents' places and scores, the best first. Raises as ``embed``."""


class ModelPool(Protocol):
    """Knows which engines run, and starts and stops them."""

    @property
    def draining(self) -> bool:
        """Whether new turns are refused, because the server is to stop."""

    async def drain(self) -> None:
        """Refuse new turns from now on; return when none runs any more."""

    async def status(self) -> list[ModelStatus]:
        """Return what is known of all models that are wanted, loaded, or have crashed."""

    async def inspect(self, what: Inspected, name: str | None = None) -> bytes:
        """Return what the engine of a loaded model says of itself, as JSON. Raises ``ServerError``."""

    def engine_log(self, name: str, tail: int) -> AsyncGenerator[list[str], None]:
        """Yield the last lines of the log of a model's engine, be there none, and then those that follow.

        Raises ``ModelNotFound``, ``ModelNotLoaded``.
        """

    async def load(self, name: str, options: LoadOptions | None = None, *, pinned: bool | None = None) -> LoadReport:
        """Load a model, with other options if need be, and return when it is ready. Raises ``ServerError``."""

    async def unload(self, name: str | None = None) -> list[str]:
        """Stop a model's engine, or all, when they are idle; return which. Raises ``ModelNotFound``."""


class SystemReporter(Protocol):
    """Knows the machine, and the engines that it can run."""

    async def report(self) -> SystemReport:
        """Return what is known, within moments except for the first time; never raises."""


class EngineInstaller(Protocol):
    """Installs and removes engines."""

    def install(
        self, backend: str, version: str | None = None, *, force: bool = False
    ) -> AsyncGenerator[InstallStep, None]:
        """Yield the steps until it is done. Raises ``ServerError``; closing it ends nothing."""

    async def uninstall(self, backend: str) -> None:
        """Remove an engine. Raises ``ServerError``."""

    async def close(self) -> None:
        """Stop what is being installed."""


class ModelCatalogue(Protocol):
    """Knows what can be served."""

    def models(self) -> list[Model]:
        """Return all models; blocking, reads the disk."""

    def find(self, name: str) -> Model:
        """Return the model of that name; blocking, reads the disk. Raises ``ModelNotFound``."""

    def describe(self, model: Model) -> Description:
        """Return all that can be told of the model; blocking, reads its file's header."""

    def register(self, name: str, entry: ModelEntry) -> Model:
        """Keep a model of the Hub under ``user.NAME``; blocking, writes to the disk.

        Raises ``BadRequest`` for a name that cannot be, ``UserModelsError`` if it cannot be kept.
        """

    def save_options(self, name: str, options: ModelOptions) -> None:
        """Keep options for a model; blocking, writes to the disk. Raises ``ServerError``."""


class WrittenAnswer(Protocol):
    """An answer in some wire format, or what has been written of one."""

    def usage(self) -> Usage:
        """Return what has been used, once that is known."""

    def resumed(self) -> int:
        """Return how many times an engine was lost in the middle of it."""


class TurnStatistics(Protocol):
    """Knows what turns have cost."""

    def snapshot(self) -> dict[str, Any]:
        """Return the last turn and the totals, as JSON values."""


class LogBatch(Protocol):
    """Lines of the log, oldest first; ``dropped`` came before them, but not to this reader."""

    @property
    def entries(self) -> Sequence[dict[str, Any]]:
        """Each line as an object."""

    @property
    def dropped(self) -> int:
        """How many are missing."""


class LogReader(Protocol):
    """Knows what is logged."""

    def read(self, tail: int, level: int) -> AsyncGenerator[LogBatch, None]:
        """Yield the last lines, be there none, and then those that follow."""


class MetricsPage(Protocol):
    """Knows what has been counted."""

    def page(self, models: Sequence[ModelStatus], *, draining: bool, accept: str) -> tuple[bytes, str]:
        """Return all metrics, and their content type."""


class Observed(Protocol):
    """What watches the app."""

    @property
    def metrics(self) -> MetricsPage:
        """What has been counted."""

    @property
    def logs(self) -> LogReader:
        """What is logged."""


class ServerTools(Protocol):
    """Knows the tools that the server may run, and runs them."""

    async def report(self) -> list[ToolServerReport]:
        """Return what each tool server has to offer, or why it has nothing; never raises."""

    async def named(self, name: str) -> Tool:
        """Return the tool of that name. Raises ``ToolNotFound``, ``ToolServerUnavailable``."""

    async def call(self, tool: Tool, arguments: dict[str, Any]) -> ToolOutcome:
        """Check the arguments, and run the tool; cancelling this stops it. Raises ``ServerError``."""


@dataclass
class Services:
    """The rooms that the endpoints reach, and what they know of the server. ``stop`` has it end in order, and may be
    called more than once; ``keep_alive_seconds`` is for how long the stream of a turn may be silent."""

    turns: TurnRunner
    texts: RawTextRunner
    vectors: VectorMaker
    pool: ModelPool
    catalogue: ModelCatalogue
    system: SystemReporter
    engines: EngineInstaller
    manager: ModelManager
    statistics: TurnStatistics
    responses: ResponseStore
    tools: ServerTools
    stop: Callable[[], None]
    version: str
    started_at: float
    keep_alive_seconds: float
    limits: BodyLimits = field(default_factory=BodyLimits)


def services(request: Request) -> Services:
    """Return the services of the app that got this request."""
    found: Services = request.app.state.services
    return found


def observed(request: Request) -> Observed:
    """Return what watches the app that got this request."""
    found: Observed = request.app.state.observation
    return found


def note(scope: Scope, **facts: object) -> None:
    """Add facts to the request's line in the log."""
    scope.setdefault("state", {}).setdefault("facts", {}).update(facts)


def note_answer(scope: Scope, answer: WrittenAnswer) -> None:
    """Add what an answer has cost to the request's line in the log."""
    usage = answer.usage()
    if usage.prompt_tokens:  # a turn that was cut short does not tell
        note(scope, prompt=usage.prompt_tokens, cached=usage.cached_tokens, completion=usage.completion_tokens)
    if resumed := answer.resumed():
        note(scope, resumed=resumed)
