"""``lemonade-like register`` and ``forget``: names of the user's own for models of the Hub and for files.

Only here can a file be registered: whoever types at this machine may read its files, a client of the server may not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from pydantic import ValidationError

from lemonade_like.engine.spec import parse_extra_args
from lemonade_like.errors import ModelNotFound
from lemonade_like.models import facts
from lemonade_like.models.download import NoSuchFiles
from lemonade_like.models.gguf import GGUFError
from lemonade_like.models.model import LABELS, FileEntry, ModelEntry
from lemonade_like.models.names import is_path, read_checkpoint
from lemonade_like.models.places import as_file
from lemonade_like.models.registry import Registry
from lemonade_like.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def register_model(
    name: str,
    what: str,
    settings: Settings,
    *,
    labels: Sequence[str] = (),
    mmproj: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Keeps the model under ``user.NAME``, and says how to go on.

    Raises:
        SettingsError: what was given cannot be.
        ModelNotFound: there is no such file, or it is not all of a model.
    """
    registry = known_models(settings)
    entry = _entry(what, labels, mmproj, dict(options or {}))
    parse_extra_args(entry.options.llamacpp_args or "")
    model = registry.register(name, entry)
    if model.available:
        typer.echo(f"{model.name} is {model.path}.\nServe it: lemonade-like serve --model {model.name}")
    else:
        typer.echo(f"{model.name} is {model.checkpoint}.\nDownload it: lemonade-like pull {model.name}")


def forget_model(name: str, settings: Settings) -> None:
    """Drops the name, and says what stays."""
    registry = known_models(settings)
    model = registry.find(name)
    registry.forget(model.name)
    typer.echo(f"{model.name} is forgotten." + (f" Its file stays: {model.path}" if model.path else ""))


def known_models(settings: Settings) -> Registry:
    """The models that have names; those that the settings serve are not looked for."""
    return Registry.from_settings(settings.model_copy(update={"models": ()}))


def _entry(what: str, labels: Sequence[str], mmproj: str | None, options: dict[str, Any]) -> ModelEntry | FileEntry:
    path = Path(what).expanduser()
    try:
        if path.is_file() or is_path(what):
            return _file_entry(path.absolute(), labels, mmproj, options)
    except ValidationError as error:
        raise _refusal(error) from None
    if read_checkpoint(what) is None:
        raise SettingsError(
            f"{what!r} is neither a file nor a model of the Hub.\n"
            "Write org/repo:QUANT, org/repo:file.gguf, or the path of a .gguf file."
        )
    return hub_entry(what, labels, mmproj, options)


def hub_entry(
    what: str, labels: Sequence[str], mmproj: str | None, options: Mapping[str, Any] | None = None
) -> ModelEntry:
    """The entry of a model of the Hub; ``what`` is its checkpoint, also after ``hf.co/``. Raises ``SettingsError``."""
    checkpoint = read_checkpoint(what)
    if checkpoint is None:
        raise SettingsError(f"{what!r} is no model of the Hub.\nWrite org/repo:QUANT or org/repo:file.gguf.")
    try:
        return ModelEntry.model_validate(
            {"checkpoint": checkpoint, "labels": tuple(labels), "mmproj": mmproj, "options": dict(options or {})}
        )
    except ValidationError as error:
        raise _refusal(error) from None


def _file_entry(path: Path, labels: Sequence[str], mmproj: str | None, options: dict[str, Any]) -> FileEntry:
    if not path.is_file():
        raise ModelNotFound(f"{path} does not exist, or is a folder.\nGive the path of a .gguf file.")
    try:
        place = as_file(path)[1]
        facts.of(place.path)
    except (NoSuchFiles, GGUFError) as error:
        raise ModelNotFound(f"{path} is not a model that can be served: {error}") from None
    projector = Path(mmproj).expanduser().absolute() if mmproj else place.mmproj_path
    if projector is not None and not projector.is_file():
        raise ModelNotFound(f"{projector} does not exist.\n--mmproj is the path of the vision projector's .gguf file.")
    return FileEntry.model_validate({"path": place.path, "mmproj": projector, "labels": labels, "options": options})


def _refusal(error: ValidationError) -> SettingsError:
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0])
    if field == "labels":
        return SettingsError(f"{first['input']!r} is no label.\nThere are {', '.join(LABELS)}.")
    option = str(first["loc"][-1]) if field == "options" else field
    return SettingsError(f"--{option.replace('_', '-')} {first['input']!r} cannot be: {first['msg']}.")
