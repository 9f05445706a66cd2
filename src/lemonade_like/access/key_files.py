"""Files of keys: one a line, ``KEY`` or ``NAME KEY``, with comments."""

from __future__ import annotations

import logging
import re
import stat
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lemonade_like.settings import ENV_PREFIX, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

_logger: Final = logging.getLogger(__name__)

_NAME: Final = re.compile(r"[\w.@-]{1,64}")


@dataclass(frozen=True)
class NamedKey:
    """A key, and the name of its owner where one was given."""

    key: str = field(repr=False)
    name: str = ""


def read_keys(path: Path, option: str) -> list[NamedKey]:
    """Return the keys of the file that ``option`` names. One that everybody on the machine can read is warned of.

    Raises:
        SettingsError: the file cannot be read, has a line that is no key, or no key at all. No line of it is shown.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        readable_by_all = sys.platform != "win32" and bool(path.stat().st_mode & stat.S_IROTH)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise SettingsError(f"The keys in {path} cannot be read: {reason}.\n{_set_by(option)}") from None
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        name, key = ("", words[0]) if len(words) == 1 else (words[0], words[1])
        if len(words) > 2 or (name and not _NAME.fullmatch(name)):
            raise SettingsError(
                f"Line {number} of {path} is no key.\n"
                f"Write KEY, or NAME KEY with a name of letters, digits and . _ @ -.\n{_set_by(option)}"
            )
        keys.append(NamedKey(key, name))
    if not keys:
        raise SettingsError(f"There is no key in {path}.\nWrite one a line, or unset {option}.")
    if readable_by_all:
        _logger.warning("every user of this machine can read the keys in %s; chmod 600 mends that", path)
    return keys


def _set_by(option: str) -> str:
    return f"The file is named by {option} ({ENV_PREFIX}{option.upper()})."
