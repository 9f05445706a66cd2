"""What can be told of a model: whether it is loaded, who uses it and who waits, what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lemonade_like.pool.resident import LoadedModel
    from lemonade_like.pool.state import ModelState

Phase = Literal["ready", "loading", "restarting", "stopping", "unloaded"]


@dataclass(frozen=True)
class Crash:
    """An engine that ended by itself, ``at`` in Unix seconds.

    What it printed is in the log alone: an engine that is made verbose prints what others have sent it.
    """

    at: float
    pid: int
    how: str


@dataclass(frozen=True)
class ModelStatus:
    """One model as it is now.

    ``state`` is ``restarting`` while turns wait for an engine that died. ``detail`` says in words what a model that is
    not ready waits for. ``seconds`` is for how long it has been in its state, ``idle_seconds`` for how long no turn has
    run. ``load_seconds`` is what the last load took. ``memory_estimate`` and ``memory_resident`` are in bytes, the
    latter as the system counts it in main memory. ``waiting`` has, for each in line, for how many seconds it has
    waited, in the order in which they are served as things are now. ``options`` are those that were asked for when it
    was loaded.
    """

    name: str
    state: Phase
    detail: str
    seconds: float
    pinned: bool
    slots_busy: int
    slots_total: int
    waiting: tuple[float, ...]
    memory_estimate: int
    idle_seconds: float | None = None
    load_seconds: float | None = None
    memory_resident: int | None = None
    engine: LoadedModel | None = None
    options: dict[str, str | int] | None = None
    crashes: tuple[Crash, ...] = ()


def describe(
    state: ModelState,
    now: float,
    *,
    engine: LoadedModel | None = None,
    load_seconds: float | None = None,
    options: dict[str, str | int] | None = None,
    crashes: Iterable[Crash] = (),
) -> ModelStatus:
    """Return what may be told of a model at the time ``now`` of the pool's clock."""
    return ModelStatus(
        name=state.name,
        state=_state(state),
        detail=describe_stage(state, now),
        seconds=now - state.since,
        pinned=state.pinned,
        slots_busy=len(state.running),
        slots_total=state.slots,
        waiting=tuple(now - place.since for place in state.queue),
        memory_estimate=state.bytes,
        idle_seconds=now - state.last_used if state.stage == "ready" and not state.running else None,
        load_seconds=load_seconds,
        engine=engine,
        options=options,
        crashes=tuple(crashes),
    )


def describe_stage(state: ModelState, now: float) -> str:
    """Return what a model that is not ready waits for, in words; empty for one that is."""
    if state.stage == "cold":
        if state.asked_for and now < state.retry_at:
            return f"the engine failed {state.failures} times in a row and is started again in a while"
        return ""
    if state.stage == "surveying":
        return "looking at the model's file"
    if state.stage == "wanted":
        return state.why
    if state.stage == "loading":
        return "the engine loads the model"
    if state.stage == "stopping" or state.leaving is not None:
        return state.leaving.why if state.leaving is not None else "the engine is being stopped"
    return ""


def _state(state: ModelState) -> Phase:
    if state.stage == "ready":
        return "ready"
    if state.stage == "stopping":
        return "stopping"
    if state.recovering:
        return "restarting"
    return "loading" if state.stage != "cold" or state.asked_for else "unloaded"
