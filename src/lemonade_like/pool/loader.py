"""Brings one model into memory: where it is, on which engine, in which prompt format, with how much context."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from lemonade_like.engine.find import find_engine
from lemonade_like.engine.process import EngineProcess
from lemonade_like.engine.spec import EngineSpec, parse_extra_args
from lemonade_like.errors import EngineFailure, HarmonyUnavailable
from lemonade_like.models.detection import harmony_mode, is_gpt_oss, should_use_harmony
from lemonade_like.models.gguf import GGUFError, GGUFMetadata, read_metadata
from lemonade_like.pool.resident import FormatT, Resident

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from lemonade_like.engine.find import FoundEngine
    from lemonade_like.models.registry import Model, Registry
    from lemonade_like.settings import Settings

_logger = logging.getLogger("lemonade_like.pool")

#: The context of one slot where nobody asked for another: enough for agents, small enough for a laptop.
AUTOMATIC_CONTEXT: Final = 32_768
_UNKNOWN_CONTEXT: Final = 4_096

PreparedT_co = TypeVar("PreparedT_co", covariant=True)


class PromptFormats(Protocol[PreparedT_co]):
    """Prepares what renders Harmony prompts."""

    def prepare(self, gguf: Path) -> PreparedT_co:
        """Return the format for the vocabulary of ``gguf``; blocking. Raises ``HarmonyUnavailable``."""


@dataclass(frozen=True)
class _Chosen(Generic[FormatT]):
    prompt_format: FormatT | None
    reason: str | None = None


@dataclass(frozen=True)
class _Survey(Generic[FormatT]):
    """What is known of a model before it is loaded. ``unreadable`` says why there is no metadata."""

    path: Path
    engine: FoundEngine
    metadata: GGUFMetadata | None
    unreadable: str | None
    chosen: _Chosen[FormatT]


class Loader(Generic[FormatT]):
    """Starts engines as the settings say; on ``engine``, or else on the one that is found at each load."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        session: aiohttp.ClientSession,
        formats: PromptFormats[FormatT],
        engine: FoundEngine | None = None,
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._session = session
        self._formats = formats
        self._engine = engine

    async def load(self, model: Model) -> Resident[FormatT]:
        """Start an engine with the model and return when it is ready.

        Raises:
            ModelNotFound: the model's file is not on this machine.
            HarmonyUnavailable: Harmony was demanded (``always``) and cannot be had.
            EngineFailure: there is no engine, or it could not load the file (with its last lines), or the disk fails.
        """
        try:
            return await self._start(model)
        except OSError as error:
            raise EngineFailure(f"{model.name} could not be loaded: {error}") from error

    async def _start(self, model: Model) -> Resident[FormatT]:
        settings = settings_for(model, self._settings)
        found = await self._survey(model)
        engine, path, chosen, unreadable = found.engine, found.path, found.chosen, found.unreadable
        context = settings.ctx_size or automatic_context(found.metadata)
        spec = EngineSpec(
            command=engine.command,
            backend=engine.backend,
            model_path=path,
            alias=model.name,
            ctx_size=context * settings.parallel,
            parallel=settings.parallel,
            jinja=chosen.prompt_format is None,
            extra_args=parse_extra_args(settings.llamacpp_args),
        )
        try:
            process = await EngineProcess.start(
                spec,
                log_dir=settings.log_dir,
                session=self._session,
                load_timeout=settings.load_timeout or None,
                watchdog_timeout=settings.watchdog_timeout or None,
            )
        except EngineFailure as error:
            if unreadable:
                raise EngineFailure(
                    f"{model.name} could not be loaded: {unreadable}", log_tail=error.log_tail
                ) from error
            raise
        try:
            return Resident(model, process, chosen.prompt_format, process.slot_context() or context, chosen.reason)
        except BaseException:
            # Nobody else knows of the engine yet, to stop it.
            await process.stop(grace=0)
            raise

    def _find_engine(self) -> FoundEngine:
        if self._engine is not None:
            return self._engine
        settings = self._settings
        return find_engine(settings.llama_server, settings.backend, installed_dir=settings.backends_dir)

    async def prompt_format(self, model: Model) -> FormatT | None:
        """Return what would render the model's prompts if it were loaded; raises as ``load`` does until then."""
        return (await self._survey(model)).chosen.prompt_format

    async def _survey(self, model: Model) -> _Survey[FormatT]:
        path = await asyncio.to_thread(self._registry.locate, model)
        engine = await asyncio.to_thread(self._find_engine)
        metadata, unreadable = await asyncio.to_thread(_try_metadata, path)
        chosen = await self._choose_format(model, path, metadata, engine.backend)
        return _Survey(path, engine, metadata, unreadable, chosen)

    async def _choose_format(
        self, model: Model, path: Path, metadata: GGUFMetadata | None, backend: str
    ) -> _Chosen[FormatT]:
        settings = self._settings
        architecture = metadata.architecture if metadata else None
        gpt_oss = is_gpt_oss(model.name, model.checkpoint, model.labels, architecture)
        by_backend = settings.harmony_by_backend
        if not should_use_harmony(gpt_oss, backend, settings.harmony, by_backend, model.harmony):
            return _Chosen(None, "switched off" if gpt_oss else None)
        try:
            prompt_format = await asyncio.to_thread(self._formats.prepare, path)
        except HarmonyUnavailable as error:
            _logger.debug("Harmony formatting not available: %s", error.message)
            if harmony_mode(backend, settings.harmony, by_backend, model.harmony) == "always":
                raise
            _logger.warning("%s is served through its chat template, without Harmony: %s", model.name, error.message)
            return _Chosen(None, error.message)
        _logger.debug("Using Harmony formatting for %s on %s backend", model.name, backend)
        return _Chosen(prompt_format)


def automatic_context(metadata: GGUFMetadata | None) -> int:
    """Return the tokens of context for one slot where the settings leave it open."""
    trained = metadata.context_length if metadata else _UNKNOWN_CONTEXT
    return min(trained or _UNKNOWN_CONTEXT, AUTOMATIC_CONTEXT)


def settings_for(model: Model, settings: Settings) -> Settings:
    """Return the settings for one model: what the user has set, else the model's own options, else defaults."""
    own = model.options.model_dump(exclude_none=True)
    return settings.model_copy(
        update={name: value for name, value in own.items() if name not in settings.model_fields_set}
    )


def _try_metadata(path: Path) -> tuple[GGUFMetadata | None, str | None]:
    """Read what the file says of itself. Where that fails, the engine has the last word on whether it is a model."""
    try:
        return read_metadata(path), None
    except (GGUFError, OSError) as error:
        _logger.debug("no metadata: %s", error)
        return None, str(error)
