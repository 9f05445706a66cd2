"""The models that users registered and the options saved for models: one JSON file, shared by all processes.

Readers look at the file's stamp and read it again when another process has changed it. Whoever writes holds a lock,
reads what is there, and replaces the whole file at once, so nothing that another process wrote is lost.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Annotated, Final

import filelock
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from lemonade_like.errors import ServerError
from lemonade_like.models.files import written_at_once
from lemonade_like.models.model import FileEntry, ModelEntry, ModelOptions
from lemonade_like.models.names import user_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_logger: Final = logging.getLogger("lemonade_like.models")

FILE_NAME: Final = "user_models.json"
_PATIENCE: Final = 10  # seconds to wait for another process, which needs milliseconds


class UserModelsError(ServerError):
    """The file of user models cannot be read or written; three lines at most."""

    default_code = "user_models_unreadable"


def _users(name: str) -> str:
    if user_name(name) != name:
        raise ValueError(f"{name!r} is no name of a user's model; it must be user.NAME")
    return name


class Saved(BaseModel):
    """All that the file holds. ``models`` are by ``user.NAME``, ``options`` by whatever model's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[Annotated[str, AfterValidator(_users)], ModelEntry | FileEntry] = {}
    options: dict[str, ModelOptions] = {}


_Stamp = tuple[int, int, int]


class UserModels:
    """The file in ``folder``; it and the folder are made when there is something to keep.

    Raises :class:`UserModelsError` if the file is there and cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._stamp: _Stamp | None = None
        self._refused: _Stamp | None = None
        self._saved = Saved()
        self._read()

    @property
    def saved(self) -> Saved:
        """What was read last; touches no disk."""
        return self._saved

    def refresh(self) -> Saved:
        """What the file holds now. A file that was damaged meanwhile is logged, and what was read before it holds."""
        try:
            if self._changed():
                self._read()
        except UserModelsError as error:
            stamp = self._current_stamp()
            if stamp != self._refused:
                _logger.error("%s", error.message)
            self._refused = stamp
        return self._saved

    def update(self, change: Callable[[Saved], Saved]) -> Saved:
        """Have ``change`` make what the file shall hold out of what it holds now, and write that.

        Raises:
            UserModelsError: the file is damaged, or cannot be written; nothing has changed then.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self._path.with_suffix(".lock"), timeout=_PATIENCE):
                self._read()
                changed = change(self._saved)
                with written_at_once(self._path) as file:
                    file.write(changed.model_dump_json(indent=2, exclude_defaults=True).encode() + b"\n")
                self._saved, self._stamp = changed, self._current_stamp()
        except filelock.Timeout:
            raise UserModelsError(
                f"Another process has held {self._path.with_suffix('.lock')} for {_PATIENCE} seconds.\n"
                "Wait until it has finished, or end it, and try again."
            ) from None
        except OSError as error:
            raise UserModelsError(
                f"{self._path} cannot be written: {error.strerror or error}.\n"
                "Mend that, or name another folder with LEMONADE_LIKE_DATA_DIR."
            ) from error
        return changed

    def _changed(self) -> bool:
        return self._current_stamp() != self._stamp

    def _current_stamp(self) -> _Stamp | None:
        with contextlib.suppress(OSError):
            found = self._path.stat()
            return found.st_mtime_ns, found.st_size, found.st_ino
        return None

    def _read(self) -> None:
        # The stamp first: if the file is replaced in between, it will be read once more, and never once too little.
        stamp = self._current_stamp()
        try:
            self._saved = Saved.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            self._saved = Saved()
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(step) for step in first["loc"] if not isinstance(step, int))
            raise UserModelsError(
                f"{self._path} is damaged: {f'{where}: ' if where else ''}{first['msg']}.\n"
                "It holds the models that you registered. Mend it by hand, or move it away to begin without them."
            ) from None
        except OSError as error:
            raise UserModelsError(
                f"{self._path} cannot be read: {error.strerror or error}.\n"
                "Mend that, or name another folder with LEMONADE_LIKE_DATA_DIR."
            ) from error
        self._stamp = stamp
