"""The header of a Harmony message, read although it may be malformed.

A header as the model writes it: ``assistant to=functions.f<|channel|>commentary <|constrain|>json<|message|>``. It has
up to three sections: what stands before ``<|channel|>``, after it, and after ``<|constrain|>``. In each, words come in
a fixed order: a name (the role, the channel), ``to=RECIPIENT``, a content type. Anything else is no header any more:
the ``<|message|>`` was left out, and the text from there on is body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

#: The channels that GPT-OSS was trained with.
CHANNELS: Final = ("analysis", "commentary", "final")
#: A header longer than this is none: so a model that forgot ``<|message|>`` is noticed, whatever it writes.
MAX_HEADER: Final = 512

_CONTENT_TYPES: Final = ("json", "code", "text", "python", "yaml", "xml", "markdown")
_ROLES: Final = ("assistant", "user", "system", "developer", "tool", "python")

_NAME = re.compile(r"[^\W\d][\w.:-]*\Z")
_RECIPIENT = re.compile(r"to=[\w.:-]*\Z")
_TOOL_ROLE = re.compile(r"(?:functions|browser)\.[\w-]*\Z")

_READ_NAME = re.compile(r"\s*([^\W\d][\w.:-]*)(?![\w.:=-])")
_READ_CHANNEL = re.compile(rf"\s*({'|'.join(CHANNELS)})")
_READ_MARKED_ROLE = re.compile(rf"\s*(assistant|(?:{'|'.join(_ROLES)}|(?:functions|browser)\.[\w-]+)(?![\w.]))")
_READ_ROLE = re.compile(rf"\s*({'|'.join(_ROLES)}|(?:functions|browser)\.[\w-]+)(?![\w.])")
_READ_GIVEN_ROLE = re.compile(r"\s*(assistant)(?![\w.])")
_READ_RECIPIENT = re.compile(r"\s*to=([\w.:-]*)")
_READ_CONTENT_TYPE = re.compile(rf"\s*({'|'.join(_CONTENT_TYPES)})(?=\s*[\[{{\"]|\s+to=|\s*\Z)")
_GLUED_RECIPIENT = re.compile(rf"(?<=\A)({'|'.join(CHANNELS)})(?=to=)")


class Start(Enum):
    """What came before a header, and so which words can be its role."""

    #: The prompt's own ``<|start|>assistant``: the role is given.
    GIVEN = "given"
    #: A real ``<|start|>``: any name.
    MARKED = "marked"
    #: Nothing, ``<|start|>`` was left out: only a well-known role is taken for one.
    MISSING = "missing"


@dataclass(frozen=True)
class Header:
    """What a header says. ``content_type`` is spelled as written, e.g. ``<|constrain|>json``."""

    role: str = "assistant"
    channel: str | None = None
    recipient: str | None = None
    content_type: str | None = None


@dataclass(frozen=True)
class HeaderText:
    """A header while it is read: the text of its sections so far; ``None`` for those that have not begun."""

    start: Start
    role: str = ""
    channel: str | None = None
    constrain: str | None = None

    def with_text(self, text: str) -> HeaderText:
        """Return the header with more text in the section that is open."""
        if self.constrain is not None:
            return replace(self, constrain=self.constrain + text)
        if self.channel is not None:
            # Rare, but seen: no space between the channel and the recipient.
            return replace(self, channel=_GLUED_RECIPIENT.sub(r"\1 ", self.channel + text))
        return replace(self, role=self.role + text)

    @property
    def blank(self) -> bool:
        """Whether nothing but whitespace was read."""
        return self.channel is None and self.constrain is None and not self.role.strip()

    def possible(self) -> bool:
        """Tell whether this can still become a header. Once it cannot, no further text makes it one again."""
        if len(self.role) + len(self.channel or "") + len(self.constrain or "") > MAX_HEADER:
            return False
        if self.constrain is not None:
            return _fits(self.constrain, (_is_content_type, _is_recipient))
        if self.channel is not None:
            return _fits(self.channel, (_is_name, _is_recipient, _is_content_type))
        return _fits(self.role, (_ROLE_RULES[self.start], _is_recipient, _is_content_type))

    def complete(self) -> tuple[Header, str]:
        """Return what the header says, and what is left of its text that says nothing a header can say."""
        return self._read(_READ_NAME if self.start is Start.MARKED else _READ_ROLE, _READ_NAME)

    def split(self) -> tuple[Header, str]:
        """Return the header that the text begins with, and the rest of the text, which is body.

        Only well-known roles and channels count here: any other word is more likely the beginning of the body. After
        their token they count even if the body follows without a space, as in ``<|channel|>finalHello``.
        """
        header, rest = self._read(_SPLIT_ROLES[self.start], _READ_CHANNEL)
        if header == Header() and self.start is not Start.MARKED and self.channel is None:
            # Without any marker a role word alone is no header: "assistant is my job" is a sentence.
            return header, self.role
        return header, rest

    def _read(self, read_role: re.Pattern[str], read_channel: re.Pattern[str]) -> tuple[Header, str]:
        role, recipient, content_type, rest = _read_section(self.role, read_role)
        channel = None
        if self.channel is not None:
            channel, to, kind, more = _read_section(self.channel, read_channel)
            recipient, content_type, rest = to or recipient, kind or content_type, rest + more
        if self.constrain is not None:
            _, to, kind, more = _read_section(self.constrain, None)
            recipient, content_type, rest = to or recipient, f"<|constrain|>{kind or content_type or ''}", rest + more
        return Header(role or "assistant", channel, recipient, content_type), rest


def _read_section(text: str, read_name: re.Pattern[str] | None) -> tuple[str | None, str | None, str | None, str]:
    """Return name, recipient and content type as far as they stand in order, and the rest of the text."""
    at = 0
    found: list[str | None] = []
    for pattern in (read_name, _READ_RECIPIENT, _READ_CONTENT_TYPE):
        match = pattern.match(text, at) if pattern else None
        found.append(match.group(1) if match else None)
        at = match.end() if match else at
    name, recipient, content_type = found
    if content_type and recipient is None:
        # The other order is written too: "<|constrain|>json to=functions.f".
        late = _READ_RECIPIENT.match(text, at)
        recipient, at = (late.group(1), late.end()) if late else (None, at)
    rest = text[at:]
    return name, recipient, content_type, rest if rest.strip() else ""


_WordRule = Callable[[str, bool], bool]


def _fits(text: str, rules: tuple[_WordRule, ...]) -> bool:
    """Tell whether the words of ``text`` can follow ``rules`` in order, each rule used at most once.

    The last word may be incomplete, unless whitespace follows it.
    """
    words = text.split()
    unfinished = len(words) - 1 if text[-1:].strip() else len(words)
    remaining = iter(rules)
    return all(any(rule(word, place == unfinished) for rule in remaining) for place, word in enumerate(words))


def _is_name(word: str, unfinished: bool) -> bool:
    del unfinished  # the beginning of a name is a name
    return bool(_NAME.match(word))


def _is_recipient(word: str, unfinished: bool) -> bool:
    return bool(_RECIPIENT.match(word)) or (unfinished and "to=".startswith(word))


def _is_content_type(word: str, unfinished: bool) -> bool:
    return _begins_one_of(_CONTENT_TYPES, word, unfinished)


def _is_given_role(word: str, unfinished: bool) -> bool:
    return _begins_one_of(("assistant",), word, unfinished)


def _is_known_role(word: str, unfinished: bool) -> bool:
    tools = ("functions.", "browser.")
    return (
        _begins_one_of(_ROLES, word, unfinished)
        or bool(_TOOL_ROLE.match(word))
        or (unfinished and any(tool.startswith(word) for tool in tools))
    )


def _begins_one_of(words: tuple[str, ...], word: str, unfinished: bool) -> bool:
    return word in words or (unfinished and any(one.startswith(word) for one in words))


_ROLE_RULES: Final[dict[Start, _WordRule]] = {
    Start.GIVEN: _is_given_role,
    Start.MARKED: _is_name,
    Start.MISSING: _is_known_role,
}
_SPLIT_ROLES: Final[dict[Start, re.Pattern[str]]] = {
    Start.GIVEN: _READ_GIVEN_ROLE,
    Start.MARKED: _READ_MARKED_ROLE,
    Start.MISSING: _READ_ROLE,
}
