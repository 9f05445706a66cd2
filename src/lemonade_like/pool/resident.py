"""A model that is in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from lemonade_like.engine.client import EngineClient, EngineConnectionLost, EngineResponseError
from lemonade_like.engine.find import BUNDLED, bundled_version

if TYPE_CHECKING:
    from lemonade_like.engine.process import EngineProcess
    from lemonade_like.models.registry import Model
    from lemonade_like.settings import Mode

#: What renders prompts for a model; made by ``turns``, only carried here.
FormatT = TypeVar("FormatT")

__all__ = ["EngineClient", "EngineConnectionLost", "EngineResponseError", "LoadedModel", "Resident"]


@dataclass(frozen=True)
class LoadedModel:
    """What is known of a resident model. ``ctx_size`` is in tokens for one slot; ``since`` is in Unix seconds."""

    name: str
    mode: Mode
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

    @property
    def mode(self) -> Mode:
        """What its engine was started for."""
        return self.process.spec.mode

    def describe(self) -> LoadedModel:
        """Return what may be shown of it."""
        spec = self.process.spec
        return LoadedModel(
            name=self.model.name,
            mode=self.mode,
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

    def engine_version(self) -> str | None:
        """Return what the engine says of its build; of the bundled one, which says nothing, its package's version."""
        if self.process.spec.backend == BUNDLED:
            return bundled_version()
        build = self.process.props.get("build_info")
        return str(build) if build else None
