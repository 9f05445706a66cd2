"""Other names under which models are asked for: those that a client cannot be talked out of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Longer than any name of a model; a pattern with several stars would take its time over more.
_LONGEST: Final = 256


class Aliases:
    """Names by alias, in any case. An alias may have ``*`` in it; one without goes before those with, and of those the
    first that fits. What an alias stands for is a model's name, and no other alias."""

    def __init__(self, names: Mapping[str, str]) -> None:
        folded = {alias.casefold(): name for alias, name in names.items()}
        self._exact = {alias: name for alias, name in folded.items() if "*" not in alias}
        self._patterns = [(_pattern(alias), name) for alias, name in folded.items() if "*" in alias]

    def target(self, alias: str) -> str | None:
        """Return the name that the alias stands for, if it is one."""
        if len(alias) > _LONGEST:
            return None
        folded = alias.casefold()
        if folded in self._exact:
            return self._exact[folded]
        return next((name for pattern, name in self._patterns if pattern.fullmatch(folded)), None)


def _pattern(alias: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in alias.split("*")))
