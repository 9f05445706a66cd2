"""What can be served: the models known by name, the bundled one, and the GGUF files given by path."""

from __future__ import annotations

import difflib
import importlib.resources
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from lemonade_like.errors import ModelNotFound, ServerError
from lemonade_like.models.bundled import BUNDLED_MODEL, bundled_model_path
from lemonade_like.models.download import Checkpoint, find_in_cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lemonade_like.settings import HarmonyMode, Settings

_REGISTRY_FILE = "server_models.json"


class ModelOptions(BaseModel):
    """Settings of one model, where it wants others than the defaults; what the user has set goes before them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ctx_size: int | None = Field(default=None, ge=0, description="Context of each request in tokens, 0 for automatic.")
    parallel: int | None = Field(default=None, ge=1, le=256, description="Requests answered at the same time.")
    llamacpp_args: str | None = Field(default=None, description="More arguments for llama-server, as one string.")


class ModelEntry(BaseModel):
    """One entry of ``server_models.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint: str = Field(
        pattern=r"^[\w.-]+/[\w.-]+(:[\w./-]+)?$",
        description="Hugging Face repository and quantisation, `org/repo:QUANT`, or file, `org/repo:file.gguf`.",
    )
    recipe: Literal["llamacpp"] = Field(default="llamacpp", description="What runs the model.")
    labels: tuple[str, ...] = Field(
        default=(), description="What the model is good for; `gpt-oss` has it spoken to in Harmony."
    )
    mmproj: str | None = Field(
        default=None, min_length=1, description="Vision projector: the name of its file there, or `org/repo:file.gguf`."
    )
    suggested: bool = Field(default=False, description="Whether it is shown to newcomers.")
    size: float | None = Field(default=None, gt=0, description="Download in GB; left out where it was not verified.")
    options: ModelOptions = Field(
        default=ModelOptions(), description="Settings of this model that differ from the defaults."
    )
    verified: bool = Field(default=False, description="Whether a download of this entry has been tried.")


class RegistryFile(BaseModel):
    """``server_models.json`` as a whole; ``server_models.schema.json`` beside it is made from this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_file: str | None = Field(default=None, alias="$schema")
    models: dict[str, ModelEntry]


@dataclass(frozen=True)
class Model:
    """A model that can be asked for.

    ``path`` is its GGUF file, or ``None`` as long as that is not on disk: not downloaded, or bundled and not yet
    unpacked (:meth:`Registry.locate` unpacks it). ``harmony`` is the user's override for this model.
    """

    name: str
    path: Path | None = None
    checkpoint: str | None = None
    mmproj: str | None = None
    labels: frozenset[str] = frozenset()
    recipe: str = "llamacpp"
    suggested: bool = False
    size: float | None = None
    options: ModelOptions = field(default_factory=ModelOptions)
    harmony: HarmonyMode | None = None
    bundled: bool = False

    @property
    def available(self) -> bool:
        """Whether it can be loaded without a download."""
        return self.bundled or self.path is not None


class Registry:
    """The models by name. Paths are read off the disk on each call: a model is there as soon as it is downloaded."""

    def __init__(self, models: Iterable[Model], *, cache_dir: Path, hub_cache: Path | None = None) -> None:
        self._models = {model.name: model for model in models}
        self._cache_dir = cache_dir
        self._hub_cache = hub_cache
        self._found: dict[str, Path] = {}
        self.chosen: tuple[str, ...] = ()
        """The names that the settings ask to serve; the bundled model's if they ask for none."""

    @classmethod
    def from_settings(cls, settings: Settings, hub_cache: Path | None = None) -> Registry:
        """The built-in models, and those that the settings give by path.

        Raises :class:`ModelNotFound` for a model in the settings that is not there.
        """
        models = [Model(name=BUNDLED_MODEL, labels=frozenset({"gpt-oss", "reasoning", "tool-calling"}), bundled=True)]
        models += built_in_models()
        registry = cls(
            [replace(model, harmony=settings.harmony_by_model.get(model.name)) for model in models],
            cache_dir=settings.cache_dir,
            hub_cache=hub_cache,
        )
        chosen = []
        for given in settings.models:
            if is_path(given):
                model = registry.add_local(Path(given), harmony=settings.harmony_by_model.get(Path(given).stem))
            else:
                model = registry.find(given)
                registry.require_available(model)
            chosen.append(model.name)
        registry.chosen = tuple(dict.fromkeys(chosen)) or (BUNDLED_MODEL,)
        return registry

    def models(self) -> list[Model]:
        """All models, the bundled one first, with their paths as they are on disk now."""
        return [self._placed(model) for model in self._models.values()]

    def resolve(self, name: str) -> str:
        """The model's name as it is spelt here, given in any case; touches no disk. Raises :class:`ModelNotFound`."""
        if name in self._models:
            return name
        by_folded = {known.casefold(): known for known in self._models}
        if name.casefold() not in by_folded:
            raise ModelNotFound(self._unknown(name, by_folded), param="model")
        return by_folded[name.casefold()]

    def find(self, name: str) -> Model:
        """The model of that name, in any case if no name is spelt just so. Raises :class:`ModelNotFound`."""
        return self._placed(self._models[self.resolve(name)])

    def to_pull(self, name: str) -> Model:
        """The model to be downloaded for that name: a known one, or any ``org/repo:QUANT`` of the Hub.

        Raises :class:`ModelNotFound`.
        """
        if name not in self._models and "/" in name:
            checkpoint = name.removeprefix("https://").removeprefix("hf.co/").removeprefix("huggingface.co/")
            return self._placed(Model(name=checkpoint, checkpoint=checkpoint))
        return self.find(name)

    def register(self, name: str, entry: ModelEntry) -> Model:
        """Makes a model known under ``user.NAME``."""
        model = Model(name=name, checkpoint=entry.checkpoint, mmproj=entry.mmproj, labels=frozenset(entry.labels))
        self._models[name] = model
        return model

    def forget(self, name: str) -> None:
        """Makes a user's model unknown again."""
        self._models.pop(self.resolve(name))

    def changed(self, name: str) -> None:
        """Drops what is remembered of the file's place."""
        self._found.pop(name, None)

    def locate(self, model: Model) -> Path:
        """The model's GGUF file, ready to be opened; unpacks the bundled one (blocking: call it in a thread).

        Raises :class:`ModelNotFound`, code ``model_not_downloaded``, if it has to be downloaded first.
        """
        if model.bundled:
            return bundled_model_path(self._cache_dir)
        path = self._placed(model).path
        if path is None or not path.is_file():
            raise self._not_there(model)
        return path

    def require_available(self, model: Model) -> None:
        """Raises what :meth:`locate` would, without unpacking anything."""
        if not model.available:
            raise self._not_there(model)

    def add_local(self, path: Path, *, harmony: HarmonyMode | None = None) -> Model:
        """Makes a GGUF file known under its stem.

        Raises :class:`ModelNotFound` if there is no such file, :class:`ServerError` if the name is taken.
        """
        path = path.expanduser().absolute()
        if not path.is_file():
            what = "is a folder, not a .gguf file" if path.is_dir() else "does not exist"
            raise ModelNotFound(
                f"{path} {what}.\nGive --model the path of a .gguf file, or a name (`lemonade-like models`)."
            )
        name = path.stem
        for known in self._models.values():
            if known.name.casefold() != name.casefold():
                continue
            if known.path is not None and known.path.samefile(path):
                return known
            owner = str(known.path) if known.path else "a built-in model"
            raise ServerError(f"{path} would be served as {name!r}, which is the name of {owner}.\nRename the file.")
        model = Model(name=name, path=path, harmony=harmony)
        self._models[name] = model
        return model

    def _placed(self, model: Model) -> Model:
        if model.path is not None or model.checkpoint is None:
            return model
        # A request asks for its model's path; looking through the cache's folders each time would cost it more.
        path = self._found.get(model.name)
        if path is None or not path.is_file():
            path = find_in_cache(Checkpoint.parse(model.checkpoint), self._hub_cache)
            if path is not None:
                self._found[model.name] = path
        return replace(model, path=path)

    def _unknown(self, name: str, by_folded: Mapping[str, str]) -> str:
        near = difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(by_folded[folded] for folded in near)}? " if near else ""
        return (
            f"There is no model called {name!r} here. {hint}`lemonade-like models` lists all names, "
            "`lemonade-like pull NAME` downloads one, and `--model FILE.gguf` serves a file."
        )

    def _not_there(self, model: Model) -> ModelNotFound:
        if model.checkpoint is None:
            return ModelNotFound(f"The file of {model.name!r}, {model.path}, is gone.", param="model")
        return ModelNotFound(
            f"{model.name} is not downloaded yet. "
            f"Run `lemonade-like pull {model.name}` (it comes from {model.checkpoint}).",
            param="model",
            code="model_not_downloaded",
        )


def is_path(given: str) -> bool:
    """Whether a ``--model`` value is a file's path and not a name."""
    return given.lower().endswith(".gguf") or "/" in given or "\\" in given


def built_in_models() -> list[Model]:
    """The models of ``server_models.json``, in its order."""
    return [
        Model(
            name=name,
            checkpoint=entry.checkpoint,
            mmproj=entry.mmproj,
            labels=frozenset(entry.labels),
            recipe=entry.recipe,
            suggested=entry.suggested,
            size=entry.size,
            options=entry.options,
        )
        for name, entry in RegistryFile.model_validate_json(_registry_json()).models.items()
    ]


def _registry_json() -> bytes:
    """From the installed package, or else (an editable install) from the root of the repository."""
    packaged = importlib.resources.files("lemonade_like") / "assets" / _REGISTRY_FILE
    if packaged.is_file():
        return packaged.read_bytes()
    return (Path(__file__).parents[3] / _REGISTRY_FILE).read_bytes()
