"""A model that is loaded, as the pool describes it."""

from __future__ import annotations

from lemonade_like.pool.resident import LoadedModel
from lemonade_like.pool.status import ModelStatus

LOADED = LoadedModel(
    name="tiny",
    mode="chat",
    path="/models/tiny.gguf",
    backend="bundled",
    harmony=True,
    harmony_reason=None,
    pid=4711,
    ctx_size=4096,
    parallel=4,
    since=1_700_000_001.5,
    command=["llama-server", "--port", "1"],
)

READY = ModelStatus(
    name="tiny",
    state="ready",
    detail="",
    seconds=30.0,
    pinned=True,
    slots_busy=0,
    slots_total=4,
    waiting=(),
    memory_estimate=60_000_000,
    idle_seconds=12.0,
    load_seconds=1.25,
    memory_resident=55_000_000,
    engine=LOADED,
    options={"ctx_size": 4096},
)
