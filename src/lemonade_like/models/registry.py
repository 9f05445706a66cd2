"""What can be served: the models known by name, and any other of the Hub that is asked for by its checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lemonade_like.errors import BadRequest, ModelNotFound, ServerError
from lemonade_like.models.aliases import Aliases
from lemonade_like.models.built_in import built_in_models
from lemonade_like.models.bundled import BUNDLED_MODEL, bundled_model_file, bundled_model_path
from lemonade_like.models.describe import Description, describe
from lemonade_like.models.download import NoSuchFiles
from lemonade_like.models.known import Known
from lemonade_like.models.model import FileEntry, Model, ModelEntry, ModelOptions, model_of
from lemonade_like.models.names import USER_PREFIX, is_path, read_checkpoint, require_user_name
from lemonade_like.models.places import (
    Place,
    all_in_cache,
    as_file,
    choices_in_cache,
    exact_checkpoint,
    in_cache,
    in_folder,
)
from lemonade_like.models.user_models import Saved, UserModels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lemonade_like.settings import HarmonyMode, Settings

__all__ = ["FileEntry", "Model", "ModelEntry", "ModelOptions", "Registry"]


class Registry:
    """The models by name. Paths are read off the disk on each call: a model is there as soon as it is downloaded.

    ``users`` are the models that users registered; without it, none can be. ``aliases`` are other names for models,
    which are read as theirs wherever a name is. All methods may be called from any thread.
    """

    def __init__(
        self,
        models: Iterable[Model],
        *,
        cache_dir: Path,
        hub_cache: Path | None = None,
        users: UserModels | None = None,
        harmony_by_model: Mapping[str, HarmonyMode] | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._own = {model.name: model for model in models}
        self._cache_dir = cache_dir
        self._hub_cache = hub_cache
        self._users = users
        self._harmony = dict(harmony_by_model or {})
        self._aliases = Aliases(aliases or {})
        self._found: dict[tuple[str, str | None, bool], Place] = {}
        #: The names of models in the cache, by all checkpoints that mean them.
        self._exact: dict[str, str] = {}
        self._known = self._make_known(users.saved if users else Saved())
        self.chosen: tuple[str, ...] = ()
        """The names that the settings ask to serve; the bundled model's if they ask for none."""

    @classmethod
    def from_settings(cls, settings: Settings, hub_cache: Path | None = None) -> Registry:
        """The built-in models, the user's, and those that the settings give by path.

        Raises :class:`ModelNotFound` for a model in the settings that is not there, and ``UserModelsError`` if the
        file of user models is damaged.
        """
        bundled = Model(name=BUNDLED_MODEL, labels=frozenset({"gpt-oss", "reasoning", "tool-calling"}), bundled=True)
        registry = cls(
            [bundled, *built_in_models()],
            cache_dir=settings.cache_dir,
            hub_cache=hub_cache,
            users=UserModels(settings.data_dir),
            harmony_by_model=settings.harmony_by_model,
            aliases=settings.model_aliases,
        )
        chosen: list[str] = []
        for given in settings.models:
            chosen += registry._choose(given)
        registry.chosen = tuple(dict.fromkeys(chosen)) or (BUNDLED_MODEL,)
        for alias, name in settings.model_aliases.items():
            registry._check_alias(alias, name)
        return registry

    def models(self) -> list[Model]:
        """All models that are known or on this machine, the bundled one first, with their paths as they are now.

        Those in the Hub's cache that nobody registered come last, under their checkpoints.
        """
        known = self._refreshed()
        placed = [self._placed(model) for model in known.models.values()]
        listed = [replace(model, path=None) if self._is_gone(model) else model for model in placed]
        taken = {model.path for model in listed}
        for checkpoint, path in all_in_cache(self._hub_cache):
            if path not in taken and known.name_of(checkpoint) is None:
                taken.add(path)
                listed.append(self._placed(self._of_the_hub(checkpoint)))
        return listed

    def resolve(self, name: str) -> str:
        """The one name of the model that ``name`` spells. It may be spelt in any case, or be a checkpoint of the Hub,
        here or not; that of a model which is here may also be its repository alone, or any of its files.

        Looks at the disk for what was never seen there only. Raises :class:`ModelNotFound`.
        """
        checkpoint = self._spelt(name)
        if checkpoint in self._known.models:
            return checkpoint
        exact = self._exact.get(checkpoint)
        if exact is None:
            exact = exact_checkpoint(checkpoint, self._hub_cache)
            if exact is None:
                return checkpoint
            self._exact[checkpoint] = exact
        return self._known.name_of(exact) or exact

    def _spelt(self, name: str) -> str:
        """The name of a known model, or else the checkpoint as it was asked for."""
        found = self._known_name(name)
        if found is None and (target := self._aliases.target(name)) is not None:
            name = target
            found = self._known_name(name)
        found = found or read_checkpoint(name)
        if found is None:
            raise ModelNotFound(self._known.lacking(name), param="model")
        return found

    def _known_name(self, name: str) -> str | None:
        # Another process may have registered it, or have given the name to another model.
        known = self._refreshed() if name.casefold().startswith(USER_PREFIX) else self._known
        return known.name_of(name)

    def _check_alias(self, alias: str, name: str) -> None:
        """Raises :class:`ModelNotFound` if there is no such model, :class:`ServerError` if the alias is one's name."""
        if self._known.by_folded.get(alias.casefold()) is not None:
            raise ServerError(f"{alias!r} in model_aliases is a model's own name.\nTake the line out.")
        if self._known_name(name) is None and read_checkpoint(name) is None:
            raise ModelNotFound(f"{alias!r} in model_aliases stands for {name!r}.\n{self._known.lacking(name)}")

    def find(self, name: str) -> Model:
        """The model that ``name`` spells (see :meth:`resolve`), wherever it is. Raises :class:`ModelNotFound`."""
        self._refreshed()
        return self._named(self.resolve(name))

    def still_means(self, model: Model) -> bool:
        """Whether the model's name stands for the same files as when it was found; touches no disk."""
        now = self._known.models.get(model.name)
        return now is None or (
            (now.checkpoint, now.mmproj, now.labels) == (model.checkpoint, model.mmproj, model.labels)
            and (now.checkpoint is not None or now.path == model.path)
        )

    def to_pull(self, name: str) -> Model:
        """The model to be downloaded for that name: its ``checkpoint`` and ``mmproj`` say what, if anything.

        Unlike :meth:`find` it takes a checkpoint as it is: what is exact here may not be so on the Hub. Raises
        :class:`ModelNotFound`.
        """
        self._refreshed()
        return self._named(self._spelt(name))

    def _named(self, name: str) -> Model:
        model = self._known.models.get(name)
        return self._placed(self._of_the_hub(name) if model is None else model)

    def locate(self, model: Model) -> Path:
        """The model's GGUF file, ready to be opened; unpacks the bundled one (blocking: call it in a thread).

        Raises :class:`ModelNotFound`: code ``model_not_downloaded`` if it has to be downloaded first,
        ``ambiguous_model`` if its name fits several that are here.
        """
        if model.bundled:
            return bundled_model_path(self._cache_dir)
        path = self._placed(model).path
        if path is None or not path.is_file():
            raise self._not_there(model)
        return path

    def file_of(self, model: Model) -> Path | None:
        """The model's GGUF file if it is on the disk as it is; unpacks nothing."""
        path = bundled_model_file(self._cache_dir) if model.bundled else model.path
        return path if path is not None and path.is_file() else None

    def describe(self, model: Model) -> Description:
        """All that can be told of the model, from its file where that is here. Blocking; loads and unpacks nothing."""
        return describe(model, self.file_of(model))

    def require_available(self, model: Model) -> None:
        """Raises what :meth:`locate` would, without unpacking anything."""
        if not model.available:
            raise self._not_there(model)

    def changed(self, name: str) -> None:
        """Drops what is remembered of where the model's files are: they have come or gone."""
        model = self._known.models.get(name)
        checkpoint = model.checkpoint if model else name
        for key in [key for key in self._found if key[0] == checkpoint]:
            self._found.pop(key, None)
        self._exact.clear()

    def register(self, name: str, entry: ModelEntry | FileEntry) -> Model:
        """Makes a model known under ``user.NAME``, for ever; one that has that name is replaced.

        Raises :class:`BadRequest` for a name that cannot be, and ``UserModelsError`` if it cannot be kept.
        """
        wanted = require_user_name(name)

        def add(saved: Saved) -> Saved:
            others = {other: each for other, each in saved.models.items() if other.casefold() != wanted.casefold()}
            return saved.model_copy(update={"models": {**others, wanted: entry}})

        self._update(add)
        return self.find(wanted)

    def forget(self, name: str) -> None:
        """Makes a user's model unknown again, and drops its options; its files stay.

        Raises :class:`ModelNotFound`, or :class:`BadRequest` if it is no model that a user registered.
        """
        name = self.resolve(name)
        if not name.startswith(USER_PREFIX):
            raise BadRequest(f"{name} was not registered by a user, so it stays known.", param="model_name")

        def drop(saved: Saved) -> Saved:
            models = {other: entry for other, entry in saved.models.items() if other != name}
            options = {other: each for other, each in saved.options.items() if other != name}
            return Saved(models=models, options=options)

        self._update(drop)

    def save_options(self, name: str, options: ModelOptions) -> None:
        """Keeps options for a model, whichever it is; they replace those saved before. Empty ones leave nothing saved.

        Raises :class:`ModelNotFound`, and ``UserModelsError`` if they cannot be kept.
        """
        name = self.resolve(name)

        def keep(saved: Saved) -> Saved:
            others = {other: each for other, each in saved.options.items() if other != name}
            kept = {} if options == ModelOptions() else {name: options}
            return saved.model_copy(update={"options": {**others, **kept}})

        self._update(keep)

    def add_local(self, path: Path) -> Model:
        """Makes a GGUF file known under its stem; of a model in shards, any of them.

        Raises :class:`ModelNotFound` if there is no such file, :class:`ServerError` if the name is taken.
        """
        path = path.expanduser().absolute()
        if not path.is_file():
            raise ModelNotFound(
                f"{path} does not exist.\n"
                "Give --model the path of a .gguf file or of a folder of them, or a name (`lemonade-like models`)."
            )
        try:
            name, place = as_file(path)
        except NoSuchFiles as error:
            raise ModelNotFound(f"{path} is not all of a model: {error}.\nPut all shards into one folder.") from None
        return self._add(name, place)

    def add_folder(self, folder: Path) -> list[Model]:
        """Makes every model in a folder, and below it, known under its file's stem.

        Raises :class:`ModelNotFound` if there is none, :class:`ServerError` if a name is taken.
        """
        folder = folder.expanduser().absolute()
        try:
            found = in_folder(folder)
        except ValueError as error:
            raise ServerError(f"Two models in {folder} have one name: {error}.\nRename a file.") from None
        if not found:
            raise ModelNotFound(f"{folder} has no complete model in it: no .gguf file, or a shard is missing.")
        return [self._add(name, place) for name, place in found.items()]

    def _choose(self, given: str) -> list[str]:
        """The names for one ``--model`` value: a known name, a folder, a file, or a checkpoint, in this order."""
        path = Path(given).expanduser() if given.startswith("~") else Path(given)
        if self._known.name_of(given) is None or is_path(given):
            if path.is_dir():
                return [model.name for model in self.add_folder(path)]
            if is_path(given) or (path.is_file() and path.suffix.lower() == ".gguf"):
                return [self.add_local(path).name]
        model = self.find(given)
        self.require_available(model)
        return [model.name]

    def _add(self, name: str, place: Place) -> Model:
        known = self._known.models.get(self._known.by_folded.get(name.casefold(), name))
        if known is not None:
            if known.path is not None and known.path.samefile(place.path):
                return known
            owner = str(known.path) if known.path else "a built-in model"
            raise ServerError(
                f"{place.path} would be served as {name!r}, which is the name of {owner}.\nRename the file."
            )
        if name.casefold().startswith(USER_PREFIX):
            raise ServerError(
                f"{place.path} would be served as {name!r}, but {USER_PREFIX} is for registered models.\n"
                "Rename the file."
            )
        self._own[name] = Model(name=name, path=place.path, mmproj_path=place.mmproj_path)
        self._known = self._make_known(self._known.saved)
        return self._known.models[name]

    def _update(self, change: Callable[[Saved], Saved]) -> None:
        if self._users is None:
            raise ServerError("This registry keeps no user models.")
        self._known = self._make_known(self._users.update(change))

    def _refreshed(self) -> Known:
        if self._users is not None:
            saved = self._users.refresh()
            if saved is not self._known.saved:
                self._known = self._make_known(saved)
        return self._known

    def _make_known(self, saved: Saved) -> Known:
        users = {name: model_of(name, entry) for name, entry in saved.models.items()}
        models = {name: self._with_options(model, saved) for name, model in {**self._own, **users}.items()}
        return Known.of(saved, models)

    def _with_options(self, model: Model, saved: Saved) -> Model:
        own = saved.options.get(model.name)
        options = model.options if own is None else model.options.model_copy(update=own.model_dump(exclude_none=True))
        return replace(model, options=options, harmony=self._harmony.get(model.name, model.harmony))

    def _of_the_hub(self, checkpoint: str) -> Model:
        return self._with_options(Model(name=checkpoint, checkpoint=checkpoint), self._known.saved)

    def _placed(self, model: Model) -> Model:
        if model.checkpoint is None:
            return model
        # A request asks for its model's path; looking through the cache's folders each time would cost it more.
        vision = "vision" in model.labels
        key = (model.checkpoint, model.mmproj, vision)
        place = self._found.get(key)
        if place is None or not place.path.is_file():
            place = in_cache(model.checkpoint, model.mmproj, self._hub_cache, vision=vision)
            if place is not None and (place.mmproj_path or not vision):
                self._found[key] = place
        if place is None:
            self._exact.clear()
            return replace(model, path=None, mmproj_path=None)
        return replace(model, path=place.path, mmproj_path=place.mmproj_path)

    @staticmethod
    def _is_gone(model: Model) -> bool:
        return model.checkpoint is None and model.path is not None and not model.path.is_file()

    def _not_there(self, model: Model) -> ModelNotFound:
        if model.checkpoint is None:
            return ModelNotFound(f"The file of {model.name!r}, {model.path}, is gone.", param="model")
        choices = choices_in_cache(model.checkpoint, self._hub_cache)
        if len(choices) > 1:
            return ModelNotFound(
                f"{model.name} may be any of these on this machine: {', '.join(choices)}. Name one of them.",
                param="model",
                code="ambiguous_model",
            )
        where = f" (it comes from {model.checkpoint})" if model.checkpoint != model.name else ""
        return ModelNotFound(
            f"{model.name} is not downloaded yet. Run `lemonade-like pull {model.name}`{where}.",
            param="model",
            code="model_not_downloaded",
        )
