"""A model that is in memory, and the lease under which a turn uses it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from lemonade_like.engine.client import EngineConnectionLost, EngineResponseError
from lemonade_like.errors import EngineFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lemonade_like.engine.client import EngineClient
    from lemonade_like.engine.process import EngineProcess
    from lemonade_like.models.registry import Model

#: What renders prompts for a model; made by ``turns``, only carried here.
FormatT = TypeVar("FormatT")

#: A broken connection is often the first sign of a crash; the exit code comes a moment later.
_EXIT_GRACE_SECONDS: Final = 2.0
_MAX_CRASHES: Final = 3

__all__ = ["EngineConnectionLost", "EngineResponseError", "Lease", "LoadedModel", "Resident"]


@dataclass(frozen=True)
class LoadedModel:
    """What is known of a resident model. ``ctx_size`` is in tokens for one slot; ``since`` is in Unix seconds."""

    name: str
    path: str
    backend: str
    harmony: bool
    harmony_reason: str | None
    pid: int
    ctx_size: int
    parallel: int
    since: float
    command: list[str]


@dataclass(frozen=True)
class Resident(Generic[FormatT]):
    """A running engine with its model. ``prompt_format`` is ``None`` for models that use their own chat template.

    ``harmony_reason`` says why a GPT-OSS model is served without Harmony.
    """

    model: Model
    process: EngineProcess
    prompt_format: FormatT | None
    context_length: int
    harmony_reason: str | None = None

    def describe(self) -> LoadedModel:
        """Return what may be shown of it."""
        spec = self.process.spec
        return LoadedModel(
            name=self.model.name,
            path=str(spec.model_path),
            backend=spec.backend,
            harmony=self.prompt_format is not None,
            harmony_reason=self.harmony_reason,
            pid=self.process.pid,
            ctx_size=self.context_length,
            parallel=spec.parallel,
            since=self.process.started_at,
            command=self.process.command,
        )


@dataclass
class Lease(Generic[FormatT]):
    """The right to use a resident model for one turn."""

    _resident: Resident[FormatT]
    _reload: Callable[[], Awaitable[Resident[FormatT]]]
    _crashes: int = 0

    @property
    def engine(self) -> EngineClient:
        """The client of the engine that holds the model."""
        return self._resident.process.client

    @property
    def model(self) -> Model:
        """The model that was asked for."""
        return self._resident.model

    @property
    def prompt_format(self) -> FormatT | None:
        """What renders prompts, or ``None``: then the engine applies the model's own chat template."""
        return self._resident.prompt_format

    @property
    def context_length(self) -> int:
        """Tokens that one turn may use, prompt and answer together."""
        return self._resident.context_length

    async def recover(self, error: EngineConnectionLost) -> None:
        """Return when the model's engine runs again. Raises ``EngineFailure`` at the third crash."""
        self._crashes += 1
        if self._crashes > _MAX_CRASHES:
            raise await self.explain(error)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._resident.process.wait()), _EXIT_GRACE_SECONDS)
            self._resident = await self._reload()

    async def explain(self, error: EngineConnectionLost) -> EngineFailure:
        """Return what a lost connection means to the user: how the engine ended, and its last lines."""
        process = self._resident.process
        try:
            await asyncio.wait_for(asyncio.shield(process.wait()), _EXIT_GRACE_SECONDS)
        except asyncio.TimeoutError:
            return EngineFailure(
                f"The engine of {self.model.name} broke off in the middle of the turn ({error}), but is still running. "
                "Please send the request again.",
                log_tail=process.log_tail(),
            )
        return EngineFailure(
            f"The engine of {self.model.name} died in the middle of the turn ({process.how_it_ended()}). "
            "The next request starts it again.",
            log_tail=process.log_tail(),
        )
