"""Brings one model into memory: where it is, on which engine, in which prompt format, with how much context."""

from __future__ import annotations

import asyncio
import logging
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from lemonade_like.engine.bundled_flags import ArgumentsRefused, check
from lemonade_like.engine.find import find_engine
from lemonade_like.engine.options import EngineOptions, backend_options, default_options, merge_options, pooling_in
from lemonade_like.engine.process import EngineProcess
from lemonade_like.engine.spec import BadEngineArguments, EngineSpec
from lemonade_like.errors import EngineFailure, HarmonyUnavailable
from lemonade_like.models import estimate, facts
from lemonade_like.models.detection import harmony_mode, is_gpt_oss, mode_of, should_use_harmony
from lemonade_like.models.gguf import GGUFError
from lemonade_like.pool.memory import machine_memory
from lemonade_like.pool.modes import no_scores, reading
from lemonade_like.pool.resident import FormatT, Resident

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import aiohttp

    from lemonade_like.engine.find import FoundEngine
    from lemonade_like.models.facts import ModelFacts
    from lemonade_like.models.registry import Model, Registry
    from lemonade_like.pool.memory import MachineMemory, MemoryOf
    from lemonade_like.pool.modes import Reading
    from lemonade_like.settings import Backend, Settings

_logger = logging.getLogger("lemonade_like.pool")

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
class LoadOptions:
    """What a request to load a model asks for; ``None`` is whatever holds for the model anyway. ``ctx_size`` is in
    tokens for one slot, 0 for automatic."""

    ctx_size: int | None = None
    llamacpp_backend: Backend | None = None
    llamacpp_args: str | None = None

    def __bool__(self) -> bool:
        return self != LoadOptions()


@dataclass(frozen=True)
class Survey(Generic[FormatT]):
    """What is known of a model before it is loaded. ``bytes`` is what it is estimated to take in memory, ``memory``
    what there is; ``unreadable`` says why nothing is known of the file."""

    model: Model
    spec: EngineSpec
    context_length: int
    bytes: int
    memory: MachineMemory
    prompt_format: FormatT | None
    harmony_reason: str | None = None
    unreadable: str | None = None
    load_timeout: int = 0


class Loader(Generic[FormatT]):
    """Starts engines as the settings say; on ``engine``, or else on the one that is found at each load."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        session: aiohttp.ClientSession,
        formats: PromptFormats[FormatT],
        engine: FoundEngine | None = None,
        memory: MemoryOf = machine_memory,
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._session = session
        self._formats = formats
        self._engine = engine
        self._memory = memory

    async def survey(self, model: Model, options: LoadOptions | None = None) -> Survey[FormatT]:
        """Find out how the model would be loaded; ``options`` go before all others. Nothing is started.

        Raises:
            ModelNotFound: the model's file is not on this machine.
            BadEngineArguments: the arguments for the engine cannot be passed on.
            WrongMode: it is to rerank, and its file has nothing to do it with.
            HarmonyUnavailable: Harmony was demanded (``always``) and cannot be had.
            EngineFailure: there is no engine, or the disk fails.
        """
        try:
            return await self._survey(model, options or LoadOptions())
        except OSError as error:
            raise _disk_failed(model, error) from error

    async def start(self, found: Survey[FormatT]) -> Resident[FormatT]:
        """Start the engine and return when it is ready.

        Raises:
            EngineFailure: it could not load the file (with its last lines), or the disk fails.
        """
        try:
            process = await EngineProcess.start(
                found.spec,
                log_dir=self._settings.log_dir,
                session=self._session,
                load_timeout=found.load_timeout or None,
                watchdog_timeout=self._settings.watchdog_timeout or None,
            )
        except EngineFailure as error:
            if found.unreadable:
                raise EngineFailure(
                    f"{found.model.name} could not be loaded: {found.unreadable}", log_tail=error.log_tail
                ) from error
            raise
        except OSError as error:
            raise _disk_failed(found.model, error) from error
        try:
            context = process.slot_context() or found.context_length
            return Resident(found.model, process, found.prompt_format, context, found.harmony_reason)
        except BaseException:
            # Nobody else knows of the engine yet, to stop it.
            await process.stop(grace=0)
            raise

    async def prompt_format(self, model: Model) -> FormatT | None:
        """Return what would render the model's prompts if it were loaded; raises as ``survey`` does."""
        return (await self.survey(model)).prompt_format

    async def memory(self, backend: str) -> MachineMemory:
        """Return how much memory there is now."""
        return await asyncio.to_thread(self._memory, backend)

    async def _survey(self, model: Model, options: LoadOptions) -> Survey[FormatT]:
        settings = self._settings
        asked, own, default = _asked(options), _own(model), default_options(settings)
        path = await asyncio.to_thread(self._registry.locate, model)
        engine = await asyncio.to_thread(self._find_engine, asked.backend or own.backend or settings.backend)
        if engine.source == "bundled":
            _check_arguments(asked.llamacpp_args or ())
        known, unreadable = await asyncio.to_thread(_try_facts, path)
        mode = mode_of(model.labels, known.labels if known else ())
        if mode == "reranking" and known is not None and not known.scores:
            raise no_scores(model)
        chosen = await self._choose_format(model, path, known, engine.backend) if mode == "chat" else _Chosen(None)
        memory = await self.memory(engine.backend)
        projector = await asyncio.to_thread(_size, model.mmproj_path)
        merged = merge_options(asked, own, backend_options(settings, engine.backend), default)
        parallel = merged.parallel or settings.parallel
        budget = int(settings.memory_budget * 1e9) or memory.budget
        arguments = merged.llamacpp_args or ()
        how = reading(mode, known, pooling_in(arguments))
        context = _context(known, merged.ctx_size or 0, how, parallel, budget, projector)
        _logger.debug("%s: engine %s (%s): %s", model.name, engine.backend, engine.source, shlex.join(engine.command))
        _logger.debug(
            "%s: for %s, context of %d tokens (%s) in each of %d slots, arguments: %s",
            model.name,
            mode,
            context,
            "as set" if merged.ctx_size else "automatic",
            parallel,
            shlex.join(arguments) or "none",
        )
        spec = EngineSpec(
            command=engine.command,
            backend=engine.backend,
            model_path=path,
            alias=model.name,
            ctx_size=context * parallel,
            parallel=parallel,
            jinja=chosen.prompt_format is None and mode == "chat",
            extra_args=arguments,
            mmproj_path=model.mmproj_path,
            mode=mode,
            pooling=how.pooling,
            batch=estimate.batch(context) if how.at_once else None,
        )
        return Survey(
            model,
            spec,
            context,
            await asyncio.to_thread(_estimate, known, spec, projector),
            memory,
            chosen.prompt_format,
            chosen.reason,
            unreadable,
            settings.load_timeout,
        )

    def _find_engine(self, backend: str) -> FoundEngine:
        settings = self._settings
        if backend != settings.backend:
            # The user's own llama-server is for the backend that the settings name.
            return find_engine(None, backend, installed_dir=settings.backends_dir)
        return self._engine or find_engine(settings.llama_server, backend, installed_dir=settings.backends_dir)

    async def _choose_format(
        self, model: Model, path: Path, known: ModelFacts | None, backend: str
    ) -> _Chosen[FormatT]:
        settings = self._settings
        architecture = known.architecture if known else None
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


def _asked(options: LoadOptions) -> EngineOptions:
    return EngineOptions.of(
        ctx_size=options.ctx_size, backend=options.llamacpp_backend, llamacpp_args=options.llamacpp_args
    )


def _own(model: Model) -> EngineOptions:
    own = model.options
    return EngineOptions.of(
        ctx_size=own.ctx_size, parallel=own.parallel, backend=own.llamacpp_backend, llamacpp_args=own.llamacpp_args
    )


def _check_arguments(asked: Sequence[str]) -> None:
    """See that what a request asks for can be had before an engine is stopped for it."""
    try:
        check(asked)
    except ArgumentsRefused as error:
        raise BadEngineArguments(f"llamacpp_args: {error}.", param="llamacpp_args") from error


def _disk_failed(model: Model, error: OSError) -> EngineFailure:
    return EngineFailure(f"{model.name} could not be loaded: {error}")


def _try_facts(path: Path) -> tuple[ModelFacts | None, str | None]:
    """Read what the file says of itself. Where that fails, the engine has the last word on whether it is a model."""
    try:
        return facts.of(path), None
    except (GGUFError, OSError) as error:
        _logger.debug("nothing is known of the file: %s", error)
        return None, str(error)


def _context(known: ModelFacts | None, asked: int, how: Reading, parallel: int, budget: int, projector: int) -> int:
    """Return the context of each slot; ``asked`` is 0 where nobody said."""
    if known is None:
        return asked or estimate.UNKNOWN_CONTEXT
    if not asked:
        return estimate.automatic_context(
            known, parallel, budget, mmproj_bytes=projector, limit=how.context, at_once=how.at_once
        )
    # A batch for a text that is longer than any that the model can read would take memory for nothing.
    return min(asked, estimate.trained_context(known)) if how.at_once else asked


def _estimate(known: ModelFacts | None, spec: EngineSpec, projector: int) -> int:
    """Return the bytes of memory that an engine will take; of a file that cannot be read, no more than its size."""
    if known is None:
        return _size(spec.model_path) + projector
    return estimate.memory(known, spec.ctx_size, spec.parallel, projector, at_once=spec.batch is not None).total


def _size(path: Path | None) -> int:
    return path.stat().st_size if path is not None else 0
