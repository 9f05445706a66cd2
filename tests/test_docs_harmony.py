"""docs/harmony.md shows what the code does: its prompts, its recoveries, and where openai-harmony differs."""

from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.openai.turn import turn_request
from lemonade_like.api.validation import validated
from lemonade_like.harmony.conversation import SystemMessage, build_conversation
from lemonade_like.harmony.parser import Parser
from lemonade_like.harmony.typescript import parameters_type
from lemonade_like.turns.assembler import Assembler
from lemonade_like.turns.events import ContentDelta, ReasoningDelta, ToolCallArgumentsDelta, ToolCallStart
from tests.support.completions import one_frame_each, parse_text, parts_of

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding
    from lemonade_like.harmony.renderer import Renderer
    from tests.support.library import Reference

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "harmony.md"


def shown(renderer: Renderer, request: str) -> str:
    """The prompt of a request as the page shows it: with a line break behind each end of a message."""
    asked = turn_request(validated(ChatCompletionRequest, {"model": "m", **json.loads(request)}))
    conversation = build_conversation(asked.messages, SystemMessage("medium", asked.current_date), asked.tools)
    prompt = renderer.encoder.decode(renderer.render_for_completion(conversation).ids)
    return re.sub(r"(<\|(?:end|call)\|>)", r"\1\n", prompt)


def told(kind: str, written: str) -> str:
    """A row of the table of recoveries: the kind, what the model wrote, what the client gets."""
    parser, number = Parser(), count(1)
    assembler = Assembler(new_call_id=lambda: f"call_{next(number)}", declared=frozenset({"get_weather"}))
    pieces = [piece for ids, text in one_frame_each(parts_of(_code(written))) for piece in parser.feed(ids, text)]
    events = [*assembler.add([*pieces, *parser.finish()]), *assembler.finish()]
    parts = []
    for name, event_type in {"reasoning": ReasoningDelta, "content": ContentDelta}.items():
        if text := "".join(event.text for event in events if isinstance(event, event_type)):
            parts.append(f"{name} `{text}`".replace("\n", "⏎"))
    for call in (event for event in events if isinstance(event, ToolCallStart)):
        arguments = "".join(e.text for e in events if isinstance(e, ToolCallArgumentsDelta) and e.index == call.index)
        parts.append(f"a call `{call.name}({arguments})`")
    counted = parser.recovered + assembler.hidden
    assert kind in counted, (kind, counted)
    return f"| `{kind}` | {written} | {_cell(', '.join(parts)) or 'nothing; it is in the raw messages'} |"


def _code(cell: str) -> str:
    return cell.strip("`").replace("\\|", "|")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def test_every_prompt_on_the_page_is_the_one_that_is_rendered(renderer: Renderer) -> None:
    pairs = re.findall(r"```json\n(.*?)```\n\n```text\n(.*?)\n```", PAGE.read_text(), re.DOTALL)

    assert len(pairs) >= 3
    for request, prompt in pairs:
        assert prompt == shown(renderer, request)


def test_every_recovery_is_on_the_page_with_what_comes_of_it() -> None:
    rows = re.findall(r"^\| `(\w+_\w+)` \| (`[^\n]*?`) \|.*$", PAGE.read_text(), re.MULTILINE)
    lines = PAGE.read_text().splitlines()
    sources = [
        path.read_text() for room in ("harmony", "turns") for path in (ROOT / "src/lemonade_like" / room).glob("*.py")
    ]
    kinds = {kind for source in sources for kind in re.findall(r'recovered\["(\w+)"\] \+=', source)}

    assert {kind for kind, _ in rows} == kinds | {"hidden_call", "invented_message"}
    for kind, written in rows:
        assert told(kind, written) in lines


#: What openai-harmony's parser makes of it: an error, or messages as channel, recipient and content.
PARSED = {
    "<|channel|>analysis<|message|>hm<|end|>assistant<|channel|>final<|message|>4<|return|>": "an error",
    "<|channel|>analysis<|message|>hm<|start|>assistant<|channel|>final<|message|>4<|return|>": (
        "all of it is reasoning"
    ),
    "<|channel|>final 4 it is<|return|>": "an error",
    "It is 4.<|return|>": "an error",
    "<|channel|>final<|message|>4<|return|><|return|>": "an error",
    "<|channel|>analysis<|channel|>final<|message|>4<|return|>": "reasoning for `<|channel|>final`",
    "<|channel|>final <|constrain|>json<|message|>{}<|return|>": "a call of `<|constrain|>json`",
    "<|channel|>commentary <|constrain|>json to=functions.f<|message|>{}<|call|>": "an error",
    "<|channel|>commentaryto=functions.f <|constrain|>json<|message|>{}<|call|>": "a channel of that name",
    "<|channel|>commentary to=functions.f<|call|>": "an error",
    "<|channel|>final<|message|>a<|constrain|>b<|return|>": "the marker as text",
}


@pytest.mark.parametrize("written", PARSED)
def test_where_the_librarys_parser_goes_wrong_ours_does_not(
    reference: Reference, encoder: HarmonyEncoding, written: str
) -> None:
    ids = [one for part in parts_of(written) for one in ([part] if isinstance(part, int) else encoder.encode(part))]
    ours = [(m.channel, m.recipient, m.content) for m in parse_text(written).messages]
    theirs: Any = "an error"
    try:
        theirs = [(m["channel"], m["recipient"], m["content"]) for m in reference.parse(ids)]
    except Exception as error:
        assert type(error).__name__ == "HarmonyError"

    assert (theirs == "an error") == (PARSED[written] == "an error")
    assert theirs != ours
    assert ours
    assert f"| {_cell(f'`{written}`')} | {_cell(PARSED[written])} |" in PAGE.read_text()


#: Schemas that openai-harmony says less of, or the wrong thing.
PRINTED: dict[str, tuple[dict[str, Any], str, str]] = {
    "`anyOf`, `allOf`": ({"anyOf": [{"type": "string"}, {"type": "number"}]}, "any", "string | number"),
    "`$ref`": ({"$ref": "#/$defs/unit"}, "any", '"c" | "f"'),
    "`const`": ({"const": "a"}, "any", '"a"'),
    "an `enum` of numbers": ({"type": "integer", "enum": [1, 2]}, "number", "1 | 2"),
    "an `enum` without a type": ({"enum": ["a", 1]}, "any", '"a" | 1'),
    "`null`": ({"type": "null"}, "any", "null"),
    "properties of a type or null": (
        {"type": ["object", "null"], "properties": {"a": {"type": "string"}}},
        "object | null",
        "{\n    a?: string,\n    } | null",
    ),
    "an array of a union": (
        {"type": "array", "items": {"type": ["string", "number"]}},
        "string | number[]",
        "(string | number)[]",
    ),
    "values of a map": (
        {"type": "object", "additionalProperties": {"type": "number"}},
        "{\n    }",
        "{\n    [key: string]: number,\n    }",
    ),
}


@pytest.mark.parametrize("what", PRINTED)
def test_where_the_library_says_less_of_a_schema_ours_says_it(reference: Reference, what: str) -> None:
    schema, theirs, ours = PRINTED[what]
    parameters = {"type": "object", "properties": {"x": schema}, "$defs": {"unit": {"enum": ["c", "f"]}}}

    assert parameters_type(parameters) == f"{{\nx?: {ours},\n}}"
    assert reference.tool_type(parameters) == f"{{\nx?: {theirs},\n}}"
    assert f"| {what} |" in PAGE.read_text()


def test_the_second_line_of_a_description_stays_a_comment_where_the_library_lets_it_out(reference: Reference) -> None:
    parameters = {"type": "object", "properties": {"x": {"type": "string", "description": "one\ntwo"}}}

    assert "\ntwo\n" in reference.tool_type(parameters)
    assert "\n// two\n" in parameters_type(parameters)
