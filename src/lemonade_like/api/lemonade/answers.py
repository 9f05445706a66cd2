"""The answers of what Lemonade has beside OpenAI's API: models in memory, downloads, engines, the machine."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from lemonade_like.api.answer import ABSENT, Answer, Success
from lemonade_like.api.openai.answers import ModelObject
from lemonade_like.engine.backends.gpus import Vendor
from lemonade_like.engine.backends.states import BackendState, State
from lemonade_like.models.model import Label
from lemonade_like.models.progress import Stage
from lemonade_like.pool.status import Crash
from lemonade_like.settings import Mode

_Count = Annotated[int, Field(ge=0)]
_Bytes = Annotated[int, Field(ge=0, description="Bytes.")]
_Seconds = Annotated[float, Field(ge=0, description="Seconds.")]
_Percent = Annotated[int, Field(ge=0, le=100)]


class Alive(Answer):
    """The process runs."""

    status: Literal["ok"]


class Slots(Answer):
    """How many requests run, and how many may."""

    busy: _Count
    total: _Count


class Waiting(Answer):
    """A request in line."""

    place: Annotated[int, Field(ge=1)]
    seconds: _Seconds


class Queue(Answer):
    """Who waits for a slot, in the order in which they are served as things are now."""

    length: _Count
    waiting: list[Waiting]


class Memory(Answer):
    """What a model takes, in bytes: as it was estimated, and as the system counts it in main memory."""

    estimate: _Bytes
    resident: _Bytes | None


class ModelState(Answer):
    """One model as it is now. What follows ``crashes`` is there only if its engine runs."""

    name: str
    state: Literal["ready", "loading", "restarting", "stopping", "unloaded"]
    detail: str = Field(description="What a model that is not ready waits for.")
    seconds: _Seconds = Field(description="For how long it has been in its state.")
    pinned: bool
    slots: Slots
    queue: Queue
    memory: Memory
    idle_seconds: _Seconds | None
    load_seconds: _Seconds | None
    options: dict[str, str | int] | None
    crashes: list[Crash]
    path: str = ABSENT
    backend: str = ABSENT
    mode: Mode = ABSENT
    harmony: bool = ABSENT
    harmony_reason: str | None = Field(None, description="Why a GPT-OSS model is served without Harmony.")
    pid: int = ABSENT
    ctx_size: _Count = Field(ABSENT, description="Tokens of context for each request.")
    parallel: _Count = ABSENT
    since: float = Field(ABSENT, description="Unix seconds.")
    command: list[str] = ABSENT


class LoadedByLemonade(Answer):
    """A loaded model, as Lemonade's clients know it."""

    model_name: str
    loaded: Literal[True]
    type: Literal["llm", "embedding", "reranking"]
    recipe: Literal["llamacpp"]
    recipe_options: dict[str, str | int] | None
    pinned: bool


class Health(Answer):
    """How the server is. Without the key, where there is one, ``status`` is all."""

    status: Literal["ok", "draining"]
    version: str = ABSENT
    models: list[ModelState] = ABSENT
    model_loaded: str | None = Field(None, description="The loaded model that was used last.")
    all_models_loaded: list[LoadedByLemonade] = ABSENT


class TurnTold(Answer):
    """One finished turn; times are in seconds, from the request on."""

    model: str
    started: float = Field(description="Unix seconds.")
    duration: _Seconds
    waited: _Seconds | None = Field(description="Until it had a slot.")
    time_to_first_token: _Seconds | None
    tokens_per_second: float | None
    prompt_tokens: _Count
    cached_tokens: _Count
    completion_tokens: _Count
    reasoning_tokens: _Count
    tool_calls: _Count
    tokens_by_channel: dict[str, _Count]
    seconds_by_channel: dict[str, _Seconds]
    finish_reason: str
    recovered: dict[str, _Count]


class TotalsTold(Answer):
    """All turns since the server was started. Of failed and cancelled ones, what was shown of them counts."""

    turns: _Count
    finished: _Count
    failed: _Count
    cancelled: _Count
    prompt_tokens: _Count
    cached_tokens: _Count
    completion_tokens: _Count
    reasoning_tokens: _Count
    tool_calls: _Count
    tokens_by_channel: dict[str, _Count]
    seconds_by_channel: dict[str, _Seconds]
    finish_reasons: dict[str, _Count]
    recovered: dict[str, _Count]


class Stats(Answer):
    """The last turn under Lemonade's names, and in ``last`` and ``totals`` all there is to tell."""

    time_to_first_token: _Seconds | None
    tokens_per_second: float | None
    input_tokens: _Count = Field(description="Tokens of the prompt that had to be read.")
    output_tokens: _Count
    prompt_tokens: _Count
    last: TurnTold | None
    totals: TotalsTold


class Loaded(Success):
    """A model is ready."""

    message: str
    model_name: str
    seconds: _Seconds = Field(description="0 if it was there already.")
    evicted: list[str] = Field(description="What had to go for it, and why.")
    options_saved: bool
    model: ModelState


class Unloaded(Success):
    """Models are gone from memory."""

    message: str
    unloaded: list[str]


class Stopping(Success):
    """The server will be gone when what runs has finished."""

    message: str


class Pulled(Success):
    """A model is here, or its download has been stopped."""

    message: str
    model_name: str


class PullProgress(Answer):
    """How far a download is. ``bytes_…`` and ``percent`` are of the file, ``total_…`` of all files together."""

    file: str
    file_index: Annotated[int, Field(ge=1)]
    total_files: _Count
    bytes_downloaded: _Bytes
    bytes_total: _Bytes
    total_bytes_downloaded: _Bytes
    total_bytes: _Bytes
    stage: Stage
    rate: float = Field(description="Bytes a second, lately.")
    eta: _Seconds | None
    percent: _Percent


class PullComplete(Success):
    """All is there."""

    model_name: str
    file_index: _Count
    total_files: _Count
    percent: Literal[100]


class VariantObject(Answer):
    """One model of a repository."""

    name: str = Field(description="What stands behind the repository's name and a colon in a checkpoint.")
    primary_file: str
    files: list[str]
    sharded: bool
    size_bytes: _Bytes
    downloaded: bool
    recommended: bool


class Variants(Answer):
    """What a repository holds, the recommended model first."""

    checkpoint: str
    recipe: Literal["llamacpp"]
    revision: str
    suggested_name: str
    suggested_labels: list[Label]
    mmproj_files: list[str]
    variants: list[VariantObject]


class Deleted(Success):
    """A model is gone from the disk."""

    message: str
    model_name: str
    bytes_freed: _Bytes
    kept_files: list[str] = Field(description="Files that another model needs.")


class Registered(Success):
    """A model has a name."""

    model_name: str
    model: ModelObject


class BackendDone(Success):
    """An engine is installed, or removed."""

    recipe: Literal["llamacpp"]
    backend: str


class InstallProgress(Answer):
    """How far an installation is."""

    file: str
    bytes_downloaded: _Bytes
    bytes_total: _Bytes
    percent: _Percent


class InstallComplete(BackendDone):
    """The engine is installed."""

    percent: Literal[100]


class OsTold(Answer):
    """The operating system."""

    system: str
    release: str
    platform: str


class CpuTold(Answer):
    """The processor; ``cores`` are physical."""

    name: str
    cores: int | None
    threads: int | None
    features: list[str]


class RamTold(Answer):
    """Main memory that this server may use."""

    total_bytes: _Bytes
    available_bytes: _Bytes


class GpuTold(Answer):
    """A GPU. Memory is in bytes, null where the driver does not say."""

    name: str
    vendor: Vendor
    memory_total_bytes: _Bytes | None
    memory_free_bytes: _Bytes | None
    shared_memory: bool
    driver: str | None


class VulkanTold(Answer):
    """Vulkan, and the GPUs that it names; null where it cannot be asked."""

    loader: bool
    devices: list[str] | None


class StorageTold(Answer):
    """The disk that models are on."""

    path: str
    total_bytes: _Bytes
    free_bytes: _Bytes
    used_bytes: _Bytes


class RecipeBackend(Answer):
    """A backend, as Lemonade's clients read it."""

    devices: list[str]
    state: State
    message: str
    action: str
    version: str | None


class Recipe(Answer):
    """What models can run on, as Lemonade's clients read it."""

    default_backend: str | None
    backends: dict[str, RecipeBackend]


class Recipes(Answer):
    """All recipes."""

    llamacpp: Recipe


class SystemInfo(Answer):
    """The machine, and what models can run on."""

    version: str
    python: str
    os_version: str = Field(alias="OS Version")
    processor: str = Field(alias="Processor")
    physical_memory: str = Field(alias="Physical Memory")
    os: OsTold
    architecture: str
    cpu: CpuTold
    memory: RamTold
    gpus: list[GpuTold]
    vulkan: VulkanTold
    cuda: str | None
    rocm: str | None
    model_storage: StorageTold | None
    devices: dict[str, Any] = Field(description="The same by kind of device, as Lemonade's clients read it.")
    recipes: Recipes
    backends: list[BackendState] = Field(description="All backends, the better ones first.")
