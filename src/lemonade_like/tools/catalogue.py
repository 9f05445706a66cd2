"""What tools there are, and what each is called where several servers offer some."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.tools.arguments import ArgumentCheck

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from collections.abc import Set as AbstractSet

#: What OpenAI's API takes as the name of a function. (Harmony would take a dot, too.)
_NO_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_NAME: Final = 64


@dataclass(frozen=True)
class Tool:
    """A tool of the server that the configuration calls ``label``; ``name`` is what that server calls it.

    ``schema`` is the JSON Schema of its arguments. ``read_only`` is what the tool says of itself.
    """

    label: str
    name: str
    description: str
    schema: dict[str, Any]
    read_only: bool = False

    @cached_property
    def arguments(self) -> ArgumentCheck:
        """What its arguments are held to."""
        return ArgumentCheck(self.schema, self.name)

    @property
    def word(self) -> str:
        """Its name, in letters that every client and model can say."""
        return word(self.name)

    @property
    def qualified(self) -> str:
        """Its name with that of its server, which no tool of another server has."""
        return qualified(self.label, self.name)


def word(name: str) -> str:
    """Return a tool's name in letters that every client and model can say."""
    return _NO_NAME.sub("_", name)[:_LONGEST_NAME] or "_"


def qualified(label: str, name: str) -> str:
    """Return a tool's name together with its server's label."""
    return f"{label}__{word(name)}"[:_LONGEST_NAME]


def offered_names(tools: Collection[Tool], taken: AbstractSet[str] = frozenset()) -> dict[str, Tool]:
    """Return the tools by the names under which they are offered together, beside the names that are ``taken``.

    That is a tool's own name where no other has it, and else ``LABEL__NAME``. What no name may have is replaced by
    ``_``; should two still be the same, the later one gets a number.
    """
    count = Counter(tool.word for tool in tools)
    names: dict[str, Tool] = {}
    for tool in tools:
        name = tool.word if count[tool.word] == 1 and tool.word not in taken else tool.qualified
        number = 2
        stem = name
        while name in names or name in taken:
            name = f"{stem[: _LONGEST_NAME - len(str(number)) - 1]}_{number}"
            number += 1
        names[name] = tool
    return names


def find(names: Mapping[str, Tool], name: str) -> Tool | None:
    """Return the tool that is offered under a name, or whose name together with its server's this is."""
    return names.get(name) or next((tool for tool in names.values() if tool.qualified == name), None)
