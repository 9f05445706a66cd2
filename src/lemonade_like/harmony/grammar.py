"""Skeleton grammars: GBNF that follows Harmony's shape and constrains nothing but what was asked for.

Control tokens are named by id (``<[200005]>``): quoted text would match ordinary tokens that spell a marker. Segments
before the end are bounded in number, not in length, or a small model could go on reasoning for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lemonade_like.harmony import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How many messages may come before the call or the answer.
MAX_SEGMENTS: Final = 4

_NEXT: Final = f'<[{tokens.END}]> <[{tokens.START}]> "assistant"'
_SEGMENTS: Final = f"""\
analysis ::= <[{tokens.CHANNEL}]> "analysis" <[{tokens.MESSAGE}]> text {_NEXT}
preamble ::= <[{tokens.CHANNEL}]> "commentary" <[{tokens.MESSAGE}]> text {_NEXT}
text ::= !<[{tokens.END}]>*
"""
_HEADER: Final = f"""\
header ::= " to=functions." name channel constrain | channel " to=functions." name constrain
channel ::= <[{tokens.CHANNEL}]> "commentary"
constrain ::= " " <[{tokens.CONSTRAIN}]> "json" <[{tokens.MESSAGE}]>
"""
_JSON: Final = r"""
object ::= "{" space ( member ( "," space member )* )? "}"
member ::= string ":" space value
array ::= "[" space ( value ( "," space value )* )? "]"
value ::= ( object | array | string | number | "true" | "false" | "null" ) space
string ::= "\"" ( [^"\\\x00-\x1f\x7f] | "\\" ( ["\\/bfnrt] | "u" [0-9a-fA-F]{4} ) )* "\"" space
number ::= "-"? ( "0" | [1-9] [0-9]{0,15} ) ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,3} )?
space ::= " "{0,2} ( "\n" [ \t]{0,20} )?
"""


def call_required(names: Sequence[str], *, reasoning: bool = True) -> str:
    """Return a grammar under which the turn ends in a call of one of ``names``, whose arguments are a JSON object.

    Preambles and, unless ``reasoning`` is false, analysis may come first and are not constrained.
    """
    before = "( analysis | preamble )" if reasoning else "preamble"
    alternatives = " | ".join(f'"{name}"' for name in names)
    return (
        f"root ::= {before}{{0,{MAX_SEGMENTS}}} call\n"
        f"{_SEGMENTS}call ::= header object\n{_HEADER}name ::= {alternatives}\n{_JSON.lstrip()}"
    )


def no_reasoning() -> str:
    """Return a grammar under which the model does not reason, but answers, or calls a tool, as it likes."""
    return f"""\
root ::= preamble{{0,{MAX_SEGMENTS}}} ( answer | call )
answer ::= <[{tokens.CHANNEL}]> "final" <[{tokens.MESSAGE}]> text
preamble ::= <[{tokens.CHANNEL}]> "commentary" <[{tokens.MESSAGE}]> text {_NEXT}
call ::= header text
{_HEADER}name ::= [a-zA-Z0-9_.-]{{1,64}}
text ::= !<[{tokens.END}]>*
"""
