"""Skeleton grammars: GBNF that follows Harmony's shape and constrains nothing but what was asked for.

Control tokens are named by id (``<[200005]>``): quoted text would match ordinary tokens that spell a marker. Segments
before the end are bounded in number, not in length, or a small model could go on reasoning for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from lemonade_like.harmony import tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How many messages may come before the call or the answer.
MAX_SEGMENTS: Final = 4
#: How many calls may be made at once.
MAX_PARALLEL_CALLS: Final = 8
#: The rule for a body that is not constrained. A grammar can exclude one token by its id but not several, so this one
#: excludes them by how they are spelled: to the engine ``<|start|>`` the control token is also text, and here no ``|``
#: comes after a ``<``, unless it is the ordinary token of that character. No ordinary token has both.
FREE_TEXT: Final = "text"

Reasoning = Literal["free", "once", "none"]

_NEXT: Final = f'<[{tokens.END}]> <[{tokens.START}]> "assistant"'
_RULES: Final = f"""\
analysis ::= <[{tokens.CHANNEL}]> "analysis" <[{tokens.MESSAGE}]> text next
preamble ::= <[{tokens.CHANNEL}]> "commentary" <[{tokens.MESSAGE}]> text next
next ::= {_NEXT}
channel ::= <[{tokens.CHANNEL}]> "commentary"
constrain ::= " " <[{tokens.CONSTRAIN}]> "json" <[{tokens.MESSAGE}]>
text ::= ( [^<] | "<"+ ( [^<|] | <[{tokens.BAR}]> ) )* "<"*
"""
_BEFORE: Final[dict[Reasoning, str]] = {
    "free": f"( analysis | preamble ){{0,{MAX_SEGMENTS}}}",
    "once": f"preamble{{0,{MAX_SEGMENTS}}} ( analysis preamble{{0,{MAX_SEGMENTS}}} )?",
    "none": f"preamble{{0,{MAX_SEGMENTS}}}",
}


@dataclass(frozen=True)
class Skeleton:
    """The shape of a turn.

    ``answer`` names the rule for the body of the final message; ``None`` is a turn that must end in a call. ``calls``
    has, for each function that may be called, the rule for its arguments. ``rules`` defines the rules so named.
    ``started`` is the channel of a message that the prompt has begun already.
    """

    answer: str | None = FREE_TEXT
    calls: Mapping[str, str] = field(default_factory=dict)
    parallel_calls: bool = True
    reasoning: Reasoning = "free"
    started: str | None = None
    rules: str = ""

    def grammar(self) -> str:
        """Return it as GBNF."""
        if self.started == "final":
            return f"root ::= {self.answer or FREE_TEXT}\n{_RULES}{self.rules}"
        ends = []
        if self.answer is not None:
            ends.append(f'<[{tokens.CHANNEL}]> "final" <[{tokens.MESSAGE}]> {self.answer}')
        if self.calls:
            more = MAX_PARALLEL_CALLS - 1 if self.parallel_calls else 0
            ends.append(f"call ( next call ){{0,{more}}}" if more else "call")
        # What has begun is reasoning or a preamble: it is ended first.
        started = "text next " if self.started is not None else ""
        reasoning = "none" if self.reasoning == "once" and self.started == "analysis" else self.reasoning
        return f"root ::= {started}{_BEFORE[reasoning]} ( {' | '.join(ends)} )\n{_RULES}{self._call()}{self.rules}"

    def _call(self) -> str:
        """The rules for calls; functions whose arguments have the same form share one."""
        by_arguments: dict[str, list[str]] = {}
        for name, arguments in self.calls.items():
            by_arguments.setdefault(arguments, []).append(f'"{name}"')
        ways = []
        rules = ""
        for place, (arguments, names) in enumerate(by_arguments.items()):
            rules += f"name-{place} ::= {' | '.join(names)}\n"
            to = f'" to=functions." name-{place}'
            ways.append(f"( {to} channel | channel {to} ) constrain {arguments}")
        return f"{rules}call ::= {' | '.join(ways)}\n" if ways else ""
