"""What is known of a model: the entries that people write down, and the model that comes of one."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from lemonade_like.models.names import USER_PREFIX, is_checkpoint, read_checkpoint
from lemonade_like.settings import Backend

if TYPE_CHECKING:
    from lemonade_like.settings import HarmonyMode

#: What a model is good for. A closed set: clients choose by these words. docs/models.md says what each means.
Label = Literal[
    "hot", "reasoning", "tool-calling", "vision", "coding", "embeddings", "matryoshka", "reranking", "gpt-oss"
]
LABELS: Final[tuple[str, ...]] = get_args(Label)

#: The context of a request in tokens, at most: engines take memory for all of it at once, and some end if they cannot.
MOST_CONTEXT: Final = 2**20

Source = Literal["built-in", "user", "local", "hub", "bundled"]


def _splittable(arguments: str) -> str:
    shlex.split(arguments)
    return arguments


def _checkpoint(text: str) -> str:
    if not is_checkpoint(text):
        raise ValueError("must be org/repo:QUANT or org/repo:file.gguf of the Hugging Face Hub")
    return text


def _projector(text: str) -> str:
    if not (is_checkpoint(text) and ":" in text) and read_checkpoint(f"org/repo:{text}") is None:
        raise ValueError("must be the name of a file in the same repository, or org/repo:file.gguf")
    return text


class ModelOptions(BaseModel):
    """Settings of one model, where it wants others than the defaults; ``None`` is what the settings say."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    ctx_size: int | None = Field(
        default=None, ge=0, le=MOST_CONTEXT, description="Context of each request in tokens, 0 for automatic."
    )
    parallel: int | None = Field(default=None, ge=1, le=256, description="Requests answered at the same time.")
    llamacpp_backend: Backend | None = Field(default=None, description="Engine that the model runs on.")
    llamacpp_args: Annotated[str, AfterValidator(_splittable)] | None = Field(
        default=None, description="More arguments for llama-server, as one string."
    )
    pinned: bool | None = Field(default=None, description="Whether it stays loaded whatever else wants the memory.")


class ModelEntry(BaseModel):
    """A model of the Hub: an entry of ``server_models.json``, or one that a user registered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint: Annotated[str, AfterValidator(_checkpoint)] = Field(
        pattern=r"^[\w.-]+/[\w.-]+(:[\w./-]+)?$",
        description="Hugging Face repository and quantisation, `org/repo:QUANT`, or file, `org/repo:file.gguf`.",
    )
    recipe: Literal["llamacpp"] = Field(default="llamacpp", description="What runs the model.")
    labels: tuple[Label, ...] = Field(
        default=(), description="What the model is good for; `gpt-oss` has it spoken to in Harmony."
    )
    mmproj: Annotated[str, AfterValidator(_projector)] | None = Field(
        default=None,
        pattern=r"^([\w.-]+/[\w.-]+:)?[\w./-]+$",
        description="Vision projector: the name of its file there, or `org/repo:file.gguf`. Where a model with the "
        "label vision names none, the best of its repository is taken.",
    )
    suggested: bool = Field(default=False, description="Whether it is shown to newcomers.")
    size: float | None = Field(default=None, gt=0, description="Download in GB; left out where it was not verified.")
    options: ModelOptions = Field(
        default=ModelOptions(), description="Settings of this model that differ from the defaults."
    )
    verified: bool = Field(default=False, description="Whether a download of this entry has been tried.")


class FileEntry(BaseModel):
    """A GGUF file of the user's own that was given a name; only who sits at the machine may do so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    mmproj: Path | None = None
    labels: tuple[Label, ...] = ()
    options: ModelOptions = ModelOptions()


class RegistryFile(BaseModel):
    """``server_models.json`` as a whole; ``server_models.schema.json`` beside it is made from this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_file: str | None = Field(default=None, alias="$schema")
    models: dict[str, ModelEntry]


@dataclass(frozen=True)
class Model:
    """A model that can be asked for.

    ``path`` is its GGUF file (the first shard), or ``None`` as long as that is not on disk: not downloaded, or bundled
    and not yet unpacked (``Registry.locate`` unpacks it). ``mmproj`` is the vision projector as the entry names it,
    ``mmproj_path`` its file, where one is there. ``options`` are those saved for the model, over those of its entry.
    ``size`` is the download in GB, if known. ``harmony`` is the user's override for this model.
    """

    name: str
    path: Path | None = None
    checkpoint: str | None = None
    labels: frozenset[str] = frozenset()
    recipe: str = "llamacpp"
    suggested: bool = False
    size: float | None = None
    options: ModelOptions = field(default_factory=ModelOptions)
    harmony: HarmonyMode | None = None
    bundled: bool = False
    mmproj: str | None = None
    mmproj_path: Path | None = None

    @property
    def available(self) -> bool:
        """Whether it can be loaded without a download."""
        return self.bundled or self.path is not None

    @property
    def source(self) -> Source:
        """Where it comes from: this package, the registry, a user's register, a file or folder, or the Hub's cache."""
        if self.bundled:
            return "bundled"
        if self.name.startswith(USER_PREFIX):
            return "user"
        if self.checkpoint is None:
            return "local"
        return "hub" if "/" in self.name else "built-in"


def model_of(name: str, entry: ModelEntry | FileEntry) -> Model:
    """The model that an entry describes."""
    if isinstance(entry, FileEntry):
        labels = frozenset(entry.labels)
        return Model(name=name, path=entry.path, mmproj_path=entry.mmproj, labels=labels, options=entry.options)
    return Model(
        name=name,
        checkpoint=entry.checkpoint,
        labels=frozenset(entry.labels),
        recipe=entry.recipe,
        suggested=entry.suggested,
        size=entry.size,
        options=entry.options,
        mmproj=entry.mmproj,
    )
